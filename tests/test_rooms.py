"""The rooms stand in this repository, keep their direction, and keep their measure."""

import ast
import importlib.util
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("bot", "engine", "adapters")
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "pandas", "matplotlib", "pyarrow", "huggingface_hub")
MAX_FILE, MAX_FUNCTION, MAX_MEDIAN, MAX_FOLDER = 300, 60, 8, 12


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_are_ours_and_not_a_package_of_the_same_name(room: str) -> None:
    spec = importlib.util.find_spec(room)
    assert spec and spec.origin
    assert Path(spec.origin).is_relative_to(ROOT)


def test_the_bots_process_loads_nothing_heavy() -> None:
    code = f"import sys, bot.app; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "[]"


def test_no_test_uses_mocks() -> None:
    word = "unittest" + ".mock"
    assert [str(path) for path in (ROOT / "tests").rglob("*.py") if word in path.read_text()] == []


def test_the_code_keeps_its_measure() -> None:
    """Prints the budget that CONTRIBUTING states, and holds it."""
    files = {path: path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    sizes = {f"{path.relative_to(ROOT)}:{name}": size for path, text in files.items() for name, size in functions(text)}
    longest = max(sizes, key=lambda name: sizes[name])
    lines = {path: text.count("\n") for path, text in files.items()}
    print(f"functions: median {statistics.median(sizes.values())}, longest {sizes[longest]} ({longest})")  # noqa: T201
    assert [str(path) for path, count in lines.items() if count > MAX_FILE] == []
    assert [name for name, size in sizes.items() if size > MAX_FUNCTION] == []
    assert statistics.median(sizes.values()) <= MAX_MEDIAN
    folders = {path.parent for path in files}
    assert [str(folder) for folder in folders if len(list(folder.glob("*.py"))) > MAX_FOLDER] == []


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Each function's name and how many lines it takes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, node.end_lineno - node.lineno + 1
