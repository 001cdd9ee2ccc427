"""What a check can say once the base model is known: tokens, and the rows that its training would cut or drop."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.basis import look_for, slot_here
from engine.data.findings import MOST_ISSUES, severity
from engine.data.preview.fate import Fate, fate_of, histogram
from engine.data.preview.plan import Plan as DataPlan
from engine.data.preview.plan import choose_plan
from engine.data.preview.rows import Rows
from engine.data.preview.tokens import FileTokenizer
from engine.data.reading import lines_of
from engine.data.types import Fit, Issue, Report, Row
from engine.jobs import Source, Value
from engine.plan.models import Look

if TYPE_CHECKING:
    from engine.data.fixes.changes import Shorten

Given = Mapping[str, Value]
"""Parameters that a person chose; of these `max_length`, `template`, `marks` and `unescape` matter here."""
BY_TOKENS = frozenset({"over_long", "nothing_left"})
"""What only a check with a model can say."""


def with_lines(report: Report, path: Path) -> Report:
    """The report with the physical lines of the rows that its check with a model named. They are accepted rows of a
    method that drops none, so their numbers are those of the file."""
    rows = {row for issue in report.issues if issue.code in BY_TOKENS and (row := issue.row) is not None}
    if not rows:
        return report
    lines = lines_of(path, report.file, rows)
    return replace(report, issues=tuple(_placed(issue, lines) for issue in report.issues))


def _placed(issue: Issue, lines: Mapping[int, int]) -> Issue:
    line = lines.get(issue.row) if issue.row is not None and issue.code in BY_TOKENS else None
    return issue if line is None else replace(issue, line=line, message=f"Line {line}: {issue.message}")


def with_tokens(report: Report, arrow: Path, model: str, method: str | None, given: Given) -> Report:
    """The report with `rows_truncated` and `rows_dropped` of every method that can use the rows with this model, at
    the `max_length` that is given or else usual, and the tokens as `stats["tokens"]` and `stats["histogram"]` by
    method. For `method` each such row is named. Raises Refusal where there is no such model.
    """
    usable = [word for word, fit in report.methods.items() if fit.usable and method in (None, word)]
    if not usable:
        return report
    look = look_for(model, usable[0] if method else "")
    rows = Rows(arrow)
    fits: dict[str, Fit] = dict(report.methods)
    fates: dict[str, Fate] = {}
    issues: list[Issue] = []
    for word in usable:
        if look.kind == ("masked" if word == "mlm" else "causal"):
            fates[word], max_length = _fate(report, rows, word, look, given)
            fits[word] = _fit(report.methods[word], fates[word])
            issues += issues_of(fates[word], max_length) if word == method else []
    tokens = {word: fate.tokens for word, fate in fates.items()}
    histograms = {word: histogram(fate.sizes) for word, fate in fates.items()}
    report = replace(report, methods=fits, stats={**report.stats, "tokens": tokens, "histogram": histograms})
    return _with_issues(report, issues)


def issues_of(fate: Fate, max_length: int) -> list[Issue]:
    """A warning for each row that is cut, and for each that is dropped because nothing of it would be learned."""
    cut = [_issue("over_long", row, fate.sizes[row - 1], max_length) for row in fate.cut_rows]
    return cut + [_issue("nothing_left", row, fate.sizes[row - 1], max_length) for row in fate.dropped_rows]


def _issue(code: str, row: int, tokens: int, max_length: int) -> Issue:
    what = {
        "over_long": f"has {tokens:,} tokens and is cut at max_length={max_length:,}",
        "nothing_left": f"is dropped: at max_length={max_length:,} nothing of it is left to learn",
    }[code]
    fix = "cut_over_long" if code == "over_long" else ""
    return Issue(code, severity(code), f"Row {row} {what}. Shorten it, or raise max_length.", row=row, fix=fix)


def _with_issues(report: Report, issues: Sequence[Issue]) -> Report:
    counts = Counter(report.counts) + Counter(issue.code for issue in issues)
    return replace(report, issues=(*report.issues, *issues)[:MOST_ISSUES], counts=dict(counts))


def _fit(fit: Fit, fate: Fate) -> Fit:
    dropped = fit.rows_dropped + fate.dropped
    return replace(fit, rows_used=fate.used, rows_dropped=dropped, rows_truncated=fate.cut)


def shortening(report: Report, arrow: Path, model: str, method: str, given: Given) -> "Shorten | None":
    """How a row is cut to fit this model, as what stands in its cells then; None where `method` cannot use the file."""
    from engine.data.preview.cutting import Cutting

    if not report.methods[method].usable:
        return None
    return Cutting(*_reading(report, Rows(arrow), method, look_for(model, method), given)).shortened


def _fate(report: Report, rows: Sequence[Row], method: str, look: Look, given: Given) -> tuple[Fate, int]:
    """What becomes of the rows, and at which `max_length`."""
    plan, tokenizer, max_length = _reading(report, rows, method, look, given)
    return fate_of(rows, plan, tokenizer, max_length), max_length


def _reading(
    report: Report, rows: Sequence[Row], method: str, look: Look, given: Given
) -> tuple[DataPlan, FileTokenizer, int]:
    """How the rows are read for `method`, by which tokenizer, and cut at which `max_length`."""
    from engine.plan.defaults import settle

    source = Source(report.file, report.sha256, report.methods[method].mapping)
    plan = choose_plan(rows, report, source, method, look, given)
    settings = settle(method, given, rows=len(rows), tokens_median=0, look=look, slot=slot_here())
    max_length = int(settings["max_length"].value)
    return plan, FileTokenizer(look.folder, str(given.get("template", "auto"))), max_length
