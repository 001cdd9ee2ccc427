"""How the rows of a file are read for a run: which columns, as plain text or as a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.data.trainer_rows import PLAIN_METHODS, TrainerRow, has_template_for, is_conversational, trainer_row
from engine.data.types import Report, Row
from engine.jobs import Source, Value
from engine.plan.models import Look
from engine.refusal import Refusal


@dataclass(frozen=True)
class Plan:
    """How the rows are read: `given` are the parameters that a person set; `has_template` that turns can be rendered
    by the model's own template or a chosen one."""

    method: str
    source: Source
    given: Mapping[str, Value]
    has_template: bool

    @property
    def way(self) -> Mapping[str, str]:
        return self.source.mapping

    def row(self, row: Row) -> TrainerRow:
        return trainer_row(row, self.method, self.source, self.has_template)

    @property
    def is_conversation(self) -> bool:
        """Whether strings become turns; rows that are lists of messages are conversations in any case."""
        return is_conversational(self.method, self.way, self.source, self.has_template)


def choose_plan(
    rows: Sequence[Row], report: Report, source: Source, method: str, look: Look, given: Mapping[str, Value]
) -> Plan:
    """Turn markers that all rows have become a conversation where there is a template for it; pairs do so as well."""
    source = replace(
        source, wants_unescape=bool(given.get("unescape", False)), marks_are_text=given.get("marks") == "text"
    )
    has_template = has_template_for(method, given, look.has_chat_template)
    plain = Plan(method, replace(source, as_conversation=False), given, has_template)
    turns = report.stats.get("turns")
    are_turns = isinstance(turns, Mapping) and bool(turns.get("is_all"))
    if "prompt" in source.mapping or not (has_template and are_turns) or method in PLAIN_METHODS:
        return plain
    wanted = replace(plain, source=replace(source, as_conversation=True))
    return wanted if _can_read(rows, wanted) else plain


def _can_read(rows: Sequence[Row], plan: Plan) -> bool:
    try:
        for row in rows:
            plan.row(row)
    except Refusal:
        return False
    return True


def other_plan(plan: Plan, look: Look) -> Plan | None:
    """The other way to read the strings: a conversation as plain text, or plain text with turns as a conversation."""
    if plan.is_conversation:
        return replace(plan, source=replace(plan.source, as_conversation=False), has_template=False)
    if not look.has_chat_template or plan.method in PLAIN_METHODS or "messages" in plan.way:
        return None
    return replace(plan, source=replace(plan.source, as_conversation=True), has_template=True)
