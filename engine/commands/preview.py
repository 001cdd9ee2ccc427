"""What `python -m engine preview` takes and prints."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from engine.commands.basis import check_packages, check_room, look_and_why, slot_here, slot_named, with_time
from engine.commands.check import ROLES, mapping_from, refuse
from engine.commands.limits import limit
from engine.data.columns import missing_for
from engine.data.leakage import ROWS_SHOWN, leak_words, leaks
from engine.data.reading import lines_of
from engine.data.shown import escaped, listed
from engine.data.types import Preview, Report, Setting
from engine.jobs import Source, Value
from engine.refusal import Refusal


@dataclass(frozen=True)
class Wish:
    """What the command line asks of `preview`. `path` and `valid` are files, or folders in which a check left `file`,
    `rows.arrow` and `report.json`; `words` are parameters and columns, `epochs=3` and `prompt=question`. `slot` is
    where it would train, as GPUs × GB; empty is this machine."""

    path: Path
    method: str
    model: str
    words: tuple[str, ...]
    valid: Path | None
    as_json: bool
    slot: str = ""
    is_quick: bool = False


def preview_and_print(wish: Wish) -> int:
    """Returns the exit code: 0, or 1 where a person has something to mend."""
    try:
        limit_to(wish.path)
        made = make_preview(wish)
    except Refusal as refusal:
        return refuse(refusal, wish.as_json)
    except MemoryError:
        return refuse(Refusal("The preview needs more memory than it may take; split the file.", "file"), wish.as_json)
    except OSError as error:
        return refuse(Refusal(f"The file cannot be read: {error.strerror or 'unknown reason'}.", "file"), wish.as_json)
    if wish.as_json:
        sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
    else:
        _print(made)
    return 0


def limit_to(path: Path) -> None:
    """Bound this process, which then serves for one preview, by the size of the dataset."""
    limit(sum(file.stat().st_size for file in _files(path)))


def make_preview(wish: Wish) -> Preview:
    """Look at file and model, and say what a run would be. Raises Refusal."""
    from engine.data.checks import refuse_unknown_method
    from engine.data.preview import preview
    from engine.plan import parameters
    from engine.plan.defaults import settle
    from engine.plan.estimate import estimate, priced
    from engine.plan.gates import templates_for

    refuse_unknown_method(wish.method)
    mapping = mapping_from(tuple(word for word in wish.words if word.partition("=")[0] in ROLES))
    given = parameters.parse([word for word in wish.words if word.partition("=")[0] not in ROLES], wish.method)
    slot = slot_named(wish.slot) if wish.slot else slot_here()
    look, reason = look_and_why(wish.model, wish.method, slot)
    check_room(look, given)
    check_packages(given)
    with checked(wish.path, wish.method, mapping) as (report, arrow):
        source = Source(report.file, report.sha256, report.methods[wish.method].mapping)
        valid = _look_at_valid(wish, mapping, source, arrow)
        made = preview(
            arrow,
            report,
            source,
            wish.method,
            look,
            given,
            lambda rows, median: settle(wish.method, given, rows=rows, tokens_median=median, look=look, slot=slot),
            lambda settings, rows, tokens: estimate(wish.method, settings, look, rows, tokens, slot),
            valid.rows if valid else None,
            wish.is_quick,
        )
    price = float(os.environ.get("GPU_HOUR_PRICE") or 0)
    gpus = int(made.parameters["gpus"].value) if slot.gpus else 0
    is_open = report.type.endswith("conversational")
    return replace(
        made,
        warnings=(
            *made.warnings,
            *fate_words(made, report, wish.path),
            *([valid.warning] if valid and valid.warning else []),
        ),
        estimate=priced(made.estimate, gpus, price),
        model_reason=with_time(reason, slot, made.estimate.seconds),
        templates=templates_for(wish.method, look, given) if is_open else (),
    )


def fate_words(made: Preview, report: Report, path: Path) -> Iterator[str]:
    """Which rows are cut and which are dropped, by their physical lines where the file has lines."""
    kinds = (
        ("cut at", made.rows_truncated, made.cut_rows),
        ("dropped, since nothing of them is left to learn at", made.rows_dropped, made.dropped_rows),
    )
    lines = lines_of(_file_in(path), report.file, {*made.cut_rows, *made.dropped_rows})
    for what, number, rows in kinds:
        if rows:
            which = "Line" if all(row in lines for row in rows) else "Row"
            more = " …" if number > len(rows) else ""
            numbers = ", ".join(str(lines.get(row, row) if which == "Line" else row) for row in rows)
            where = f"{which}s {numbers}{more} are" if number > 1 else f"{which} {numbers} is"
            yield f"{where} {what} max_length={made.parameters['max_length'].value}."


def _file_in(path: Path) -> Path:
    return path / "file" if path.is_dir() else path


def _files(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]


@dataclass(frozen=True)
class Valid:
    """The second file: its rows, and a warning where some of their prompts are trained on."""

    rows: int
    warning: str


def _look_at_valid(wish: Wish, mapping: Mapping[str, str], source: Source, train: Path) -> Valid | None:
    """Raises Refusal where its columns are not those of the first file, whose accepted rows are at `train`."""
    if wish.valid is None:
        return None
    with checked(wish.valid, wish.method, mapping) as (report, arrow):
        fit = report.methods[wish.method]
        if fit.mapping != source.mapping:
            names = listed(list(source.mapping.values()))
            raise Refusal(f"{report.file} is read by other columns than {source.name}; it needs {names}.", "valid")
        found = leaks(train, arrow, fit.mapping)
        lines = lines_of(_file_in(wish.valid), report.file, {row for row, _ in found[:ROWS_SHOWN]})
        return Valid(fit.rows_used, leak_words(found, fit.rows_used, report.file, lines))


@contextmanager
def checked(path: Path, method: str, mapping: Mapping[str, str]) -> Iterator[tuple[Report, Path]]:
    """The report on a file and its accepted rows; raises Refusal where the method cannot use it as it stands."""
    from engine.data.checks import check

    with tempfile.TemporaryDirectory() as folder:
        arrow = Path(folder) / "rows.arrow"
        if not path.is_dir():
            report = check(path, method=method, arrow=arrow, mapping=mapping)
        else:
            report = msgspec.json.decode((path / "report.json").read_bytes(), type=Report)
            if mapping:
                name = report.file
                report = check(path / "file", name=name, method=method, arrow=arrow, mapping=mapping)
            elif (path / "rows.arrow").exists():
                arrow = path / "rows.arrow"
        refuse_unusable(report, method, mapping)
        yield report, arrow


def refuse_unusable(report: Report, method: str, mapping: Mapping[str, str]) -> None:
    fit = report.methods[method]
    if fit.usable:
        return
    missing = fit.missing_columns or (missing_for(method, report.columns, mapping) if not fit.mapping else ())
    if missing and report.columns:
        words = f"{method} needs the columns {listed(list(missing))}, and {report.file} has {listed(report.columns)}."
        raise Refusal(words + " Name them, as in prompt=question text=answer.", "columns")
    errors = [issue for issue in report.issues if issue.severity == "error"]
    more = f" There are {len(errors) - 1} more." if len(errors) > 1 else ""
    first = errors[0].message if errors else "it has no row that can be used."
    raise Refusal(f"{report.file} cannot be used for {method} yet. {first}{more}", "file")


def _print(made: Preview) -> None:
    from rich.console import Console
    from rich.text import Text

    from engine.plan.gates import template_words

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{made.method} on {made.model}", style="bold"))
    columns = ", ".join(f"{role} = {column}" for role, column in made.mapping.items())
    rows = f"{made.rows_used:,} rows used, {made.rows_truncated:,} of them cut, {made.rows_dropped:,} dropped, "
    console.print(Text(f"  {rows}{made.rows_held_out:,} held out; {columns}"))
    console.print(Text("  tokens: " + ", ".join(f"{name} {count:,}" for name, count in made.tokens.items())))
    for shown in made.samples:
        console.print(Text(f"  row {shown.row} ({shown.title}), what is learned in green:", style="dim"))
        console.print(_marked(shown.text, shown.trained))
    for name, setting in made.parameters.items():
        console.print(Text(f"  {name} = {_value(setting)} ({setting.reason})", style="dim"))
    console.print(Text(f"  {made.estimate.steps:,} steps, about {made.estimate.seconds:,.0f} s"))
    if made.templates:
        console.print(Text(f"  {template_words(made.model, made.templates)}", style="yellow"))
    for note in (made.model_reason, *made.warnings, made.model_note, *made.estimate.notes):
        if note:
            console.print(Text(f"  {note}", style="yellow"))


def _value(setting: Setting) -> Value:
    if isinstance(setting.value, bool):
        return "on" if setting.value else "off"
    return setting.value


def _marked(text: str, trained: tuple[tuple[int, int], ...]) -> object:
    """The text with its learned ranges in green; line breaks stay, other invisible characters are escaped."""
    from rich.text import Text

    marked, at = Text(), 0
    for start, end in trained:
        marked.append(_visible(text[at:start]))
        marked.append(_visible(text[start:end]), style="green")
        at = end
    return marked.append(_visible(text[at:]))


def _visible(text: str) -> str:
    return "\n".join(escaped(line) for line in text.split("\n"))
