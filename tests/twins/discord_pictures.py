"""`python -m tests.twins.discord_pictures`: plays a conversation on Discord's stand-in, with clicks in a real browser,
and leaves its pictures in docs/."""

import asyncio
import shutil
import sys
from pathlib import Path

from adapters.chat.console.local import settings
from adapters.chat.console.screen import Screen
from bot.settings import Settings
from tests.twins.browser import browser
from tests.twins.try_discord import DATA, stage

DOCS = Path("docs/discord")


async def play(chosen: Settings) -> None:
    async with stage(chosen) as (world, preview), browser(preview.url) as page:
        await page.sees("examples/")
        thread = preview.channel
        broken = Path("examples/broken.csv").read_bytes()
        await world.ann.send(thread, "", attachments=[("broken.csv", broken)])
        await page.sees("shall I use broken.csv")
        await page.picture(DOCS / "1-offer.png", "shall I use")
        await page.clicks("Use this file")
        await page.sees("lets me use broken.csv")
        await page.sees("Mend")
        await asyncio.sleep(1)
        await page.picture(DOCS / "2-report.png", "cannot be trained")
        file = ("facts.csv", Path("examples/facts.csv").read_bytes())
        await world.ann.slash(thread, "finetune sft", file=file, max_steps=20)
        await page.sees("sft: ready to start", 120)
        await asyncio.sleep(1)
        await page.picture(DOCS / "3-plan.png", "ready to start")
        await page.clicks("Start")
        await page.sees("tokens/s", 300)
        await asyncio.sleep(3)
        await page.picture(DOCS / "4-run.png", "Run 1 ·")
        await page.sees("Run 1 succeeded", 600)
        await asyncio.sleep(3)
        await page.picture(DOCS / "5-model.png", "Run 1 succeeded")
        sys.stdout.write(f"Pictures are in {DOCS}.\n")


def main() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    with settings(Screen(can_edit=False), data=DATA) as chosen:
        asyncio.run(play(chosen))


if __name__ == "__main__":
    main()
