"""What `python -m engine check` prints, and its exit code."""

import errno
import itertools
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.data.findings import CANNOT_READ
from engine.data.shown import escaped, shown
from engine.data.types import NEEDS, Fit, Issue, Report
from engine.jobs import Value
from engine.refusal import Refusal

if TYPE_CHECKING:
    from engine.data.fixes.changes import Shorten

MOST_CHANGES = 50
ROLES = ("text", "prompt", "rejected_text", "label", "messages", "input", "system")


def exit_code(report: Report, method: str | None) -> int:
    """0 usable (by `method`, or by at least one), 1 it has errors, 2 it cannot be read."""
    if any(code in CANNOT_READ for code in report.counts):
        return 2
    fits = [report.methods[method]] if method else report.methods.values()
    return 0 if any(fit.usable for fit in fits) else 1


def unreadable(path: Path, name: str, text: str) -> Report:
    """The report of a file that is not there, or that the system does not let us read."""
    issue = Issue("unreadable", "error", text)
    size = path.stat().st_size if path.is_file() else 0
    methods = {word: Fit(False, missing_columns=needs) for word, needs in NEEDS.items()}
    return Report(name, "", size, methods=methods, issues=(issue,), counts={"unreadable": 1})


@dataclass(frozen=True)
class Wish:
    """What the command line asks of `check`. `columns` are words such as `text=answer`, and with a model parameters
    such as `max_length=512`; `changes` is where a line for each change of a fix goes."""

    file: Path
    name: str
    method: str | None
    model: str | None
    columns: tuple[str, ...]
    fix: Path | None
    fixes: tuple[str, ...]
    rows: Path | None
    arrow: Path | None
    as_json: bool
    fill: Path | None = None
    changes: Path | None = None


def check_and_print(wish: Wish) -> int:
    """Check, fix where asked, print the report of the file as it was given. Returns the exit code."""
    from engine.data.checks import refuse_unknown_method

    try:
        refuse_unknown_method(wish.method)
        mapping, given = words_from(wish)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.text}\n")
        return 2
    try:
        report = _check(wish, mapping, given)
    except Refusal as refusal:
        return refuse(refusal, wish.as_json)
    _write(report, wish.method, wish.as_json)
    return exit_code(report, wish.method)


def words_from(wish: Wish) -> tuple[dict[str, str], Mapping[str, Value]]:
    """The columns that were named, and the parameters. Raises Refusal for words that are neither."""
    named = {word.partition("=")[0] for word in wish.columns}
    if not wish.model or named <= set(ROLES):
        return mapping_from(wish.columns), {}
    from engine.plan import parameters

    columns = tuple(word for word in wish.columns if word.partition("=")[0] in ROLES)
    return mapping_from(columns), parameters.parse(
        [word for word in wish.columns if word not in columns], wish.method or "sft"
    )


def _check(wish: Wish, mapping: Mapping[str, str], given: Mapping[str, Value]) -> Report:
    """Raises Refusal for a model or a fix that is none."""
    if not wish.model:
        report = bounded_check(wish, mapping)
        if wish.fix is not None:
            _fix(wish, wish.fix, report, mapping, None)
        return report
    from engine.commands.tokens import shortening, with_lines, with_tokens

    with tempfile.TemporaryDirectory() as folder:
        arrow = wish.arrow or Path(folder) / "rows.arrow"
        report = bounded_check(replace(wish, arrow=arrow), mapping)
        report = with_lines(with_tokens(report, arrow, wish.model, wish.method, given), wish.file)
        if wish.fix is not None:
            shorten = shortening(report, arrow, wish.model, wish.method, given) if wish.method else None
            _fix(wish, wish.fix, report, mapping, shorten)
    return report


def refuse(refusal: Refusal, as_json: bool) -> int:
    """Say a refusal, as JSON for programs. Returns the exit code."""
    if as_json:
        answer = {"refusal": {"field": refusal.field, "text": refusal.text}}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        sys.stderr.write(f"{refusal.text}\n")
    return 1


