"""Events as Discord sends them, with everything that is in them, reach the handler as what somebody did."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.chat import Command, Incoming, Person, Press, Upload
from tests.adapters.discord.conftest import Make, ignore
from tests.contract.chat import eventually, listening
from tests.twins.discord_world import World

FOLDER = Path(__file__).parents[2] / "payloads" / "discord"
ANN = Person("80351110224678912", "Ann B.")
FILE = Upload("slash/1400000000000000101", "pairs.csv", 68336)


def event(name: str, world: World) -> dict[str, Any]:
    """As recorded, in this world's channel."""
    text = (FOLDER / f"{name}.json").read_text()
    text = text.replace("197038439483310087", str(world.general.id)).replace("197038439483310086", str(world.guild.id))
    loaded: dict[str, Any] = json.loads(text)
    return loaded


async def arrived(
    world: World, make: Make, name: str, count: int, member_flags: int = 0, **chosen: str
) -> list[Incoming]:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(**chosen), handler):
        await world.is_online()
        (session,) = world.wire.sessions
        sent = event(name, world)
        sent["d"]["member"]["flags"] = member_flags
        world.wire._send(session, sent["t"], sent["d"])
        await eventually(lambda: len(got) == count)
    return got


@pytest.mark.parametrize("name", ["slash-with-file", "form"])
async def test_a_command_with_a_file(world: World, make: Make, name: str) -> None:
    file, command = await arrived(world, make, name, 2)
    assert file.what == FILE and command.what == Command("dpo epochs=2 lora=off")
    assert command.person == ANN and file.place == command.place
    assert command.place.id == f"{world.general.id}/i{command.key.removeprefix('discord/')}"


async def test_a_button(world: World, make: Make) -> None:
    (press,) = await arrived(world, make, "button", 1)
    assert (press.what, press.person, press.place.id) == (Press("start:abc"), ANN, str(world.general.id))


async def test_a_dropped_file(world: World, make: Make) -> None:
    (drop,) = await arrived(world, make, "drop", 1, drops="on")
    assert drop.what == Upload(f"{world.general.id}/1999999999999999999/1400000000000000101", "pairs.csv", 68336)
    assert drop.person == ANN


@pytest.mark.parametrize("name", ["drop", "button"])
async def test_whom_discord_calls_a_guest_is_one(world: World, make: Make, name: str) -> None:
    """Somebody who was invited for a voice channel only; the bot turns guests away."""
    (incoming,) = await arrived(world, make, name, 1, member_flags=GUEST | 1, drops="on")
    assert incoming.person == Person(ANN.id, ANN.name, is_guest=True)


GUEST = 1 << 4


async def test_the_twin_sends_what_discord_documents_and_nothing_else(world: World, make: Make) -> None:
    """A drop, a command with a file, a button: whatever the twin tells of them is in the payload of that kind."""
    async with listening(make(), ignore):
        await world.is_online()
        await world.drops("pairs.csv", b"text\nhi\n")
        await world.presses(await world.until("shall I use pairs.csv"), "Use this file", world.bob)
        await world.ann.slash(world.general, "finetune dpo", file=("pairs.csv", b"text\nhi\n"), epochs=2.0)
        (session,) = world.wire.sessions.values()
        await eventually(lambda: len([each for each in session.sent if each["t"] == "INTERACTION_CREATE"]) == 2)
    interactions = [each["d"] for each in session.sent if each["t"] == "INTERACTION_CREATE"]
    drop = next(each["d"] for each in session.sent if each["t"] == "MESSAGE_CREATE")
    for name, sent in zip(("drop", "button", "slash-with-file"), (drop, *interactions), strict=True):
        documented = json.loads((FOLDER / f"{name}.json").read_text())["d"]
        told = {*sent, *(f"member.{each}" for each in sent["member"])}
        found = {*documented, *(f"member.{each}" for each in documented["member"])}
        assert told - found == set(), name
