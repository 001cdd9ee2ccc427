"""Who did what, when and from where: a row for each thing that changes something, and for each that was refused."""

from sqlalchemy import Connection

from bot import store
from bot.chat import Command, Incoming, Press, Upload
from bot.store import Deed
from bot.talk.context import Context
from bot.team.access import check_is_admin
from bot.wording import team as words

SHOWN = 30
LOOKS = {"status", "list", "queue", "logs", "help", "example", "compare", "audit", "schedules"}
READING = LOOKS | {"why", "plan", "again", ""}
"""Words that change nothing but what is shown."""


def deed(incoming: Incoming) -> tuple[str, str]:
    """What was done, in a word, and to what."""
    match incoming.what:
        case Upload(_, name):
            return "upload", name
        case Press(action):
            what, _, rest = action.partition(":")
            return what, rest.partition(":")[0]
        case Command(text):
            what, _, rest = text.strip().partition(" ")
            return what.lower(), rest
    return "", ""


async def note(context: Context, incoming: Incoming, outcome: str) -> None:
    """Write the row, once for what arrived under one key; what only reads leaves none."""
    what, subject = deed(incoming)
    if what not in READING:
        await context.database.write(_note, context, incoming, what, subject, outcome)


def _note(db: Connection, context: Context, incoming: Incoming, what: str, subject: str, outcome: str) -> None:
    draft = store.said(db, f"draft/{subject}")
    detail = draft.title if draft and outcome == "done" else outcome
    row = Deed(incoming.key, context.clock(), incoming.person, incoming.place.id, what, subject[:200], detail[:200])
    store.add_deed(db, row)


async def show(context: Context, incoming: Incoming) -> None:
    """To an admin, and to nobody else in the channel."""
    await check_is_admin(context, incoming.person)
    rows = await context.database.read(store.latest_deeds, SHOWN)
    await context.say(incoming.place, words.audit(f"{incoming.key}/answer", rows, incoming.person))
