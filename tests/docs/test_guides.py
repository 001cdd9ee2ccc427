"""The commands of each guide, executed: words are said to the bot, programs are run, targets of make are there.

The targets have stories of their own: demo in tests/e2e, setup in tests/bot/setup, chat in tests/adapters/console.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bot.talk import commands
from tests.bot.team.room import DAN, THREAD, room

ROOT = Path(__file__).parents[2]
GUIDES = ["docs/tutorial.md", "docs/team.md", "docs/slack.md", "docs/discord.md", "docs/hub.md", "README.md"]
CODES = {"python -m engine check examples/broken.csv": 1}
"""Exit codes that are not 0."""


def lines(guide: str) -> list[str]:
    """The lines of a guide's fenced blocks."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", (ROOT / guide).read_text(), re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


SAID = sorted({line for guide in GUIDES for line in lines(guide) if line.startswith("/finetune ")})
RUN = sorted({line for guide in GUIDES for line in lines(guide) if line.startswith("python -m engine check examples")})
MADE = sorted({line for guide in GUIDES for line in lines(guide) if re.fullmatch(r"make [a-z-]+( [A-Z]+=\S+)?", line)})


@pytest.mark.parametrize("line", SAID)
async def test_what_a_guide_says_to_the_bot_is_understood_and_answered(tmp_path: Path, line: str) -> None:
    here = room(tmp_path)
    words = line.removeprefix("/finetune ")
    commands.parse(words)
    answer = await here.says(words, DAN, THREAD)
    assert answer.text and "went wrong" not in answer.text
    here.context.database.close()


@pytest.mark.parametrize("line", RUN)
def test_a_program_of_a_guide_ends_as_it_should(line: str) -> None:
    words = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == CODES.get(line, 0), done.stderr
    assert done.stdout.strip()


def test_the_targets_of_make_that_guides_name_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert MADE and {line.split()[1] for line in MADE} <= targets


def test_every_page_that_a_page_links_to_is_there() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), ROOT / "deploy" / "README.md"]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_setting_that_a_page_names_is_one() -> None:
    known = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "README.md").read_text(), re.MULTILINE))
    for page in ("docs/team.md", "docs/privacy.md", "SECURITY.md"):
        named = set(re.findall(r"`([A-Z]{2,}_[A-Z_]+)(?:=[^`]*)?`", (ROOT / page).read_text()))
        assert named <= known, page
