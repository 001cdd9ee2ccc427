"""What was asked of trained models, and how each question stands.

A question without text is somebody who wants the model loaded and asks afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Column, Connection, Float, Integer, Select, String, Table, Text, delete, insert, select, update

from engine.store import attempts, metadata

questions = Table(
    "questions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("run", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("is_told", Integer, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
)

OVER = ("answered", "failed", "unloaded")
AT_WORK = ("waiting", "loading", "ready")


@dataclass(frozen=True)
class Question:
    """`state` is waiting (for a place to run), loading, ready (only without text), answered, failed or unloaded.

    `place` is an opaque word of whoever asked, `attempt` the one that it was put to, e.g. `ask-1`; `reason` says why it
    failed, or why the model was unloaded.
    """

    key: str
    run: str
    place: str
    text: str
    at: float
    state: str = "waiting"
    attempt: str = ""
    base: str = ""
    tuned: str = ""
    reason: str = ""
    group: str = ""
    """The key of the message that shows this question beside others; empty where it has one of its own."""


def put(db: Connection, question: Question) -> bool:
    """Store a new question; False where one of that key is there already."""
    if db.execute(select(questions.c.id).where(questions.c.key == question.key)).first():
        return False
    where = {"key": question.key, "run": question.run, "place": question.place, "at": question.at, "is_told": 0}
    db.execute(insert(questions).values(**where, **_state(question)))
    return True


def save(db: Connection, question: Question) -> None:
    """Store how a question stands now; people are to be told."""
    db.execute(update(questions).where(questions.c.key == question.key).values(is_told=0, **_state(question)))


def _state(question: Question) -> dict[str, str]:
    return {"state": question.state, "body": msgspec.json.encode(question).decode()}


def forget(db: Connection, run: str) -> None:
    """Remove what was asked of a run, and what it said."""
    db.execute(delete(questions).where(questions.c.run == run))


def at_work(db: Connection) -> list[Question]:
    """Every question that is not over, the oldest first."""
    return _all(db.execute(_bodies().where(questions.c.state.in_(AT_WORK))).scalars().all())


def untold(db: Connection) -> list[Question]:
    """Those that changed since people were told how they stand."""
    return _all(db.execute(_bodies().where(questions.c.is_told == 0)).scalars().all())


def grouped(db: Connection, group: str) -> list[Question]:
    """The questions that one message shows, in the order in which they were put."""
    ours = questions.c.key.startswith(f"{group}/", autoescape=True)
    return _all(db.execute(_bodies().where(ours)).scalars().all())


def told(db: Connection, question: Question) -> None:
    """Note that people know the question as it stands here, unless it has changed since."""
    same = (questions.c.key == question.key) & (questions.c.body == _state(question)["body"])
    db.execute(update(questions).where(same).values(is_told=1))


def asked_in(db: Connection, place: str) -> str:
    """The run that was asked last in a place while its model is loaded, or about to be; empty for none."""
    here = [question for question in at_work(db) if question.place == place]
    if here:
        return here[-1].run
    of_place = select(questions.c.body).where(questions.c.place == place)
    latest = _all(db.execute(of_place.order_by(questions.c.id.desc()).limit(1)).scalars().all())
    return latest[0].run if latest and _is_loaded(db, latest[0]) else ""


def _is_loaded(db: Connection, question: Question) -> bool:
    tried = (tried for tried in attempts(db, question.run) if tried.name == question.attempt)
    return any(attempt.ended_at is None for attempt in tried)


def of(known: Sequence[Question], run: str, attempt: str) -> list[Question]:
    return [question for question in known if (question.run, question.attempt) == (run, attempt)]


def answered(question: Question, base: str, tuned: str) -> Question:
    return replace(question, state="answered", base=base, tuned=tuned)


def _bodies() -> Select[str]:
    return select(questions.c.body).order_by(questions.c.id)


def _all(bodies: Sequence[str]) -> list[Question]:
    return [msgspec.json.decode(body, type=Question) for body in bodies]
