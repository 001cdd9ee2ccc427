"""What a run would be, before it is queued: the exact text that the model will see, and what becomes of every row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.data.held_out import group_of, held_out
from engine.data.preview.fate import fate_of, histogram
from engine.data.preview.plan import Plan, choose_plan, other_plan
from engine.data.preview.rows import Rows
from engine.data.preview.samples import sample, samples
from engine.data.preview.tokens import FileTokenizer
from engine.data.shown import shown
from engine.data.trainer_rows import keeps_marks, open_ended
from engine.data.turns import LITERAL_NEWLINE, MARKS, marks_as_text, unescape
from engine.data.types import Estimate, Preview, Report, Row, Setting
from engine.jobs import Source, Value
from engine.plan.models import Look
from engine.refusal import Refusal

SHOWN_CELL = 200
ROWS_NAMED = 5

Settle = Callable[[int, int], Mapping[str, Setting]]
"""(training rows, median of their tokens) → every parameter with its reason."""
Estimator = Callable[[Mapping[str, Setting], int, int], Estimate]
"""(parameters, training rows, their tokens) → what the run takes."""


def preview(
    arrow: Path,
    report: Report,
    source: Source,
    method: str,
    look: Look,
    given: Mapping[str, Value],
    settle: Settle,
    estimate: Estimator,
    valid_rows: int | None = None,
    is_quick: bool = False,
) -> Preview:
    """Show a run of `method` on the accepted rows at `arrow` with the model `look`.

    `source` names the columns; whether turn markers become a conversation is decided here. `valid_rows` counts the
    rows of a second file; `is_quick` tells the tokens from some rows. Raises Refusal where rows cannot be read so.
    """
    rows = Rows(arrow)
    if not rows:
        raise Refusal("The file has no row that can be used.", "file")
    plan = choose_plan(rows, report, source, method, look, given)
    tokenizer = FileTokenizer(look.folder, str(given.get("template", "auto")))
    first = settle(len(rows), 0)
    max_length = int(first["max_length"].value)
    fate = fate_of(rows, plan, tokenizer, max_length, is_quick=is_quick)
    held = held_out([group_of(row, plan.way) for row in rows], _values(first)) if valid_rows is None else frozenset()
    used = max(1, fate.used - len(held))
    settings = settle(used, fate.tokens["median"])
    other = other_plan(plan, look)
    own = tokenizer if given.get("template") != "none" else FileTokenizer(look.folder)
    return Preview(
        method=method,
        model=look.id,
        revision=look.revision,
        model_note=look.note,
        base_run=look.made_by,
        rows_used=fate.used,
        rows_truncated=fate.cut,
        rows_dropped=fate.dropped,
        rows_held_out=len(held) if valid_rows is None else valid_rows,
        tokens=fate.tokens,
        histogram=histogram(fate.sizes),
        cut_rows=fate.cut_rows[:ROWS_NAMED],
        dropped_rows=fate.dropped_rows[:ROWS_NAMED],
        samples=samples(rows, fate.sizes, plan, tokenizer, max_length),
        as_conversation=plan.is_conversation,
        alternative=_alternative(rows[0], other, own, max_length),
        unescape=_unescaped(rows, plan),
        join=_join(rows[0], plan),
        parameters=settings,
        estimate=estimate(settings, used, round(fate.tokens["total"] * used / max(1, fate.used))),
        mapping=dict(plan.way),
        marks=_marks(report, plan),
        warnings=_spaced_marks(rows, plan),
    )


def _spaced_marks(rows: Sequence[Row], plan: Plan) -> tuple[str, ...]:
    """That marks of templates in cells are read as letters, with the first one as an example."""
    if keeps_marks(plan.method, plan.way, plan.source, plan.has_template):
        return ()
    for number, row in enumerate(rows, 1):
        for column in plan.way.values():
            cell = row.get(column)
            if isinstance(cell, str) and ("<" in cell or "[" in cell) and (found := MARKS.search(cell)):
                mark = found[0]
                words = (
                    f"Marks of chat templates in cells are read as letters, which end no turn: {shown(mark)} of row "
                )
                return (f"{words}{number} as {shown(marks_as_text(mark))}, with a space in it.",)
    return ()


def _marks(report: Report, plan: Plan) -> str:
    """What the marks of a template in cells are, where that can be chosen."""
    source = replace(plan.source, marks_are_text=False)
    if not report.stats.get("templated") or not keeps_marks(plan.method, plan.way, source, plan.has_template):
        return ""
    return "text" if plan.source.marks_are_text else "keep"


def _values(settings: Mapping[str, Setting]) -> dict[str, Value]:
    return {name: setting.value for name, setting in settings.items()}


def _alternative(row: Row, other: Plan | None, tokenizer: FileTokenizer, max_length: int) -> str:
    if other is None:
        return ""
    try:
        return sample("first", 1, row, other, tokenizer, max_length).text
    except Refusal:
        return ""


def _unescaped(rows: Sequence[Row], plan: Plan) -> tuple[str, str] | tuple[()]:
    """One cell with a literal backslash-n, before and after."""
    for row in rows:
        for column in plan.way.values():
            cell = row.get(column)
            if isinstance(cell, str) and "\\n" in cell and (found := LITERAL_NEWLINE.search(cell)):
                near = cell[max(0, found.start() - SHOWN_CELL // 2) : found.end() + SHOWN_CELL // 2]
                return near, unescape(near)
    return ()


def _join(row: Row, plan: Plan) -> str:
    """How a plain prompt meets its answer, in words; empty where the template or nothing joins them."""
    if plan.is_conversation or "prompt" not in plan.way:
        return ""
    prompt, answer = str(row.get(plan.way["prompt"])), str(row.get(plan.way["text"]))
    between = "a line break between them" if open_ended(prompt) != prompt else "nothing between them"
    return f"{prompt[-30:]!r} + {answer[:30]!r}, {between}"
