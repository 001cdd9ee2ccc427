"""What Discord's refusals mean, how often the gateway is asked, and which channels a bot without a list notices."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

import adapters.chat.discord
from adapters.chat.discord import commands, connect
from adapters.chat.discord.settings import DiscordSettings
from bot.chat import Denied, Gone, Message, Place, TryLater
from tests.adapters.discord.conftest import Make, ignore
from tests.contract.chat import eventually, listening
from tests.twins.discord import Fault
from tests.twins.discord_world import World, plain

IDENTIFIES_A_DAY = 1000


@pytest.mark.parametrize(
    ("status", "code", "meant", "says"),
    [
        (404, 10003, Gone, ""),
        (404, 10008, Gone, ""),
        (400, 160005, Denied, "Manage Threads"),
        (403, 50007, Denied, "direct messages"),
        (403, 50001, Denied, "View Channel"),
        (400, 160006, TryLater, "600"),
        (400, 30046, TryLater, "20"),
        (503, 0, TryLater, "5"),
    ],
)
async def test_what_discord_refuses_is_told_as_what_it_means(
    world: World, make: Make, status: int, code: int, meant: type[Exception], says: str
) -> None:
    world.wire.faults.append(Fault("POST /channels", status, {"message": "No", "code": code}))
    with pytest.raises(meant) as raised:
        await make().post(Place(str(world.general.id)), Message("k", "hello"))
    assert says in (raised.value.permission if isinstance(raised.value, Denied) else str(raised.value))


@pytest.mark.parametrize("lasts_s", [0.0, 1.0, 60.0, 599.0, 601.0, 3600.0])
async def test_a_gateway_that_fails_all_day_is_asked_less_often_than_discord_allows(
    make: Make, monkeypatch: pytest.MonkeyPatch, lasts_s: float
) -> None:
    """However long each connection holds: after 1,000 a day, Discord takes the token away."""
    monkeypatch.setattr(connect, "BACK_OFF_S", usual)
    now, asked = [0.0], 0
    connection = make().connection

    async def client() -> Any:
        nonlocal asked
        asked += 1
        now[0] += lasts_s
        if now[0] > 86_400:
            raise asyncio.CancelledError
        raise aiohttp.ClientConnectionError

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(connection, "client", client)
    monkeypatch.setattr(connect, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(connect, "asyncio", SimpleNamespace(sleep=sleep, CancelledError=asyncio.CancelledError))
    with pytest.raises(asyncio.CancelledError):
        await connection._stay()
    assert 20 <= asked <= IDENTIFIES_A_DAY * 0.6


usual = connect.BACK_OFF_S


@pytest.mark.parametrize(
    ("own", "general", "noticed"), [("", "", "1 2"), ("", "2", "2"), ("1", "2", "1"), (" 1 , 2 ", "", "1 2")]
)
def test_where_no_channels_are_chosen_for_drops_those_of_the_bot_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, general: str, noticed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DISCORD_TOKEN": "t", "DISCORD_CHANNELS": own, "CHANNELS": general}.items():
        monkeypatch.setenv(name, value)
    chat = adapters.chat.discord.make(tmp_path)
    chosen = chat.connection.chosen
    chat.kept.close()
    assert [channel for channel in (1, 2) if chosen.notices(channel, None)] == [int(each) for each in noticed.split()]
    assert chosen.notices(7, 1) is ("1" in noticed), "a thread counts as its channel"


def test_drops_that_are_left_alone_are_noticed_nowhere() -> None:
    assert not DiscordSettings(_env_file=None, drops="off", channels="1").notices(1)


async def test_the_client_pings_nobody_of_its_own_accord(world: World, make: Make) -> None:
    client = await make().connection.client()
    assert client.allowed_mentions
    assert client.allowed_mentions.to_dict().get("parse") == []


async def test_a_thread_that_was_deleted_is_opened_anew(world: World, make: Make) -> None:
    chat = make()
    root = await world.ann.send(world.general, "let us begin")
    place = Place(f"{world.general.id}/{root.id}")
    await chat.post(place, Message("a", "first"))
    world.backend.delete_channel(root.id)
    await chat.post(place, Message("b", "second"))
    assert "second" in [plain(message) for message in world.from_bot()]


async def test_commands_that_changed_are_put_again(world: World, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def put() -> int:
        return len([name for name in world.wire.seen if name.startswith("PUT /applications")])

    async with listening(make(), ignore):
        await eventually(lambda: put() == 1)
    await world.wire.kick()
    monkeypatch.setattr(commands, "MENU", "Fine-tune it")
    async with listening(make(), ignore):
        await eventually(lambda: put() == 2)
