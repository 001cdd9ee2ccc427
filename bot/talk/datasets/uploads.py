"""A file that somebody dropped: fetched, checked in a child, stored once by its content, and reported on."""

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from sqlalchemy import Connection

import engine.store
from bot import children, store
from bot.chat import Denied, Gone, Incoming, Place, TryLater, Upload
from bot.store import ThreadFile
from bot.talk.context import Context
from bot.talk.datasets.asked import Check
from engine.data.types import Report
from engine.hub.datasets.words import is_words
from engine.refusal import Refusal

CHECK_S = 600.0
FETCH_S = 300.0
SHORTEST_HASH = 16
CHANGES = "changes.txt"
FORMATS = {"to_csv": "csv", "to_jsonl": "jsonl"}
PACKED = (".gz", ".zip")

Cell = dict[str, object]
"""What a person wrote: `row`, `column` and `value`."""

WAIT_S = 240.0
"""How long a file waits for its turn at a platform that limits calls."""


async def dropped(context: Context, incoming: Incoming, upload: Upload) -> Report:
    """Take the file in. Raises Refusal where it cannot be had or read at all."""
    limit = context.settings.max_upload_mb * 1_000_000
    if upload.size > limit:
        raise Refusal(
            f"{upload.name} is larger than {limit // 1_000_000:,} MB, the most I take. Try it gzipped, or put it on "
            "the Hub and name it: file=hf:org/name."
        )
    async with _arrival(context, incoming.key) as folder:
        await _download(context, upload, folder / "file")
        return await take(context, incoming.place, folder, upload.name)


