"""The page about faults is what the code says."""

import re
from pathlib import Path

from engine.commands.faults import page
from engine.data.faults import EXAMPLES
from engine.data.fixes import FIXES

WITH_A_MODEL = ("over_long", "nothing_left")
PAGE = Path(__file__).parents[3] / "docs" / "dataset-errors.md"


def test_the_page_is_the_one_that_the_code_prints() -> None:
    assert PAGE.read_text(encoding="utf-8") == page() + "\n", "run: python -m engine faults > docs/dataset-errors.md"


def test_every_code_and_every_fix_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z_0-9]+)` \|", page(), re.MULTILINE)
    assert sorted(rows) == sorted([*EXAMPLES, *WITH_A_MODEL, *FIXES])


def test_nothing_invisible_stands_on_the_page() -> None:
    assert all(line.isprintable() for line in page().splitlines())
