"""What the bot says of a file: everything that is wrong with it, or what a run on it would be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from bot.chat import Button, Field, Message, Table
from bot.wording.numbers import count, size
from bot.wording.plan import costs, samples
from engine.data.fixes import FIXES
from engine.data.shown import cut
from engine.data.types import NEEDS, Issue, Preview, Report
from engine.jobs import Run

MAX_GROUPS = 20
MAX_LINES = 5
MOST_CHOICES = 25
LONGEST_LABEL, LONGEST_BUTTON = 45, 70
"""Characters that every platform shows."""
CHOSEN = {
    "text": "What the model should write (text)",
    "prompt": "What is asked, if any (prompt)",
    "rejected_text": "A worse answer, if any (rejected_text)",
    "label": "Whether it is good: true or false (label)",
    "system": "What stands before a prompt (system)",
}
"""The columns that a person may choose, and what each is for."""
NO_COLUMN = "—"
SEVERITIES = ("error", "warning", "note")


def checking(key: str, name: str) -> Message:
    return Message(key, f"Checking {name} …")


def unreadable(key: str, name: str, why: str) -> Message:
    return Message(key, why, title=f"{name}: I could not check it")


def report(key: str, found: Report, preview: Preview | None) -> Message:
    """The answer to a file: its issues by group, and a preview where some method can use it."""
    usable = best_first(found)
    buttons = (_fill_buttons(found), _fix_buttons(found), _columns_buttons(found), _method_buttons(found, usable))
    return Message(
        key,
        _verdict(found, usable),
        title=_title(found, usable),
        fields=(*_facts(found, usable), *(costs(preview) if preview else ())),
        table=_issues(found.issues),
        code=samples(preview.samples) if preview else "",
        buttons=tuple(chain.from_iterable(buttons)),
    )


def resembles_nothing(found: Report) -> bool:
    """Whether a file was read well but has the columns of no method, and none that a fix would turn into one."""
    lacks_all = bool(found.columns) and all(fit.missing_columns for fit in found.methods.values())
    return lacks_all and not any(issue.fix for issue in found.issues)


def no_dataset(key: str, found: Report) -> Message:
    """One line instead of a wall: the thread is not only about training."""
    has = _listed([f"`{column}`" for column in found.columns[:6]])
    return Message(
        key,
        f"Not training data as it stands: it has {has}, and the least that a method needs is `text`. If a column is "
        "meant, name it, as in /finetune sft text=answer.",
        title=found.file,
        buttons=(
            Button("See why", f"why:{short(found.sha256)}"),
            *_columns_buttons(found),
            Button("Ignore", f"ignore:{short(found.sha256)}"),
        ),
    )


def compared(before: Report, now: Report) -> str:
    """What changed since the file that was dropped here before; empty for a file that is another one altogether."""
    if before.file.partition(".")[0] != now.file.partition(".")[0] and set(before.columns) != set(now.columns):
        return ""
    was, is_ = (_number_of(report, "error") for report in (before, now))
    rows = now.rows - before.rows
    more = f"{count(abs(rows), 'row')} {'more' if rows > 0 else 'fewer'}" if rows else "as many rows"
    return f"Beside {before.file}: mistakes {was:,} → {is_:,}, {more}."


def lineage(run: Run | None) -> str:
    """That the same content was trained on before, and what came of it."""
    if run is None:
        return ""
    day = datetime.fromtimestamp(run.ended_at, UTC)
    where = run.result.url or run.result.repo or "kept here"
    return f"Trained on before: run {run.id} on {day:%-d %B %Y}, {run.spec.method}, {where}."


def is_cut(found: Report) -> bool:
    """Whether a report shows fewer lines than there are issues."""
    groups = _groups(found.issues)
    return len(groups) > MAX_GROUPS or any(len(group) > MAX_LINES for group in groups)


def all_issues(found: Report) -> list[str]:
    """A line for each issue that the check listed, and the counts of those beyond."""
    listed = [f"{issue.severity}: {issue.message}" for issue in found.issues]
    beyond = sum(found.counts.values()) - len(listed)
    return [*listed, *([f"… and {beyond:,} more"] if beyond > 0 else [])]


def best_first(found: Report) -> tuple[str, ...]:
    """The methods that can use the file; the one that uses most of its columns first."""
    usable = (method for method, fit in found.methods.items() if fit.usable)
    return tuple(sorted(usable, key=lambda method: -len(NEEDS[method])))


def _title(found: Report, usable: Sequence[str]) -> str:
    if usable:
        return f"{found.file} is ready for {_listed(usable)}"
    return f"{found.file} cannot be trained on yet"


def _verdict(found: Report, usable: Sequence[str]) -> str:
    faults = _number_of(found, "error")
    doubts = _number_of(found, "warning")
    if not usable:
        them = "it" if faults == 1 else "them"
        return f"{_sum(faults, 'mistake')} to mend{_besides(doubts)}. Mend {them} and drop the file here again."
    if faults:
        return f"{_sum(faults, 'mistake')}: those rows are left out{_besides(doubts)}. The rest can be trained on."
    if doubts:
        return f"Nothing is wrong; {count(doubts, 'thing')} to look at."
    return "Nothing is wrong with it."


def _number_of(found: Report, severity: str) -> int:
    """All issues of a severity: `counts` knows those beyond the thousand that are listed."""
    codes = {issue.code for issue in found.issues if issue.severity == severity}
    return sum(found.counts.get(code, 0) for code in codes)


def _sum(faults: int, noun: str) -> str:
    return count(faults, noun) if faults else "No usable column"


def _besides(doubts: int) -> str:
    return f", and {count(doubts, 'thing')} to look at" if doubts else ""


def _facts(found: Report, usable: Sequence[str]) -> Iterable[tuple[str, str]]:
    if found.columns:
        yield "Rows", f"{found.rows:,}"
        yield "Columns", ", ".join(found.columns)
    yield "File", ", ".join(part for part in (size(found.bytes), found.format, found.encoding) if part)
    if found.type:
        yield "Type", found.type
    yield from _statistics(found.stats)
    if usable:
        yield "Fits", ", ".join(usable)
    elif found.columns:
        yield "Nearest", _nearest(found)


def _statistics(stats: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    length, labels = stats.get("length"), stats.get("labels")
    if isinstance(length, Mapping):
        middle, most, longest = (f"{length[name]:,}" for name in ("median", "p95", "max"))
        yield "Length", f"{middle} characters in the middle row, 95% have at most {most}, the longest {longest}"
    if isinstance(labels, Mapping):
        yield "Labels", f"{labels['good']:,} good, {labels['bad']:,} bad"


def _nearest(found: Report) -> str:
    """The method that lacks the fewest columns, and which."""
    lacks = {method: fit.missing_columns or NEEDS[method] for method, fit in found.methods.items()}
    if not lacks:
        return "a header line with text, or prompt, text and rejected_text"
    method = min(lacks, key=lambda name: len(lacks[name]))
    if found.methods[method].missing_columns:
        return f"{method} needs {_listed(lacks[method])}"
    return f"{method}, once the mistakes are mended"


def _groups(issues: Iterable[Issue]) -> list[list[Issue]]:
    """The issues by severity, code and column."""
    groups: dict[tuple[int, str, str | None], list[Issue]] = {}
    for issue in issues:
        groups.setdefault((SEVERITIES.index(issue.severity), issue.code, issue.column), []).append(issue)
    return [group for _, group in sorted(groups.items(), key=lambda item: item[0][0])]


def _issues(issues: Iterable[Issue]) -> Table | None:
    groups = _groups(issues)
    if not groups:
        return None
    more = len(groups) - MAX_GROUPS
    title = f"{count(more, 'more kind', 'more kinds')} of issue in the list attached" if more > 0 else ""
    rows = tuple(_row(group) for group in groups[:MAX_GROUPS])
    return Table(("", "Line", "What is wrong, and what to do"), rows, title)


def _row(group: Sequence[Issue]) -> tuple[str, str, str]:
    first = group[0]
    mark = {"error": "✗", "warning": "!", "note": "i"}[first.severity]
    also = f" ({count(len(group), 'row')} like this)" if len(group) > 1 else ""
    return mark, lines(group), first.message.removeprefix(f"Line {first.line}: ") + also


def lines(group: Sequence[Issue]) -> str:
    """The physical lines of a group: `12, 19, 31 …`."""
    numbers = sorted({issue.line for issue in group if issue.line is not None})
    return ", ".join(map(str, numbers[:MAX_LINES])) + (" …" if len(numbers) > MAX_LINES else "")


def ignored(said: Message) -> Message:
    """The one line about a file that nobody wants to train on, without its buttons."""
    return replace(said, text="Left alone. Drop it again if you meant it.", buttons=())


def gaps_of(found: Report) -> list[Mapping[str, object]]:
    """The cells that only a person can mend, where they are few."""
    gaps = found.stats.get("gaps")
    return list(gaps) if isinstance(gaps, list | tuple) else []


def _fill_buttons(found: Report) -> Iterable[Button]:
    """A form with a field for each cell that only a person can mend."""
    gaps = gaps_of(found)
    if gaps:
        form = tuple(_gap_field(number, gap) for number, gap in enumerate(gaps))
        yield Button(f"Fill in {count(len(gaps), 'cell')}", f"fill:{short(found.sha256)}", "primary", form)


def _gap_field(number: int, gap: Mapping[str, object]) -> Field:
    where = f"Line {gap['line']}" if gap["line"] else f"Row {gap['row']}"
    label = f"{where}, {gap['column']}, beside: {gap['beside']}"
    return Field(f"gap{number}", cut(label, LONGEST_LABEL), str(gap["value"]), is_long=True)


def _columns_buttons(found: Report) -> Iterable[Button]:
    """A form that says which column is which, as it is read now; none where there is nothing to choose."""
    names = tuple(dict.fromkeys(column for column in found.columns if column.strip()))
    usable = best_first(found)
    if not names or len(set(found.columns)) > MOST_CHOICES or (usable and len(names) == 1):
        return
    now = found.methods[usable[0]].mapping if usable else {}
    form = tuple(_column_field(role, words, names, now.get(role, "")) for role, words in CHOSEN.items())
    yield Button("Columns …" if usable else "Choose columns", f"columns:{short(found.sha256)}", "", form)


def _column_field(role: str, words: str, names: tuple[str, ...], now: str) -> Field:
    """What is optional can be given up again, in a form that has to choose something."""
    choices = names if role == "text" else (*names, NO_COLUMN)
    return Field(role, words, now if now in names else "", choices)


def pair_buttons(before: Report, now: Report) -> tuple[Button, ...]:
    """Which of two files of a thread is to be measured on; none where they do not belong together."""
    together = set(best_first(before)) & set(best_first(now))
    is_other = before.sha256 != now.sha256 and _stem(before.file) != _stem(now.file)
    if not together or not is_other or set(before.columns) != set(now.columns):
        return ()
    pairs = ((before, now), (now, before))
    return tuple(
        Button(
            cut(f"Train {train.file}, measure {valid.file}", LONGEST_BUTTON),
            f"pair:{short(train.sha256)}:{short(valid.sha256)}",
        )
        for train, valid in pairs
    )


def _stem(name: str) -> str:
    """A file's name without its endings; a mended one has that of the file it was made of."""
    return name.partition(".")[0]


def _fix_buttons(found: Report) -> Iterable[Button]:
    """A button for each fix, and one for all of them together."""
    fixes = {issue.fix: None for issue in found.issues if issue.fix}
    if len(fixes) > 1:
        yield Button("Mend all of it", f"fix:{short(found.sha256)}:all", "primary")
    for fix in fixes:
        words = FIXES[fix]
        yield Button(words[0].upper() + words[1:], f"fix:{short(found.sha256)}:{fix}")


def _method_buttons(found: Report, usable: Sequence[str]) -> Iterable[Button]:
    for method in usable:
        style = "primary" if method == usable[0] else ""
        yield Button(f"Plan {method}", f"plan:{short(found.sha256)}:{method}", style)


def short(sha256: str) -> str:
    """Enough of a hash to name a file of a thread: what a button carries has to be short."""
    return sha256[:16]


def _listed(words: Sequence[str]) -> str:
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)
