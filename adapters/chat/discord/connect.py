"""The gateway: connected for as long as the bot listens, again after every failure, and nothing missed in between."""

import asyncio
import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING

import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from adapters.chat.discord import commands, interactions, messages
from adapters.chat.discord.settings import DiscordSettings
from bot.chat import Denied, Gone, Handler, Lapsed, TryLater
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.discord.chat import Discord

log = structlog.get_logger()
BACK_OFF_S = (1.0, 5.0, 20.0, 60.0, 180.0)
"""Waits between two attempts to connect: Discord takes 1,000 a day, and then resets the token."""
LASTED_S = 600.0
"""A connection that held for so long was a good one: the next failure is the first again."""
GUILDS_S = 0.5
RETRY_S, MAX_TRIES = 1.0, 20
MAX_MISSED = 500
NO_LONGER = "Discord no longer takes this DISCORD_TOKEN; a new one is in the portal."
NO_CONTENT = (
    "the message content intent is off: files that are dropped are seen only where the message mentions the bot or "
    "answers it, or by its menu Apps > " + commands.MENU
)


class Client(discord.Client):
    """Hands what happens to its connection."""

    def __init__(self, connection: "Connection", intents: discord.Intents) -> None:
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=GUILDS_S,
            max_ratelimit_timeout=30.0,
            max_messages=None,
        )
        self.connection = connection

    async def on_connect(self) -> None:
        self.connection.waiting.put_nowait(None)

    async def on_ready(self) -> None:
        self.connection.is_ready.set()
        self.connection.was_there = True
        await self.connection.put_commands(self)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        if self.connection.is_ready.is_set():
            self.connection.waiting.put_nowait(guild)

    async def on_message(self, message: discord.Message) -> None:
        self.connection.waiting.put_nowait(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        await self.connection.interacted(interaction)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        log.exception("event failed", event=event_method)


class Connection:
    """Messages wait in one queue, in order: `None` stands where a session began, a guild where one became reachable;
    there what was missed is read first."""

    def __init__(self, chosen: DiscordSettings, chat: "Discord") -> None:
        self.chosen = chosen
        self.chat = chat
        self.handler: Handler | None = None
        self.reads_content = True
        self.now: Client | None = None
        self.lock = asyncio.Lock()
        self.waiting: asyncio.Queue[discord.Message | discord.Guild | None] = asyncio.Queue()
        self.is_ready = asyncio.Event()
        self.was_there = False

    async def client(self) -> Client:
        """The client, logged in. Raises Refusal when Discord does not know the token."""
        async with self.lock:
            if self.now is None:
                self.now = await self._log_in()
            return self.now

    async def _log_in(self) -> Client:
        Route.BASE = self.chosen.api
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self.chosen.gateway)
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        intents.message_content = self.reads_content
        client = Client(self, intents)
        try:
            await client.login(self.chosen.token.get_secret_value())
        except discord.LoginFailure:
            await client.close()
            if self.was_there:
                raise Lapsed(NO_LONGER, "DISCORD_TOKEN") from None
            raise Refusal("Discord does not know this DISCORD_TOKEN; docs/discord.md says where it is found.") from None
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """End the session; the next call logs in anew."""
        client, self.now = self.now, None
        self.is_ready.clear()
        if client:
            await client.close()

    # ---- listening

    async def listen(self, handler: Handler) -> None:
        self.handler = handler
        taking = asyncio.create_task(self._take_all(handler))
        try:
            await self._stay()
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            await self.close()

    async def _stay(self) -> None:
        """Connect, and connect anew after whatever ended it: discord.py itself gives up when the first attempt fails,
        and when it cannot read something that arrives."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                client = await self.client()
                await client.connect(reconnect=True)
            except discord.PrivilegedIntentsRequired:
                if not self.reads_content:
                    raise
                log.warning(NO_CONTENT)
                self.reads_content = False
            except discord.ConnectionClosed as closed:
                if closed.code == 4004:
                    raise Lapsed(NO_LONGER, "DISCORD_TOKEN") from None
                log.warning("disconnected", code=closed.code)
            except (Refusal, asyncio.CancelledError):
                raise
            except Exception as error:
                log.warning("not connected", reason=repr(error))
            await self.close()
            failures = 0 if time.monotonic() - began > LASTED_S else failures
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1

    async def _take_all(self, handler: Handler) -> None:
        while True:
            what = await self.waiting.get()
            if isinstance(what, discord.Message):
                await self._take(handler, what)
                continue
            await self.is_ready.wait()
            client = await self.client()
            for guild in [what] if what else client.guilds:
                await self._catch_up(handler, guild)

    async def _take(self, handler: Handler, message: discord.Message) -> None:
        """Hand a message over, again until it is stored; what was handed over before is passed by."""
        if message.id <= self.chat.stands.after(message.channel.id):
            return
        for attempt in range(MAX_TRIES):
            try:
                await messages.took(self.chat, handler, message)
                break
            except TryLater as wait:
                await asyncio.sleep(wait.seconds)
            except (Gone, Denied) as reason:
                log.warning("message not answered", message=message.id, reason=repr(reason))
                break
            except Exception:
                log.exception("message not taken", message=message.id)
                await asyncio.sleep(min(RETRY_S * 2**attempt, 60.0))
        self.chat.stands.passed(message.channel.id, message.id)

    async def _catch_up(self, handler: Handler, guild: discord.Guild) -> None:
        """What was said in a server since each channel's last message that was handed over."""
        channels: list[discord.TextChannel | discord.Thread] = [*guild.text_channels, *guild.threads]
        for channel in channels:
            after = self.chat.stands.after(channel.id)
            if (channel.last_message_id or 0) <= after:
                continue
            with contextlib.suppress(discord.Forbidden, discord.NotFound):
                missed = channel.history(after=discord.Object(after), oldest_first=True, limit=MAX_MISSED)
                async for message in missed:
                    await self._take(handler, message)

    async def interacted(self, interaction: discord.Interaction) -> None:
        if self.handler:
            await interactions.took(self.chat, self.handler, interaction)

    async def put_commands(self, client: Client) -> None:
        """Tell Discord the commands, if they are not the ones that it was told last."""
        wanted = commands.payload()
        stands = hashlib.sha256(json.dumps([client.application_id, wanted]).encode()).hexdigest()
        if self.chat.kept.get("commands", "") != stands and client.application_id:
            await client.http.bulk_upsert_global_commands(client.application_id, wanted)
            self.chat.kept.put("commands", "", stands)
