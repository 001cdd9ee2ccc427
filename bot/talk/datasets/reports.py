"""A file → everything there is to say of it: its report, what changed since the last one, what it was trained into."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import File, Incoming, Message, Place, Upload
from bot.talk import bases, finetune
from bot.talk.commands import Plan, parse
from bot.talk.context import Context
from bot.talk.datasets import uploads
from bot.talk.datasets.asked import Check
from bot.talk.patience import patience
from bot.wording import help as help_words
from bot.wording import report as words
from engine.data.types import Preview, Report
from engine.jobs import Run, Status
from engine.refusal import Refusal

REMEMBERED = 500
"""How many of the latest runs are looked through for one on the same file."""


async def file_dropped(context: Context, incoming: Incoming, upload: Upload) -> None:
    """Answer a file with its report; if a request waited for it, with the plan as well."""
    key = f"{incoming.key}/report"
    before = await _last_report(context, incoming)
    async with patience(context, incoming, words.checking(key, upload.name)):
        try:
            found = await uploads.dropped(context, incoming, upload)
            message = await _report(context, incoming, key, found, before)
        except Refusal as refusal:
            found, message = None, words.unreadable(key, upload.name, refusal.text)
    await context.say(incoming.place, message)
    if found:
        await _plan_what_waited(context, incoming, found)


async def something_asked(context: Context, incoming: Incoming, check: Check) -> None:
    """Answer rows that were pasted, or a dataset of the Hub, as a file; plan on it what was asked for with it."""
    key, name = f"{incoming.key}/report", check.source or "your rows"
    before = await _last_report(context, incoming)
    async with patience(context, incoming, words.checking(key, name), f"{name} could not be checked."):
        if check.source:
            found = await uploads.from_hub(context, incoming, check.source)
        else:
            found = await uploads.pasted(context, incoming, check)
        message = await _report(context, incoming, key, found, before)
    await context.say(incoming.place, message)
    request = parse(check.then) if check.then else None
    if isinstance(request, Plan):
        await finetune.plan(context, incoming, replace(request, file=found.sha256))
    else:
        await _plan_what_waited(context, incoming, found)


async def _plan_what_waited(context: Context, incoming: Incoming, found: Report) -> None:
    """Plan the request that waited for a file, if this one may do; what cannot be planned on it goes on waiting."""
    waiting = await context.database.write(store.take_pending, incoming.place)
    request = parse(waiting) if waiting else None
    if not isinstance(request, Plan):
        return
    try:
        if words.best_first(found) or request.columns:
            await finetune.plan(context, incoming, request)
            return
    except Refusal:
        await context.database.write(store.set_pending, incoming.place, waiting)
        raise
    await context.database.write(store.set_pending, incoming.place, waiting)


async def explain(context: Context, incoming: Incoming, sha256: str) -> None:
    """The whole report of a file that was first answered with one line."""
    file = await uploads.find(context, incoming.place, sha256)
    found = uploads.report_of(context, file.sha256)
    await context.say(incoming.place, words.report(f"{incoming.key}/report", found, None))


async def fix(context: Context, incoming: Incoming, sha256: str, name: str) -> None:
    """Mend a file, attach the mended one with a line for each change, and report on it."""
    before = await _last_report(context, incoming)
    await say_mended(context, incoming, before, await uploads.fixed(context, incoming, sha256, name))


async def say_mended(context: Context, incoming: Incoming, before: Report | None, found: Report) -> None:
    """The report on a mended file, with the file and the list of its changes attached."""
    home = context.settings.uploads / found.sha256
    message = await _report(context, incoming, f"{incoming.key}/report", found, before)
    mended = (File(found.file, home / "file"), File(f"{found.file}.changes.txt", home / uploads.CHANGES))
    await context.say(incoming.place, replace(message, files=(*mended, *message.files)))


async def fill(context: Context, incoming: Incoming, sha256: str, values: Mapping[str, str]) -> None:
    """Put the cells of a form into the file, and report on what came of it. What was left empty stays as it is."""
    file = await uploads.find(context, incoming.place, sha256)
    before = uploads.report_of(context, file.sha256)
    gaps = enumerate(words.gaps_of(before))
    written = [(gap, values.get(f"gap{number}", "")) for number, gap in gaps]
    cells = [{"row": gap["row"], "column": gap["column"], "value": text} for gap, text in written if text.strip()]
    if not cells:
        raise Refusal("Nothing was filled in: press the button again and write into its fields.", "file")
    await say_mended(context, incoming, before, await uploads.filled(context, incoming, file.sha256, cells))


async def ignore(context: Context, incoming: Incoming, sha256: str) -> None:
    """Leave a file alone that resembles no training data: it is no longer of this thread."""
    await context.database.write(_ignore, incoming.place, sha256)


def _ignore(db: Connection, place: Place, sha256: str) -> None:
    for file in store.files(db, place):
        if file.sha256.startswith(sha256):
            store.remove_file(db, place, file.sha256)
    if said := store.said_with(db, place, f"ignore:{sha256}"):
        store.say(db, place, words.ignored(said))


async def choose_columns(context: Context, incoming: Incoming, sha256: str, values: Mapping[str, str]) -> None:
    """Plan on a file with the columns that were chosen in a form, for the method that uses them all."""
    said = {role: values.get(role, "").strip() for role in words.CHOSEN}
    columns = {role: name for role, name in said.items() if name not in ("", words.NO_COLUMN)}
    if "text" not in columns:
        raise Refusal("Choose the column with what the model should write; the others are optional.", "columns")
    await finetune.plan(context, incoming, Plan(_method_of(columns), file=sha256, columns=columns))


def _method_of(columns: Mapping[str, str]) -> str:
    if "label" in columns and "rejected_text" in columns:
        raise Refusal("Choose a worse answer or a label, not both: dpo learns from pairs, kto from labels.", "columns")
    if "label" in columns:
        return "kto"
    paired = "dpo" if "prompt" in columns else "reward"
    return paired if "rejected_text" in columns else "sft"


async def plan_pair(context: Context, incoming: Incoming, train: str, valid: str) -> None:
    """Plan on one file of the thread, measured on the other."""
    file = await uploads.find(context, incoming.place, valid)
    usable = words.best_first(uploads.report_of(context, (await uploads.find(context, incoming.place, train)).sha256))
    if not usable:
        raise Refusal("The file to train on has mistakes; mend them first.", "file")
    await finetune.plan(context, incoming, Plan(usable[0], file=train, options={"valid": file.name}))


async def example(context: Context, incoming: Incoming, method: str) -> None:
    """Post the small table that AutoTrain's page shows for a method, to look at or to use."""
    path = _example_file(context, method)
    text = path.read_text(encoding="utf-8")
    await context.say(incoming.place, help_words.example(f"{incoming.key}/answer", method, File(path.name, path), text))


