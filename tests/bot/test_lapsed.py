"""A platform that no longer takes the bot's token ends no run."""

import asyncio
from pathlib import Path

from bot.app import make
from bot.chat import Handler, Lapsed
from bot.settings import Settings
from tests.contract.chat import eventually
from tests.fakes.chat import FakeChat, Server


class LapsedChat(FakeChat):
    async def listen(self, handler: Handler, since: str) -> None:
        raise Lapsed("The platform no longer takes THE_TOKEN.", "THE_TOKEN")


async def test_a_token_that_lapsed_turns_health_red_and_the_rest_goes_on(tmp_path: Path) -> None:
    chosen = Settings(_env_file=None, data=tmp_path / "data", cache=tmp_path / "cache", http_port=0)
    app = make(chosen, LapsedChat(Server()))
    serving = asyncio.create_task(app.serve())
    try:
        await eventually(lambda: "THE_TOKEN" in app.health.ailment)
        ticked = app.scheduler.ticked_at
        await eventually(lambda: app.scheduler.ticked_at > ticked)
        assert not serving.done()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
