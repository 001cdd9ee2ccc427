"""The page of `make try-discord`: what is clicked in a real browser reaches the whole bot, and its answer the page."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.house import hub, settings
from tests.twins.browser import browser
from tests.twins.try_discord import stage

BROKEN = Path(__file__).parents[2] / "examples" / "broken.csv"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") or shutil.which("chromium-browser")), reason="there is no Chromium here"
    ),
]


async def test_a_click_in_the_page_lets_the_bot_read_a_file_and_shows_what_is_wrong(tmp_path: Path) -> None:
    with hub(tmp_path) as (endpoint, token):
        chosen = settings(tmp_path, endpoint, token)
        chosen.data.mkdir()
        async with stage(chosen) as (world, preview), browser(preview.url) as page:
            await page.sees("examples/", 120)
            await world.ann.send(preview.channel, "", attachments=[(BROKEN.name, BROKEN.read_bytes())])
            await page.sees("shall I use broken.csv", 120)
            await page.clicks("Use this file", 120)
            await page.sees("lets me use broken.csv", 120)
            await page.sees("cannot be trained", 120)
    assert "Traceback" not in (chosen.data / "bot.log").read_text()
