"""`python -m tests.twins.slack_pictures`: the whole bot in Slack's twin, and pictures of the blocks that it sent, in
docs/slack. They are a rendering of Block Kit that is made here (`slack/drawn.py`), not Slack's own."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.adapters.slack.room import FACTS, bot, chosen, form, sees
from tests.e2e.house import hub
from tests.twins.browser import browser
from tests.twins.slack import drawn
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin, twin
from tests.twins.slack.workspace import BOT

DOCS = Path("docs/slack")


class Camera:
    def __init__(self, there: Twin, hands: Hands) -> None:
        self.there, self.hands = there, hands

    async def takes(self, name: str, is_it: Callable[[Shown], bool]) -> Shown:
        """A picture of a message, as soon as it is there."""
        shown = await sees(self.hands, is_it)
        await asyncio.sleep(1)
        said = self.there.at.message(shown.channel, shown.ts)
        await picture(name, drawn.message(said, self.there.at.users, said["user"] == BOT))
        return shown


async def picture(name: str, body: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(drawn.page(body), encoding="utf-8")
        async with browser(path.as_uri(), 860, 200) as page:
            await page.sees("t")
            height = await page.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
            metrics = {"width": 860, "height": int(height) + 8, "deviceScaleFactor": 1, "mobile": False}
            await page.call("Emulation.setDeviceMetricsOverride", **metrics)
            await page.picture(DOCS / f"{name}.png", "t")


async def play(folder: Path, endpoint: tuple[str, str]) -> None:
    async with twin() as there, bot(chosen(folder, endpoint), there, "socket"):
        hands = Hands(there)
        camera = Camera(there, hands)
        hands.drops("U1", "C1", "broken.csv", Path("examples/broken.csv").read_bytes())
        await camera.takes("1-report", lambda shown: "broken.csv" in shown.title)
        ts = hands.drops("U1", "C1", "facts.csv", FACTS)
        await sees(hands, lambda shown: "facts.csv is ready" in shown.title)
        hands.slash("U1", "C1", "sft")
        view = await form(there)
        await picture("2-form", drawn.modal(view, there.at.users))
        there.at.views.clear()
        hands.says("U1", "C1", f"<@{BOT}> sft max_steps=200 max_length=64 valid=4", ts)
        plan = await camera.takes("3-plan", lambda shown: "Start" in shown.buttons)
        hands.press_label("U1", plan, "Start")
        await camera.takes("4-run", lambda shown: shown.title.startswith("Run 1 · ") and "Loss" in shown.all)
        await camera.takes("5-model", lambda shown: shown.title == "Run 1 succeeded" and shown.channel == "C1")
        hands.opens_home("U1")
        async with asyncio.timeout(60):
            while len(there.at.homes.get("U1", {}).get("blocks", ())) < 14:  # noqa: ASYNC110  a platform tells nobody
                await asyncio.sleep(0.2)
        await picture("6-home", drawn.home(there.at.homes["U1"], there.at.users))
        sys.stdout.write(f"Pictures are in {DOCS}.\n")


def main() -> None:
    shutil.rmtree(DOCS, ignore_errors=True)
    DOCS.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, hub(Path(folder) / "hub") as endpoint:
        asyncio.run(play(Path(folder), endpoint))


if __name__ == "__main__":
    main()
