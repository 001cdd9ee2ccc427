"""What a check can say once the base model is known: tokens, and the rows that its training would cut or drop."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.commands.preview import look_for, slot_here
from engine.data.types import Fit, Report, Row
from engine.jobs import Source
from engine.plan.models import Look


def with_tokens(report: Report, arrow: Path, model: str, method: str | None) -> Report:
    """The report with `rows_truncated` and `rows_dropped` of every method that can use the rows with this model, at
    its usual `max_length`, and the tokens as `stats["tokens"]` by method. Raises Refusal where there is no such model.
    """
    from engine.data.preview.rows import Rows

    usable = [word for word, fit in report.methods.items() if fit.usable and method in (None, word)]
    if not usable:
        return report
    look = look_for(model, usable[0] if method else "")
    rows = Rows(arrow)
    fits: dict[str, Fit] = dict(report.methods)
    tokens: dict[str, Mapping[str, int]] = {}
    for word in usable:
        if look.kind == ("masked" if word == "mlm" else "causal"):
            fits[word], tokens[word] = _fit(report, rows, word, look)
    return replace(report, methods=fits, stats={**report.stats, "tokens": tokens})


def _fit(report: Report, rows: Sequence[Row], method: str, look: Look) -> tuple[Fit, Mapping[str, int]]:
    from engine.data.preview.fate import fate_of
    from engine.data.preview.plan import choose_plan
    from engine.data.preview.tokens import FileTokenizer
    from engine.plan.defaults import settle

    fit = report.methods[method]
    source = Source(report.file, report.sha256, fit.mapping)
    plan = choose_plan(rows, report, source, method, look, {})
    settings = settle(method, {}, rows=len(rows), tokens_median=0, look=look, slot=slot_here())
    fate = fate_of(rows, plan, FileTokenizer(look.folder), int(settings["max_length"].value))
    dropped = fit.rows_dropped + fate.dropped
    return replace(fit, rows_used=fate.used, rows_dropped=dropped, rows_truncated=fate.cut), fate.tokens