async def use_example(context: Context, incoming: Incoming, method: str) -> None:
    """Take the table in as if somebody had dropped it here."""
    found = await uploads.copied(context, incoming, _example_file(context, method))
    await context.say(incoming.place, await _report(context, incoming, f"{incoming.key}/report", found, None))


def _example_file(context: Context, method: str) -> Path:
    name = {"reward": "reward", "dpo": "dpo", "orpo": "dpo", "kto": "kto"}.get(method, "sft")
    return context.settings.examples / f"example-{name}.csv"


async def _report(context: Context, incoming: Incoming, key: str, found: Report, before: Report | None) -> Message:
    if words.resembles_nothing(found):
        return words.no_dataset(key, found)
    message = words.report(key, found, await _first_preview(context, found))
    notes = [words.compared(before, found) if before and before.sha256 != found.sha256 else ""]
    run = await _trained_before(context, incoming, found.sha256)
    notes.append(words.lineage(context.shown(run) if run else None))
    pairs = words.pair_buttons(before, found) if before else ()
    text = "\n".join(filter(None, (message.text, *notes)))
    message = replace(message, text=text, buttons=(*message.buttons, *pairs))
    if words.is_cut(found):
        home = context.settings.uploads / found.sha256
        return replace(message, files=(_listing(home, found.file, "issues", words.all_issues(found)),))
    return message


async def _first_preview(context: Context, found: Report) -> Preview | None:
    """What a run of the method that fits best would be; a report stands without it."""
    usable = words.best_first(found)
    if not usable:
        return None
    request = Plan(usable[0])
    try:
        return await finetune.preview_of(context, found.sha256, request, bases.usual(context, request), is_quick=True)
    except Refusal:
        return None


async def _last_report(context: Context, incoming: Incoming) -> Report | None:
    """The report of the file that was dropped in this thread before."""
    files = await context.database.read(store.files, incoming.place)
    return uploads.report_of(context, files[0].sha256) if files else None


async def _trained_before(context: Context, incoming: Incoming, sha256: str) -> Run | None:
    """The latest run on the same content, if whoever asks may know of it: it was theirs, or of this thread."""
    for run in await context.database.read(engine.store.recent_runs, REMEMBERED):
        may_know = incoming.person.id == run.spec.requester or incoming.place.id == run.spec.group
        if run.spec.train.sha256 == sha256 and run.status is Status.succeeded and may_know:
            return run
    return None


def _listing(home: Path, file: str, what: str, lines: Sequence[str]) -> File:
    """`lines` as a text beside the upload: `what` is changes or issues."""
    path = home / f"{what}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return File(f"{file}.{what}.txt", path)
