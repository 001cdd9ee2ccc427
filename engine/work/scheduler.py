"""What makes runs go on: each tick brings every open run one step further, by what the database says.

A tick may run twice, and the bot may die at any point of one: the handle is stored before the attempt is submitted,
submitting is idempotent, and every change is one transaction over a run read in that same transaction.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import Connection

from engine import fault, life, store
from engine.database import Database
from engine.events import Event
from engine.executor import Executor, Handle, Phase
from engine.folder import RunFolder
from engine.jobs import Attempt, Run, Status
from engine.refusal import Refusal
from engine.store import Tried
from engine.store.endings import end_cancelled, expire, fail, give_up, known
from engine.work.asking.tending import KIND as ASK
from engine.work.asking.tending import Asks
from engine.work.elsewhere.places import Share, fits, is_next
from engine.work.placing import Link, carry_over, put_in_place

log = structlog.get_logger()

NO_LIMIT = Share()

KEEP_S = 7 * 86400.0
"""How long a model whose push was refused waits for somebody."""
STALL_S = 600.0
"""How long a training may say nothing before its run is given up; while it loads or measures, four times as long."""
LINGER_S = 60.0
"""How long a child may still run after its last word before it is stopped."""


class Scheduler:
    """`executor` trains; `our_side` fetches and pushes, with the Hub's tokens. Run folders lie in `root`.

    `link` places the rows, and a local base model, into a new run's folder; it may raise Refusal.
    `share` says how many runs of one requester, and of one channel, may be at work at once.
    `ticked_at` is the time of the last whole tick, in seconds since 1970; while it `is_held`, no run leaves the queue.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        our_side: Executor,
        root: Path,
        link: Link,
        interval_s: float = 0.5,
        keep_s: float = KEEP_S,
        stall_s: float = STALL_S,
        share: Share = NO_LIMIT,
    ) -> None:
        self.database = database
        self.executor = executor
        self.our_side = our_side
        self.root = root
        self.link = link
        self.keep_s = keep_s
        self.stall_s = stall_s
        self.share = share
        self.ticked_at = 0.0
        self.is_held = False
        self._began_at, self._began_monotonic = time.time(), time.monotonic()
        self.asks = Asks(database, executor, root)
        self._ticking = asyncio.Lock()
        self._submitted: set[Handle] = set()
        self._heard: dict[Handle, float] = {}
        self._asked: dict[Handle, str] = {}
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._clock = AsyncIOScheduler(timezone="UTC", job_defaults=defaults)
        self.every(interval_s, self._tick_now)

    def every(self, seconds: float, function: Callable[[], Awaitable[None]]) -> None:
        """Call `function` again and again from `start` on, never twice at once; what it raises is logged."""
        self._clock.add_job(function, "interval", seconds=seconds)

    async def start(self) -> None:
        # That a tick took longer than its interval is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        for cut_off in self.root.glob(".*-*"):
            shutil.rmtree(cut_off)
        self._clock.start()

    async def stop(self) -> None:
        """End the ticks; what runs goes on without us."""
        self._clock.shutdown(wait=False)

    def now(self) -> float:
        """Seconds since 1970, by the clock as it was when we began: putting it on or back later ends no run."""
        return self._began_at + time.monotonic() - self._began_monotonic

    async def _tick_now(self) -> None:
        await self.tick(self.now())

    async def tick(self, now: float) -> None:
        """Bring every open run a step further; returns at once while another tick is at work."""
        if self._ticking.locked():
            return
        async with self._ticking:
            await self._attend_all(now)
            await self._advance_all(now)
            await self.asks.tick(now)
            self.ticked_at = now

    async def _attend_all(self, now: float) -> None:
        for tried in await self.database.read(store.open_attempts):
            if tried.kind == ASK:
                continue
            async with self._mending(tried.run, now):
                await self._attend(tried, now)

    async def _advance_all(self, now: float) -> None:
        outstanding, runs = await self.database.read(overview)
        at_work = [run for run in runs if run.status is Status.running]
        taken = {tried.run for tried in outstanding if tried.kind != ASK}
        for run in runs:
            if run.id in taken:
                continue
            async with self._mending(run.id, now):
                started = await self._advance(run, outstanding, at_work, now)
                if started:
                    outstanding.append(started)
                    at_work.append(run)

    @asynccontextmanager
    async def _mending(self, run_id: str, now: float) -> AsyncIterator[None]:
        """A Refusal fails the run with its text; any other error is ours: logged, and tried again at the next tick."""
        with structlog.contextvars.bound_contextvars(run=run_id):
            async with self._caught(run_id, now):
                yield

    @asynccontextmanager
    async def _caught(self, run_id: str, now: float) -> AsyncIterator[None]:
        try:
            yield
        except Refusal as refusal:
            trouble = refusal.field if refusal.field in ("data", "model") else "crash"
            await self.database.write(give_up, run_id, refusal.text, now, trouble)
        except Exception:
            log.exception("a run's step failed", run=run_id)

    def _side(self, kind: str) -> Executor:
        return self.executor if kind in ("train", ASK) else self.our_side

    async def _attend(self, tried: Tried, now: float) -> None:
        """Hear what an attempt reports, see whether it ended, and pass on who wants it to end."""
        run = await self.database.read(store.run, tried.run)
        assert run is not None  # noqa: S101  # attempts refer to runs
        side = self._side(tried.kind)
        if tried.handle not in self._submitted and not run.status.is_over:
            await self._submit(self._attempt(tried), tried.handle)
        phase = await side.observe(tried.handle)
        # Read after the look at the process, so that what it wrote before its end is not missed.
        events = [] if run.status.is_over else await side.events(tried.handle, run.cursor)
        if events or is_gone(phase):
            fault.point(f"scheduler.{tried.kind}.heard")
            run = await self.database.write(advance, tried, events, phase, now)
            fault.point(f"scheduler.{tried.kind}.advanced")
            if is_gone(phase):
                log.info("attempt ended", attempt=tried.name, how=phase.name, code=phase.code)
            fault.point(f"scheduler.{run.status}")
        if not is_gone(phase):
            run = await self._notice_stall(run, tried, bool(events) or phase.name == "unknown", now)
            await self._pass_on(run, tried, now)

    async def _notice_stall(self, run: Run, tried: Tried, is_heard: bool, now: float) -> Run:
        """A child that hangs would keep its place for ever: its run fails, and what lingers is stopped."""
        if is_heard or tried.handle not in self._heard:
            self._heard[tried.handle] = now
        most_s = self.stall_s * (1 if run.progress.phase == "training" else 4)
        if run.status.is_over or now < self._heard[tried.handle] + most_s:
            return run
        what = "took no step" if run.progress.phase == "training" else "said nothing"
        reason = f"{life.WORK[tried.kind]} {what} for {most_s / 60:.0f} minutes, so it was stopped."
        return await self.database.write(fail, run.id, reason, now, "hang")

    async def _pass_on(self, run: Run, tried: Tried, now: float) -> None:
        is_lingering = run.status.is_over and now > run.ended_at + LINGER_S
        wish = "drop" if is_lingering else run.cancel
        if wish and self._asked.get(tried.handle) != wish:
            await self._side(tried.kind).cancel(tried.handle, save=wish == "save")
            self._asked[tried.handle] = wish

    async def _advance(self, run: Run, outstanding: list[Tried], at_work: list[Run], now: float) -> Tried | None:
        """Start the next child of a run whose last one is gone, if there is room."""
        if run.cancel:
            await self.database.write(end_cancelled, run.id, now)
            return None
        if life.expired(run, now, self.keep_s) != run:
            await self.database.write(expire, run.id, now, self.keep_s)
            return None
        kind = life.next_step(run, now)
        if not kind:
            return None
        if not self._has_room(run, kind, outstanding, at_work):
            if kind == "train":
                await self.asks.give_way()
            return None
        has_turn = not self.is_held and is_next(run, at_work, self.executor.slots(), self.share)
        if run.status is Status.queued and not has_turn:
            return None  # it leaves the queue only when it could train as well
        return await self._start(run, kind, now)

    def _has_room(self, run: Run, kind: str, outstanding: list[Tried], at_work: list[Run]) -> bool:
        side = self._side(kind)
        ours = [tried for tried in outstanding if self._side(tried.kind) is side]
        return len(ours) < len(side.slots()) if side is self.our_side else fits(run, ours, at_work, side.slots())

    async def _start(self, run: Run, kind: str, now: float) -> Tried | None:
        prepared = None if run.attempt else await asyncio.to_thread(self._prepare, run)
        tried = await self.database.write(self._begin, run.id, kind, prepared, now)
        fault.point(f"scheduler.{kind}.claimed")
        if tried:
            await self._submit(self._attempt(tried), tried.handle)
        elif prepared:
            shutil.rmtree(prepared)
        return tried

    def _prepare(self, run: Run) -> Path:
        """A new run's folder, under a name of its own until the run's beginning is stored."""
        folder = RunFolder(self.root / f".{run.id}-{time.time_ns()}")
        try:
            folder.data.mkdir(parents=True)
            self.link(run, folder)
            if run.of:
                carry_over(RunFolder(self.root / run.of), folder, run)
            folder.write_spec(run.spec)
            folder.write_estimate(run.estimate_s)
        except OSError as error:
            raise Refusal(f"The run's folder could not be written: {error.strerror}.") from error
        return folder.path

    def _begin(self, db: Connection, run_id: str, kind: str, prepared: Path | None, now: float) -> Tried | None:
        """Store the next attempt, unless the run has changed meanwhile so that it is not due any more."""
        run = store.run(db, run_id)
        if run is None or life.next_step(run, now) != kind:
            return None
        if prepared:
            put_in_place(prepared, self.root / run_id)
        number = 1 + sum(tried.kind == kind for tried in store.attempts(db, run_id))
        attempt = Attempt(run_id, kind, number, self.root / run_id)
        handle = self._side(kind).handle_for(attempt)
        store.add_attempt(db, attempt, handle, now)
        store.save_run(db, life.begin(run, attempt.name, now))
        return Tried(run_id, kind, number, handle, now, None)

    async def _submit(self, attempt: Attempt, handle: Handle) -> None:
        await self._side(attempt.kind).submit(attempt, handle)
        self._submitted.add(handle)
        log.info("attempt submitted", attempt=attempt.name)
        fault.point(f"scheduler.{attempt.kind}.submitted")

    def _attempt(self, tried: Tried) -> Attempt:
        return Attempt(tried.run, tried.kind, tried.number, self.root / tried.run)


def is_gone(phase: Phase) -> bool:
    return phase.name in ("exited", "lost")


def overview(db: Connection) -> tuple[list[Tried], list[Run]]:
    return store.open_attempts(db), store.in_turn(db)


def advance(db: Connection, tried: Tried, events: list[Event], phase: Phase, now: float) -> Run:
    """Store what an attempt reported and how it ended, and what the run is by it."""
    store.add_events(db, tried.run, events)
    before = run = known(db, tried.run)
    for event in events:
        run = life.apply(run, event, now)
    if is_gone(phase):
        store.end_attempt(db, tried, now)
        run = life.ended(run, phase, now) if run.attempt == tried.name else run
    if run != before:
        store.save_run(db, run)
    return run
