"""How the adapter stays there: closed doors, lost sessions, intents, and what it reads afterwards."""

import asyncio

import pytest
from pydantic import SecretStr

from adapters.chat.discord import kept
from bot.chat import Incoming, Lapsed
from engine.refusal import Refusal
from tests.adapters.discord.conftest import Make, ignore
from tests.contract.chat import eventually, heard, listening
from tests.twins import discord as twin
from tests.twins.discord_world import World, plain


async def test_a_gateway_that_cannot_be_reached_at_first_is_tried_again(world: World, make: Make) -> None:
    world.wire.closed_doors = 2
    sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
    (incoming,) = await heard(make(), 1)
    assert incoming.key == f"discord/{sent.id}" and world.wire.closed_doors == 0


async def test_a_token_that_discord_does_not_know_is_refused_by_its_setting(world: World, make: Make) -> None:
    with pytest.raises(Refusal, match="DISCORD_TOKEN"):
        await make(token=SecretStr("wrong")).listen(ignore, "")


async def test_what_was_said_while_the_session_was_lost_is_read_then(world: World, make: Make) -> None:
    got: list[str] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming.key)

    async with listening(make(), handler):
        await world.is_online()
        for forget in (False, True):
            await world.wire.kick(forget=forget)
            sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
            await eventually(lambda sent=sent: got[-1:] == [f"discord/{sent.id}"])  # type: ignore[misc]
    assert len(got) == 2
    assert world.wire.identifies == 2, "the first time the session was resumed"


async def test_something_that_cannot_be_read_does_not_end_the_bot(world: World, make: Make) -> None:
    got: list[str] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming.key)

    async with listening(make(), handler):
        await world.is_online()
        (session,) = world.wire.sessions
        world.wire._send(session, "MESSAGE_CREATE", {"nothing": "that a message has"})
        sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
        await eventually(lambda: got == [f"discord/{sent.id}"])


async def test_the_commands_are_put_once(world: World, make: Make) -> None:
    for _ in range(2):
        async with listening(make(), ignore):
            await world.is_online()
        await world.wire.kick()
    assert len([name for name in world.wire.seen if name.startswith("PUT /applications")]) == 1


@pytest.mark.parametrize("code", [4000, 4004])
async def test_a_token_that_was_taken_away_has_lapsed(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Whether the gateway says so, or the next login."""
    listening_to = asyncio.ensure_future(make().listen(ignore, ""))
    await world.is_online()
    monkeypatch.setattr(twin, "TOKEN", "another")
    await world.wire.kick(code=code)
    with pytest.raises(Lapsed, match="no longer takes"):
        await asyncio.wait_for(listening_to, 60)


async def test_without_the_content_intent_the_bot_serves_and_says_what_to_do(world: World, make: Make) -> None:
    world.wire.has_content_intent = False
    async with listening(make(), ignore):
        await world.is_online()
        await world.drops("pairs.csv", b"text\nhi\n")
        await world.ann.slash(world.general, "finetune sft", epochs=2.0)
        await world.until("I do not see dropped files here")
        await world.drops("called.csv", b"text\nhi\n", f"<@{world.backend.bot_user.id}>")
        await world.until("shall I use called.csv")
    assert not [message for message in world.from_bot() if "pairs.csv" in plain(message)]


def test_channels_that_were_forgotten_are_read_from_where_they_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_CHANNELS", 2)
    cursor = kept.Cursor('{"floor": 5, "last": {}}')
    for channel, message in ((1, 10), (2, 20), (3, 30)):
        cursor.passed(channel, message)
    again = kept.Cursor(str(cursor))
    assert [again.after(channel) for channel in (1, 2, 3, 4)] == [10, 20, 30, 10]
