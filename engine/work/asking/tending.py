"""The attempts in which models are asked: started where there is room, and ended as soon as a training needs it."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from engine import store
from engine.database import Database
from engine.events import ENDS, Event
from engine.executor import Executor, Handle, Phase
from engine.jobs import Attempt, Status
from engine.refusal import Refusal
from engine.store import Tried
from engine.work.asking import QUESTIONS, questions
from engine.work.asking.questions import Question

log = structlog.get_logger()
KIND = "ask"
UNLOADED = {
    "stopped": "Its place was needed, by a training or by another model.",
    "finished": "Nobody asked anything for 5 minutes.",
}


class Asks:
    """Questions wait in the database, go to their attempt as lines of a file, and come back as its events."""

    def __init__(self, database: Database, executor: Executor, root: Path) -> None:
        self.database = database
        self.executor = executor
        self.root = root
        self._submitted: set[Handle] = set()
        self._heard: dict[Handle, int] = {}
        self._leaving: set[Handle] = set()

    async def tick(self, now: float) -> None:
        """Hear those that are at work, and put waiting questions to them; what fails is tried at the next tick."""
        known, opened = await self.database.read(standing)
        for tried in opened:
            await self._safely(tried.run, self._attend(tried, known, now), now)
        waiting: dict[str, list[Question]] = defaultdict(list)
        for question in known:
            if question.state == "waiting":
                waiting[question.run].append(question)
        for run, asked in waiting.items():
            await self._safely(run, self._put(run, asked, now), now)

    async def give_way(self) -> None:
        """End an attempt that asks, since a training is due and finds no room."""
        _, opened = await self.database.read(standing)
        await self._end(opened[:1])

    async def _end_an_idle_one(self, opened: Sequence[Tried]) -> None:
        """Another model is wanted: one that has answered all leaves, unless a training would take its place."""
        if await self.database.read(wanted) >= len(self.executor.slots()):
            return
        known = await self.database.read(questions.at_work)
        busy = {(question.run, question.attempt) for question in known if question.text}
        await self._end([tried for tried in opened if (tried.run, tried.name) not in busy][:1])

    async def _end(self, leaving: Sequence[Tried]) -> None:
        for tried in leaving:
            self._leaving.add(tried.handle)
            await self.executor.cancel(tried.handle, save=False)

    async def _safely(self, run: str, step: Any, now: float) -> None:
        try:
            await step
        except Refusal as refusal:
            await self.database.write(fail_all, run, refusal.text, now)
        except Exception:
            log.exception("a question's step failed", run=run)

    async def _attend(self, tried: Tried, known: Sequence[Question], now: float) -> None:
        if tried.handle not in self._submitted:
            await self._submit(Attempt(tried.run, KIND, tried.number, self.root / tried.run), tried.handle)
        phase = await self.executor.observe(tried.handle)
        events = await self.executor.events(tried.handle, self._heard.get(tried.handle, 0))
        if events or is_gone(phase):
            await self.database.write(hear, tried, events, phase, now)
            self._heard[tried.handle] = max([event.seq for event in events], default=0)

    async def _submit(self, attempt: Attempt, handle: Handle) -> None:
        await self.executor.submit(attempt, handle)
        self._submitted.add(handle)

    async def _put(self, run: str, asked: Sequence[Question], now: float) -> None:
        """Hand questions to the attempt of their run, which is started first where there is room for it."""
        _, opened = await self.database.read(standing)
        tried = next((tried for tried in opened if tried.run == run), None)
        if tried is None:
            tried = await self.database.write(self._begin, run, now)
            if tried:
                await self._submit(Attempt(run, KIND, tried.number, self.root / run), tried.handle)
            else:
                await self._end_an_idle_one(opened)
        if tried is None or tried.handle in self._leaving:
            return
        folder = Attempt(run, KIND, tried.number, self.root / run).folder
        write_lines(folder, [line_of(question) for question in asked if question.text])
        await self.database.write(handed, asked, tried.name)

    def _begin(self, db: Connection, run_id: str, now: float) -> Tried | None:
        """Store a new attempt, if a place is left over by the trainings that run, and by those that are queued."""
        asking = sum(tried.kind == KIND for tried in store.open_attempts(db))
        if wanted(db) + asking >= len(self.executor.slots()):
            return None
        if not (self.root / run_id).exists():
            raise Refusal(f"What run {run_id} had made is no longer here. `/finetune retry {run_id}` makes it anew.")
        number = 1 + sum(tried.kind == KIND for tried in store.attempts(db, run_id))
        attempt = Attempt(run_id, KIND, number, self.root / run_id)
        handle = self.executor.handle_for(attempt)
        store.add_attempt(db, attempt, handle, now)
        return Tried(run_id, KIND, number, handle, now, None)


def standing(db: Connection) -> tuple[list[Question], list[Tried]]:
    """The questions that are not over, and the attempts that may still run."""
    return questions.at_work(db), [tried for tried in store.open_attempts(db) if tried.kind == KIND]


def wanted(db: Connection) -> int:
    """The places that trainings take, or will take once they are fetched or it is their turn."""
    return sum(run.status in (Status.queued, Status.running) for run in store.in_turn(db))


def is_gone(phase: Phase) -> bool:
    return phase.name in ("exited", "lost")


def handed(db: Connection, asked: Sequence[Question], attempt: str) -> None:
    is_loaded = any(event.kind == "started" for event in store.events(db, asked[0].run, attempt))
    for question in asked:
        state = "ready" if is_loaded and not question.text else "loading"
        questions.save(db, replace(question, state=state, attempt=attempt))


def hear(db: Connection, tried: Tried, events: Sequence[Event], phase: Phase, now: float) -> None:
    """What an attempt reported, as the questions that were put to it stand by it. Hearing it twice changes nothing."""
    store.add_events(db, tried.run, events)
    ours = {question.key: question for question in questions.of(questions.at_work(db), tried.run, tried.name)}
    changed = dict(ours)
    for event in events:
        key = str(event.data.get("key", ""))
        if event.kind == "answered" and key in changed:
            changed[key] = questions.answered(changed[key], str(event.data["base"]), str(event.data["tuned"]))
        elif event.kind == "started":
            waits = {key: question for key, question in changed.items() if not question.text}
            changed |= {key: replace(question, state="ready") for key, question in waits.items()}
    if is_gone(phase):
        store.end_attempt(db, tried, now)
        last = [event for event in store.events(db, tried.run, tried.name) if event.kind in ENDS][-1:]
        changed = {key: left(question, last[0] if last else None, phase) for key, question in changed.items()}
    for key, question in changed.items():
        if question != ours[key]:
            questions.save(db, question)


def left(question: Question, last: Event | None, phase: Phase) -> Question:
    """A question whose attempt is gone: one that was put off waits again, one whose attempt broke has failed."""
    if question.state == "answered":
        return question
    if last and last.kind in UNLOADED:
        if question.text:
            return replace(question, state="waiting", attempt="")
        return replace(question, state="unloaded", reason=UNLOADED[last.kind])
    reason = str(last.data.get("reason", "")) if last else how_it_ended(phase)
    return replace(question, state="failed", reason=reason)


def how_it_ended(phase: Phase) -> str:
    if phase.code in (-9, 137):
        return "The process that answers was killed by the system, most often out of memory. Ask again."
    return "The process that answers ended without a word. Ask again; its log says more."


def fail_all(db: Connection, run: str, reason: str, now: float) -> None:
    """End a run's questions, with the attempt that was meant for them."""
    for tried in store.attempts(db, run):
        if tried.kind == KIND and tried.ended_at is None:
            store.end_attempt(db, tried, now)
    for question in questions.at_work(db):
        if question.run == run:
            questions.save(db, replace(question, state="failed", reason=reason))


def line_of(question: Question) -> dict[str, str]:
    """What is handed to the child: with a place it follows on from what was asked there before."""
    return {"key": question.key, "text": question.text, "place": "" if question.group else question.place}


def write_lines(folder: Path, lines: Sequence[dict[str, str]]) -> None:
    if lines:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / QUESTIONS).open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
