"""Discord keeps the contract of the port, over HTTP and WebSocket and with an unmodified discord.py."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

import discord
import pytest

from bot.chat import Button, Chat, Command, Message, Person, Place, Press, Upload
from tests.adapters.discord.conftest import Make
from tests.contract.chat import ChatContract, Platform, eventually
from tests.twins.discord import Fault
from tests.twins.discord_world import World, buttons, plain


class DiscordPlatform(Platform):
    """Commands are messages that mention the bot, which wait for it; a press, and the click that lets it use a file,
    can only be done while it is there: Ann does them as soon as it is."""

    def __init__(self, world: World, make: Make, root: discord.Message) -> None:
        self.world = world
        self.make = make
        self.ann, self.bob = world.person(world.ann), world.person(world.bob)
        self.place, self.gone = Place(f"{world.general.id}/{root.id}"), Place("999/998")
        self.tasks: set[asyncio.Task[None]] = set()
        self.pressed: list[str] = []

    def adapter(self) -> Chat:
        return self.make()

    async def does(self, what: Command | Press | Upload) -> str:
        match what:
            case Command(text):
                sent = await self.world.ann.send(
                    self.world.general, f"<@{self.world.backend.bot_user.id}> /finetune {text}"
                )
                return f"discord/{sent.id}"
            case Press(action):
                return await self._press(action)
            case Upload():
                self._soon(self._allow())
                return f"discord/{what.id.rpartition('/')[2]}"

    async def _press(self, action: str) -> str:
        """On a message of the bot; the interaction's number is settled beforehand, so that its key is known."""
        await self.make().post(Place(str(self.world.general.id)), Message("b", "?", buttons=(Button("Go", action),)))
        number = self.world.backend.snowflake()
        message = next(message for message in self.world.from_bot() if plain(message) == "?")

        async def press() -> None:
            await self.world.is_online()
            allocate = self.world.backend.snowflake
            self.world.backend.snowflake = lambda: number  # type: ignore[method-assign]  # the next number is the interaction's
            pressing = asyncio.ensure_future(self.world.presses(message, "Go"))
            await asyncio.sleep(0)
            self.world.backend.snowflake = allocate  # type: ignore[method-assign]
            await pressing

        self._soon(press())
        return f"discord/{number}"

    async def _allow(self) -> None:
        offer = await self.world.until("shall I use pairs.csv")
        await self.world.is_online()
        await self.world.presses(offer, "Use this file")

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(asyncio.ensure_future(work))

    async def fills_in(self, button: Button, values: Mapping[str, str]) -> bool:
        """The press that opens the form, and the form that comes back."""
        label = button.label

        async def fill() -> None:
            await self.world.is_online()
            asked = next(message for message in self.world.from_bot() if label in buttons(message))
            shown = await self.world.presses(asked, label)
            await eventually(lambda: shown.modal is not None)
            await self.world.ann.submit_modal(shown, dict(values))

        self._soon(fill())
        return True

    async def ends(self) -> None:
        for task in self.tasks:
            task.cancel()
        done = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert not [each for each in done if isinstance(each, Exception)], done

    def seen_by(self, person: Person) -> list[Message]:
        who = self.world.ann if person == self.ann else self.world.bob
        return [Message("", plain(each)) for each in self.world.from_bot() if self.world.can_see(who, each)]

    def acknowledged(self) -> list[str]:
        answered = [number for number, each in self.world.backend.interactions.items() if each.responded]
        return [f"discord/{number}" for number in [*self.world.reacted(), *answered]]

    def refusals(self) -> list[str]:
        return [plain(message) for message in self.world.from_bot()]

    async def chats(self, words: str) -> bool:
        thread = self.world.channel(int(self.place.id.rpartition("/")[2]))
        await self.world.ann.send(thread, words)
        return True

    def asks_to_wait(self, seconds: float) -> bool:
        """As a proxy before Discord does; Discord's own limits are obeyed by discord.py itself."""
        self.world.wire.faults.append(Fault("POST ", 429, headers={"Retry-After": str(seconds)}))
        return True

    def file(self, content: bytes) -> Upload:
        payloads = self.world.backend.store_attachments(self.world.general.id, [("pairs.csv", content)])
        sent = self.world.backend.create_message(self.world.general.id, self.world.ann.id, "", attachments=payloads)
        return Upload(f"{sent.channel_id}/{sent.id}/{payloads[0]['id']}", "pairs.csv", len(content))

    def closed_file(self) -> Upload:
        nobody = discord.PermissionOverwrite(view_channel=False)
        closed = self.world.guild.create_text_channel("closed", overwrites={self.world.guild.default_role: nobody})
        self.world.guild.roles  # noqa: B018  the bot's own role may not open it either
        mine = self.world.backend.guilds[self.world.guild.id].members[self.world.backend.bot_user.id]
        mine.role_ids.clear()
        return Upload(f"{closed.id}/{self.world.backend.snowflake()}/1", "closed.csv", 3)


class TestDiscord(ChatContract):
    @pytest.fixture
    async def platform(self, world: World, make: Make) -> AsyncIterator[Platform]:
        root = await world.ann.send(world.general, "let us begin")
        platform = DiscordPlatform(world, make, root)
        yield platform
        with contextlib.suppress(asyncio.CancelledError):
            await platform.ends()
