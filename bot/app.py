"""The composition root: loads adapters by the names in the settings, wires everything, serves until it is stopped."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import structlog
from dotenv import dotenv_values

from bot import store
from bot.chat import Chat, Command, Incoming, Lapsed, Press
from bot.migrate import upgrade
from bot.outbox import Outbox
from bot.redact import redactor, secrets_of
from bot.settings import Settings
from bot.talk.answer import answer
from bot.talk.context import Context
from bot.talk.runs import ask, progress, revoked, schedules
from bot.team import notices, retention
from bot.watching import figures
from bot.watching.attempts import Attempts
from bot.web import Health, serve_web
from engine import fault
from engine.database import Database
from engine.executor import Executor
from engine.lease import Lost, lease_for
from engine.refusal import Refusal
from engine.work import keeping
from engine.work.elsewhere.places import Places, Share
from engine.work.placing import place_sources
from engine.work.scheduler import Scheduler

log = structlog.get_logger()
OUTBOX_S = 0.1
PROGRESS_S = 1.0
CURSOR_S = 5.0
TIDY_S = 5.0
STALLED_S = 300.0
DIGEST_S = 60.0
RETENTION_S = 600.0
FIGURES_S = 15.0
SCHEDULES_S = 2.0
SWEEP_S = 60.0
KEEP_S = 3600.0
KEEP_ANSWERED_S = 30 * 86400.0
"""How long it is remembered what was answered, should a platform deliver it once more."""


def load(kind: str, name: str) -> Any:
    """The adapter module `adapters.<kind>.<name>`. Raises Refusal naming the setting when there is none."""
    try:
        return importlib.import_module(f"adapters.{kind}.{name}")
    except ModuleNotFoundError as missing:
        setting = {"chat": "CHAT", "executors": "EXECUTOR"}[kind]
        raise Refusal(f"{setting}={name}: {missing}. Is it spelt right, and its packages installed?", setting) from None


class App:
    """One bot: a chat, the database, the scheduler. `handle` is what the chat delivers to."""

    def __init__(self, settings: Settings, chat: Chat, executor: Executor, our_side: Executor) -> None:
        self.settings = settings
        self.chat = chat
        self.database = Database(settings.database)
        self.lease = lease_for(settings.database)
        self.database.fence = self.lease.fence
        self.context = Context(settings, self.database, chat, slots=executor.slots)
        self.outbox = Outbox(self.database, chat)
        link = place_sources(settings.uploads)
        keep_s, share = settings.keep_days * 86400.0, Share(settings.max_running, settings.max_running_channel)
        self.scheduler = Scheduler(self.database, executor, our_side, settings.runs, link, keep_s=keep_s, share=share)
        self.health = Health()
        self.attempts = Attempts(self.database, settings.runs)
        self.health.silent = lambda: self.attempts.silent
        self.locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.tasks: set[asyncio.Task[None]] = set()
        self.at_work: set[str] = set()
        """The keys of what is being answered."""

    async def handle(self, incoming: Incoming) -> Refusal | None:
        """Store it, so that the platform may be told that it arrived; the answer comes by itself.

        A command that cannot be understood is refused at once and not stored; a token in one is never stored.
        """
        if isinstance(incoming.what, Command):
            text = redactor.text(incoming.what.text)
            incoming = replace(incoming, what=Command(text))
            try:
                await ask.understood(self.context, incoming, text)
            except Refusal as refusal:
                return refusal
        if isinstance(incoming.what, Press) and (refused := secret_in(incoming.what)):
            return refused
        fault.point("inbox.before")
        with figures.ACK.time():
            is_new = await self.database.write(store.receive, incoming, self.context.clock())
        if is_new:
            fault.point("inbox.stored")
            self._answer_soon(incoming)
        return None

    def _answer_soon(self, incoming: Incoming) -> None:
        self.at_work.add(incoming.key)
        task = asyncio.create_task(self._answer(incoming))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, incoming: Incoming) -> None:
        """One thing at a time in a thread, in the order in which it arrived."""
        try:
            await self._answer_in_turn(incoming)
        except Exception:
            log.exception("not answered yet", key=incoming.key)  # it is still in the inbox, and asked for again
        finally:
            self.at_work.discard(incoming.key)

    async def _answer_in_turn(self, incoming: Incoming) -> None:
        lock = self.locks.setdefault(incoming.place.id, asyncio.Lock())
        async with lock:
            with structlog.contextvars.bound_contextvars(incoming=incoming.key):
                fault.point("answer.before")
                await answer(self.context, incoming)
                log.info("answered")
                fault.point("answer.done")
                await self.database.write(store.answered, incoming.key, self.context.clock())

    async def _tell(self) -> None:
        await progress.tick(self.context)
        await ask.tick(self.context)

    async def _follow_schedules(self) -> None:
        await schedules.tick(self.context)

    async def _tidy(self) -> None:
        for incoming in await self.database.read(store.unanswered):
            if incoming.key not in self.at_work:
                self._answer_soon(incoming)
        await progress.release_leftovers(self.context)

    async def _sweep(self) -> None:
        await revoked.tick(self.context)
        await self._look_after_machine()

    async def _look_after_machine(self) -> None:
        """Processes that nobody owns, and a disk that is nearly full."""
        settings, scheduler = self.settings, self.scheduler
        self.health.shortage = keeping.shortage(settings.data, settings.min_free_gb)
        scheduler.is_held = bool(self.health.shortage)
        if scheduler.is_held:
            log.error("no new run may start", why=self.health.shortage)
        await keeping.sweep(self.database, {scheduler.executor, scheduler.our_side})

    async def _keep(self) -> None:
        """What was kept long enough goes."""
        settings, now = self.settings, self.context.clock()
        before = now - settings.keep_checkpoints_days * keeping.DAY_S
        old = await self.database.read(keeping.over_before, before)
        await asyncio.to_thread(keeping.prune, settings.runs, old)
        await asyncio.to_thread(keeping.clear, settings.runs, keeping.DAY_S)
        while await self.database.write(store.forget_answered, now - KEEP_ANSWERED_S):
            pass

    async def _digest(self) -> None:
        await notices.digest(self.context)

    async def _save_cursor(self) -> None:
        await self.database.write(store.save_cursor, self.settings.chat, self.chat.cursor())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The database owned and migrated, all ticks going; everything ends on the way out.

        Waits while another bot owns it.
        """
        self.settings.data.mkdir(parents=True, exist_ok=True)
        migrate = partial(upgrade, self.settings.database)
        async with serve_web(self.settings, self.health), self.lease.held(migrate), self._working():
            yield

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        """What was left unanswered is answered first."""
        for incoming in await self.database.read(store.unanswered):
            self._answer_soon(incoming)
        ticks = ((OUTBOX_S, self.outbox.tick), (PROGRESS_S, self._tell), (CURSOR_S, self._save_cursor))
        self.scheduler.every(DIGEST_S, self._digest)
        self.scheduler.every(RETENTION_S, partial(retention.tick, self.context))
        self.scheduler.every(FIGURES_S, partial(figures.measure, self.database))
        self.scheduler.every(FIGURES_S, self.attempts.tick)
        self.scheduler.every(SCHEDULES_S, self._follow_schedules)
        self.scheduler.every(SWEEP_S, self._sweep)
        self.scheduler.every(KEEP_S, self._keep)
        self.scheduler.every(TIDY_S, self._tidy)  # not watched: a Hub that is slow is no sickness of ours
        for seconds, tick in ticks:
            self.scheduler.every(seconds, self.health.watched(tick))
        await self.scheduler.start()
        try:
            yield
        finally:
            await self.scheduler.stop()
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            with contextlib.suppress(Lost):
                await self._save_cursor()
            self.database.close()

    async def serve(self) -> None:
        """Listen until the chat ends or the task is cancelled. Raises Lost once another bot owns the database."""
        async with self.running():
            since = await self.database.read(store.cursor, self.settings.chat)
            work = (self._listen(since), self.lease.keep(), self._watch_ticks())
            await until_first(*work)

    async def _listen(self, since: str) -> None:
        """Once the platform no longer takes the token, runs go on and what is to be said waits for a restart."""
        try:
            await self.chat.listen(self.handle, since)
        except Lapsed as lapsed:
            self.health.ailment = lapsed.text
            log.error("the chat is cut off until the bot is started with a new token", why=lapsed.text)
            await asyncio.Event().wait()

    async def _watch_ticks(self) -> None:
        """A scheduler that stopped does nothing and says nothing: whoever supervises this process starts it anew."""
        started = self.scheduler.now()
        while self.scheduler.now() - max(started, self.scheduler.ticked_at) < STALLED_S:  # noqa: ASYNC110  # it is too late to ask
            await asyncio.sleep(CURSOR_S)
        raise RuntimeError("the scheduler has stopped ticking")


def secret_in(press: Press) -> Refusal | None:
    """A form with a token in it is not taken: others read what comes of it."""
    for name, value in press.values.items():
        if redactor.text(value) != value:
            return Refusal("There is a token or another secret in this; I did not keep it. Take it out.", name)
    return None


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all at once; when the first ends, well or not, the others are cancelled."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def make(settings: Settings, chat: Chat | None = None) -> App:
    """Everything wired as the settings say; `chat` stands in for the one that they name."""
    redactor.know([*settings.secrets, *secrets_of(dotenv_values(".env"))])
    environments = {kind: settings.hub_environment() for kind in ("fetch", "push")}
    local = load("executors", "local")
    our_side = local.make(settings.runs, settings.python, environments)
    made = {
        name: load("executors", name).make(settings.runs, settings.python, environments) for name in settings.executors
    }
    executor = Places(made) if len(made) > 1 else made[settings.executors[0]]
    return App(settings, chat or load("chat", settings.chat).make(settings.data), executor, our_side)