@contextlib.asynccontextmanager
async def _arrival(context: Context, key: str) -> AsyncIterator[Path]:
    """An empty folder for what arrives; nothing of it remains unless it was moved away."""
    folder = context.settings.data / "arrivals" / key.replace("/", "-").replace(":", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _patiently(context: Context, upload: Upload, target: Path) -> None:
    """Many files at once: each waits until the platform lets it through. Raises TryLater after WAIT_S."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            await context.chat.download(upload, target)
            return
        except TryLater as wait:
            if time.monotonic() + wait.seconds > until:
                raise
            await asyncio.sleep(wait.seconds)


async def _download(context: Context, upload: Upload, target: Path) -> None:
    try:
        await _patiently(context, upload, target)
    except Gone:
        raise Refusal(f"{upload.name} is no longer there; drop it again.") from None
    except Denied as denied:
        raise Refusal(f"I may not read {upload.name}: I lack the permission {denied.permission}.") from None
    except TryLater as wait:
        raise Refusal(
            f"The platform asks me to wait {wait.seconds:g} s for {upload.name}; drop it again then."
        ) from None


async def pasted(context: Context, incoming: Incoming, check: Check) -> Report:
    """Take in rows that stood in a message, under a name of their own."""
    async with _arrival(context, incoming.key) as folder:
        (folder / "file").write_text(check.rows, encoding="utf-8", newline="")
        digest = hashlib.sha256(check.rows.encode()).hexdigest()[:6]
        return await take(context, incoming.place, folder, f"pasted-{digest}.{check.kind}")


async def from_hub(context: Context, incoming: Incoming, source: str) -> Report:
    """Take in a dataset of the Hub, fetched by a child at a commit that its name tells."""
    async with _arrival(context, incoming.key) as folder:
        words = ("dataset", source, str(folder / "file"), "--limit-mb", str(context.settings.max_upload_mb))
        answer = await children.ask(
            *words,
            timeout_s=FETCH_S,
            environment=context.settings.hub_environment(),
            if_slow="Take fewer rows, as in hf:org/name:train[:1000].",
        )
        return await take(context, incoming.place, folder, str(answer.values["name"]))


async def copied(context: Context, incoming: Incoming, path: Path) -> Report:
    """Take in a file that the project ships."""
    async with _arrival(context, incoming.key) as folder:
        shutil.copyfile(path, folder / "file")
        return await take(context, incoming.place, folder, path.name)


async def take(context: Context, place: Place, folder: Path, name: str) -> Report:
    """Check `folder/file`, then keep it under its content's hash and in this thread."""
    told = name.replace("\0", "")  # a program's arguments cannot hold it
    words = ("check", str(folder / "file"), "--name", told, "--arrow", str(folder / "rows.arrow"))
    report = msgspec.convert(
        (await children.ask(*words, timeout_s=CHECK_S, if_slow="Try a smaller file.")).values, Report, strict=False
    )
    (folder / "report.json").write_bytes(msgspec.json.encode(report))
    _store(folder, context.settings.uploads / report.sha256)
    await context.database.write(_keep, place, report, context.clock())
    return report


def _store(folder: Path, home: Path) -> None:
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(home)


def _keep(db: Connection, place: Place, report: Report, now: float) -> None:
    engine.store.add_upload(db, report.sha256, report.file, report.bytes, msgspec.to_builtins(report), now)
    store.add_file(db, place, ThreadFile(report.sha256, report.file), now)


async def fixed(context: Context, incoming: Incoming, sha256: str, fix: str, words: tuple[str, ...] = ()) -> Report:
    """Apply a fix to a file of this thread and take the result in as a new file, named after the old one; `words` are
    what the fix needs to know. Beside the new file lies CHANGES, with a line for each of them.

    Returns its report.
    """
    wanted = () if fix == "all" else ("--fixes", fix)
    return await _mended(context, incoming, sha256, lambda _: (*wanted, *words), FORMATS.get(fix, ""))


async def _mended(
    context: Context, incoming: Incoming, sha256: str, wanted: Callable[[Path], tuple[str, ...]], format_: str = ""
) -> Report:
    file = await find(context, incoming.place, sha256)
    name = mended_name(file.name, format_ or report_of(context, file.sha256).format)
    async with _arrival(context, incoming.key) as folder:
        source, changes = context.settings.uploads / file.sha256 / "file", folder / CHANGES
        words = ("check", str(source), "--name", file.name, "--fix", str(folder / "file"), "--changes", str(changes))
        more = wanted(folder)
        environment = context.settings.hub_environment() if "--model" in more else None
        await children.ask(*words, *more, timeout_s=CHECK_S, environment=environment, if_slow="Try a smaller file.")
        report = await take(context, incoming.place, folder, name)
        if changes.exists():  # the same content was here already
            shutil.move(changes, context.settings.uploads / report.sha256 / CHANGES)
        return report


def mended_name(name: str, format_: str) -> str:
    """What a mended file is called: it is not compressed any more, and its rows are lines unless it was a table. The
    format of a file in another encoding is not known before it is mended."""
    path = Path(name)
    while path.suffix.lower() in PACKED:
        path = path.with_suffix("")
    usual = {"csv": (".csv", ".tsv", ".txt"), "jsonl": (".jsonl", ".ndjson", ".txt")}
    kind = format_ if format_ in ("", "csv") else "jsonl"
    suffix = path.suffix if not kind or path.suffix.lower() in usual[kind] else f".{kind}"
    return f"{path.stem}.fixed{suffix}"


async def wanted(context: Context, incoming: Incoming, word: str) -> ThreadFile:
    """The file of this thread that `word` names, or the dataset of the Hub, which is fetched. Raises Refusal."""
    if not is_words(word):
        return await find(context, incoming.place, word)
    found = await from_hub(context, incoming, word)
    return ThreadFile(found.sha256, found.file)


async def filled(context: Context, incoming: Incoming, sha256: str, cells: list[Cell]) -> Report:
    """Put what a person wrote into a file of this thread, as a fix does."""
    return await _mended(context, incoming, sha256, lambda folder: ("--fill", str(_written(folder, cells))))


def _written(folder: Path, cells: list[Cell]) -> Path:
    path = folder / "fill.json"
    path.write_bytes(msgspec.json.encode(cells))
    return path


async def find(context: Context, place: Place, word: str) -> ThreadFile:
    """A file of this thread by name or hash; the latest if `word` is empty. Raises Refusal naming those there are."""
    files = await context.database.read(store.files, place)
    for file in files:
        if word in ("", file.name) or (len(word) >= SHORTEST_HASH and file.sha256.startswith(word)):
            return file
    names = ", ".join(file.name for file in files) or "none yet"
    raise Refusal(f"There is no file {word} in this thread. Files here: {names}.", "file")


def report_of(context: Context, sha256: str) -> Report:
    return msgspec.json.decode((context.settings.uploads / sha256 / "report.json").read_bytes(), type=Report)
