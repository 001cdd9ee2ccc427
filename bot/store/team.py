"""What a team needs: the audit, runs that wait for approval, and who wants to hear of what."""

from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from bot.chat import Person
from bot.store.tables import approvals, audit, insert_if_new, subscriptions, to_text


@dataclass(frozen=True)
class Deed:
    """A row of the audit; `at` in seconds since 1970, `detail` how it went. Rows are only ever added."""

    key: str
    at: float
    person: Person
    place: str
    what: str
    subject: str
    detail: str


def add_deed(db: Connection, deed: Deed) -> None:
    values = {**vars(deed), "person": to_text(deed.person)}
    insert_if_new(db, audit, values)


def latest_deeds(db: Connection, limit: int) -> list[Deed]:
    """Newest first."""
    columns = [audit.c[name] for name in Deed.__dataclass_fields__]
    rows = db.execute(sa.select(*columns).order_by(audit.c.at.desc(), audit.c.key.desc()).limit(limit))
    return [Deed(**{**row._mapping, "person": msgspec.json.decode(row.person, type=Person)}) for row in rows]


@dataclass(frozen=True)
class Approval:
    """A run that waits for a second person; `hours` is what it is estimated to take."""

    run: str
    hours: float


def add_approval(db: Connection, approval: Approval) -> None:
    insert_if_new(db, approvals, {**vars(approval), "decided_by": None, "is_approved": None, "at": None})


def is_awaited(db: Connection, run: str) -> bool:
    """Whether a run waits for approval."""
    open_ = (approvals.c.run == run) & approvals.c.at.is_(None)
    return db.execute(sa.select(approvals.c.run).where(open_)).first() is not None


def take_approval(db: Connection, run: str, by: Person, is_approved: bool, at: float) -> bool:
    """Note the decision; False if there was one already."""
    open_ = (approvals.c.run == run) & approvals.c.at.is_(None)
    values = {"decided_by": to_text(by), "is_approved": is_approved, "at": at}
    return bool(db.execute(approvals.update().where(open_).values(**values)).rowcount)


def subscribe(db: Connection, person: Person, what: str) -> None:
    insert_if_new(db, subscriptions, {"person": person.id, "what": what, "body": to_text(person)})


def unsubscribe(db: Connection, person: Person) -> None:
    db.execute(subscriptions.delete().where(subscriptions.c.person == person.id))


def subscriptions_of(db: Connection, person: Person) -> list[str]:
    mine = sa.select(subscriptions.c.what).where(subscriptions.c.person == person.id)
    return list(db.execute(mine.order_by(subscriptions.c.what)).scalars())


def subscribers(db: Connection, run: str, everything: str) -> list[Person]:
    wanted = sa.select(subscriptions.c.body).where(subscriptions.c.what.in_((run, everything))).distinct()
    return [msgspec.json.decode(body, type=Person) for body in db.execute(wanted).scalars()]
