"""What the bot says of a file: everything that is wrong with it, or what a run on it would be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.chat import Button, Message, Table
from bot.wording.numbers import count, duration, number, size
from engine.data.fixes import FIXES
from engine.data.types import NEEDS, Issue, Preview, Report, Sample, Setting
from engine.jobs import Value

MAX_GROUPS = 15
MAX_SAMPLE = 700
QUESTION = "\nStart it?"
SEVERITIES = ("error", "warning", "note")


def checking(key: str, name: str) -> Message:
    return Message(key, f"Checking {name} …")


def unreadable(key: str, name: str, why: str) -> Message:
    return Message(key, why, title=f"{name}: I could not check it")


def report(key: str, found: Report, preview: Preview | None) -> Message:
    """The answer to a file: its issues by group, and a preview where some method can use it."""
    usable = best_first(found)
    return Message(
        key,
        _verdict(found, usable),
        title=_title(found, usable),
        fields=(*_facts(found, usable), *(_costs(preview) if preview else ())),
        table=_issues(found.issues),
        code=_samples(preview.samples) if preview else "",
        buttons=(*_fix_buttons(found), *_method_buttons(found, usable)),
    )


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
        return f"{_sum(faults, 'mistake')} to mend{_besides(doubts)}. Mend them and drop the file here again."
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
    yield "Rows", f"{found.rows:,}"
    if found.columns:
        yield "Columns", ", ".join(found.columns)
    yield "File", ", ".join(part for part in (size(found.bytes), found.format, found.encoding) if part)
    if found.type:
        yield "Type", found.type
    if usable:
        yield "Fits", ", ".join(usable)
    else:
        yield "Nearest", _nearest(found)


def _nearest(found: Report) -> str:
    """The method that lacks the fewest columns, and which."""
    lacks = {method: fit.missing_columns or NEEDS[method] for method, fit in found.methods.items()}
    if not lacks:
        return "a header line with text, or prompt, text and rejected_text"
    method = min(lacks, key=lambda name: len(lacks[name]))
    if found.methods[method].missing_columns:
        return f"{method} needs {_listed(lacks[method])}"
    return f"{method}, once the mistakes are mended"


def _costs(preview: Preview) -> Iterable[tuple[str, str]]:
    tokens = preview.tokens
    yield (
        "Tokens",
        f"{tokens['total']:,} in all; {tokens['median']:,} in the middle row, {tokens['max']:,} in the longest",
    )
    yield "Used", _used(preview)
    estimate = preview.estimate
    took = f"{preview.method}: about {duration(estimate.seconds)} for {count(estimate.steps, 'step')}"
    yield "Estimate", f"{took}, {number(estimate.memory_gb)} GB of memory"


def _used(preview: Preview) -> str:
    parts = [count(preview.rows_used, "row")]
    if preview.rows_held_out:
        parts.append(f"{preview.rows_held_out:,} held out for the comparison")
    if preview.rows_truncated:
        parts.append(f"{preview.rows_truncated:,} cut at max_length")
    if preview.rows_dropped:
        parts.append(f"{preview.rows_dropped:,} dropped")
    return ", ".join(parts)


def _issues(issues: Iterable[Issue]) -> Table | None:
    groups: dict[tuple[int, str, str | None], list[Issue]] = {}
    for issue in issues:
        groups.setdefault((SEVERITIES.index(issue.severity), issue.code, issue.column), []).append(issue)
    if not groups:
        return None
    rows = [_row(group) for _, group in sorted(groups.items(), key=lambda item: item[0][0])]
    more = len(rows) - MAX_GROUPS
    title = f"and {count(more, 'more kind', 'more kinds')} of issue" if more > 0 else ""
    return Table(("", "Line", "What is wrong, and what to do"), tuple(rows[:MAX_GROUPS]), title)


def _row(group: Sequence[Issue]) -> tuple[str, str, str]:
    first = group[0]
    mark = {"error": "✗", "warning": "!", "note": "i"}[first.severity]
    also = f" ({count(len(group), 'row')} like this)" if len(group) > 1 else ""
    return mark, lines(group), first.message.removeprefix(f"Line {first.line}: ") + also


def lines(group: Sequence[Issue], shown: int = 5) -> str:
    """The physical lines of a group: `12, 19, 31 …`."""
    numbers = sorted({issue.line for issue in group if issue.line is not None})
    return ", ".join(map(str, numbers[:shown])) + (" …" if len(numbers) > shown else "")


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


def _samples(samples: Iterable[Sample]) -> str:
    """The samples as the model will see them; what the loss is computed on stands between ⟦ and ⟧."""
    return "\n\n".join(f"— {sample.title}, row {sample.row} —\n{_marked(sample)}" for sample in samples)


def _marked(sample: Sample) -> str:
    text, at = "", 0
    for start, end in sample.trained:
        text += f"{sample.text[at:start]}⟦{sample.text[start:end]}⟧"
        at = end
    text = (text + sample.text[at:]).rstrip("\n")
    return text if len(text) <= MAX_SAMPLE else text[:MAX_SAMPLE] + f" … ({len(sample.text):,} characters)"


def plan(key: str, draft: str, preview: Preview, file: str) -> Message:
    """What a run would be, and the button that queues it."""
    what = f"{preview.method} on {file} with {preview.model}."
    notes = (note for note in (preview.model_note, *preview.estimate.notes) if note)
    return Message(
        key,
        "\n".join((what, *notes)) + QUESTION,
        title=f"{preview.method}: ready to start",
        fields=(*_costs(preview), *_reading(preview)),
        table=_settings(preview.parameters),
        code=_samples(preview.samples) + _other_reading(preview),
        buttons=(
            Button("Start", f"start:{draft}", "primary"),
            *_choices(draft, preview),
            Button("Discard", f"drop:{draft}"),
        ),
    )


def _reading(preview: Preview) -> Iterable[tuple[str, str]]:
    if preview.mapping:
        yield "Columns", ", ".join(f"{need} = {column}" for need, column in preview.mapping.items())
    if preview.join:
        yield "Join", preview.join
    if preview.unescape:
        before, after = preview.unescape
        yield "Literal \\n", f"in the file: {before[:120]!r}; unescaped: {after[:120]!r}"


def _other_reading(preview: Preview) -> str:
    if not preview.alternative:
        return ""
    other = "as plain text" if preview.as_conversation else "as a conversation"
    return f"\n\n— the first row {other} would be —\n{preview.alternative[:MAX_SAMPLE]}"


def _choices(draft: str, preview: Preview) -> Iterable[Button]:
    """The readings that a press can change: turn markers, and literal backslash-n."""
    if preview.alternative:
        word = "none" if preview.as_conversation else "auto"
        label = "Train as plain text" if preview.as_conversation else "Train as conversation"
        yield Button(label, f"again:{draft}:template={word}")
    if preview.unescape:
        is_on = preview.parameters.get("unescape", Setting(value=False)).value
        yield Button(
            "Keep \\n as it is" if is_on else "Unescape \\n", f"again:{draft}:unescape={'off' if is_on else 'on'}"
        )


def _settings(settings: Mapping[str, Setting]) -> Table:
    """The parameters that were chosen for these rows, this model and this machine; the usual ones are left out."""
    chosen = {name: setting for name, setting in settings.items() if setting.reason not in ("", "usual")}
    rows = tuple((name, value(setting.value), setting.reason) for name, setting in chosen.items())
    return Table(("Parameter", "Value", "Why"), rows)


def value(of: Value) -> str:
    if isinstance(of, bool):
        return "on" if of else "off"
    return f"{of:g}" if isinstance(of, float) else str(of)


def taken(draft: Message, words: str) -> Message:
    """A draft that was answered: what it said still stands, without its buttons and under its outcome."""
    return replace(draft, title=words, text=draft.text.removesuffix(QUESTION), buttons=())
