"""What SECURITY.md and docs/complaints.md promise is borne by tests that there are; what is not is said to be open."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (T?\d+) \| (.+?) \| (.+?) \| (?:`(.+?)`|—) \|$", re.MULTILINE)
PAGES = {"SECURITY.md": [f"T{number:02}" for number in range(1, 46)], "docs/complaints.md": [*map(str, range(1, 41))]}


@pytest.mark.parametrize("page", PAGES)
def test_each_promise_is_borne_by_a_test_that_there_is(page: str) -> None:
    rows = ROW.findall((ROOT / page).read_text())
    assert [name for name, *_ in rows] == PAGES[page]
    missing = [f"{name}: {test}" for name, _, _, test in rows if test and not is_there(test)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_what_no_test_bears_is_said_to_be_open(page: str) -> None:
    for _, _, here, test in ROW.findall((ROOT / page).read_text()):
        assert bool(test) != here.startswith("not ")


def is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / "tests" / file
    if not path.exists():
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, functions) and node.name == name for node in ast.walk(ast.parse(path.read_text())))