def mapping_from(words: tuple[str, ...]) -> dict[str, str]:
    """`text=answer` words as role → column. Raises Refusal for other words."""
    mapping = {}
    for word in words:
        role, equals, column = word.partition("=")
        if not equals or role not in ROLES or not column:
            raise Refusal(f"{shown(word)} is no mapping; write e.g. prompt=question text=answer.", "columns")
        mapping[role] = column
    return mapping


def _fix(wish: Wish, out: Path, report: Report, mapping: Mapping[str, str], shorten: "Shorten | None") -> None:
    """Apply the fixes that are named, or all that the report offers. The first changes go to standard error, all to
    the file that is named. `shorten` is how rows that are too long are cut."""
    from engine.data.checks.gaps import filled
    from engine.data.fixes import Changes, Written, apply
    from engine.data.reading import CannotRead

    cells = filled(msgspec.json.decode(wish.fill.read_bytes())) if wish.fill else {}
    written = {place: Written(text) for place, text in cells.items()}
    offered = () if written else tuple(dict.fromkeys(issue.fix for issue in report.issues if issue.fix))
    fixes = wish.fixes or offered
    if "cut_over_long" in fixes and not (wish.model and wish.method):
        raise Refusal("cut_over_long needs a base model and a method: add --model and --method.", "fixes")
    if "cut_over_long" in wish.fixes and shorten is None:
        raise Refusal(f"Nothing was cut: {report.file} cannot be used for {wish.method} yet. Mend it first.", "fixes")
    with wish.changes.open("w", encoding="utf-8") if wish.changes else nullcontext() as listing:
        try:
            changes = apply(wish.file, out, fixes, mapping, written, shorten, Changes(listing))
        except CannotRead as error:
            raise Refusal(f"Nothing was mended. {error.text}", "file") from None
    for change in itertools.islice(changes, MOST_CHANGES):
        sys.stderr.write(f"{change.words()}\n")
    sys.stderr.write(f"{len(changes):,} changes, written to {out}.\n")


def bounded_check(wish: Wish, mapping: Mapping[str, str]) -> Report:
    """`check` within limits, which ends in words whatever the file does."""
    from engine.commands.limits import limit
    from engine.data.checks import check
    from engine.data.checks.gaps import gaps

    path, name = wish.file, wish.name
    try:
        limit(path.stat().st_size)
        report = check(path, name=name, method=wish.method, arrow=wish.arrow, rows=wish.rows, mapping=mapping)
        found = gaps(path, report)
        return replace(report, stats={**report.stats, "gaps": found}) if found else report
    except MemoryError:
        return unreadable(path, name, "The file needs more memory than a check may take; split it.")
    except IsADirectoryError:
        return unreadable(path, name, "This is a folder, not a file.")
    except OSError as error:
        if error.errno == errno.EFBIG:
            return unreadable(path, name, "What a check writes beside this file grows too large; split it.")
        what = "The file cannot be read" if error.filename in (None, str(path)) else "The rows cannot be written"
        return unreadable(path, name, f"{what}: {error.strerror or 'unknown reason'}.")
    except Refusal as refusal:
        return unreadable(path, name, refusal.text)


def _write(report: Report, method: str | None, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, method)


def _print(report: Report, method: str | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from engine.data.checks.grouping import group

    console = Console(highlight=False, soft_wrap=True)
    what = {"csv": "CSV", "jsonl": "JSONL", "json": "a JSON array", "parquet": "Parquet"}.get(report.format, "")
    console.print(Text(f"{escaped(report.file)}: {what + ', ' if what else ''}{_rows(report.rows)}", style="bold"))
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for kind, colour in colours.items():
        of_kind = [issue for issue in report.issues if issue.severity == kind]
        for sentence in group(of_kind, report.counts):
            console.print(Text(f"  {kind}: {sentence}", style=colour))
    for word, fit in report.methods.items():
        if method in (None, word) and fit.usable:
            columns = ", ".join(dict.fromkeys(fit.mapping.values()))
            cut = f", {fit.rows_truncated:,} of them cut" if fit.rows_truncated else ""
            console.print(Text(f"  {word}: {_rows(fit.rows_used)}{cut}, from {columns}", style="green"))
    if not any(fit.usable for fit in report.methods.values()):
        console.print(Text("  Not usable as it stands.", style="red"))


def _rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"
