"""What a check finds on its way: issues by code, each code with its severity, at most 1,000 kept and all counted."""

import math
from collections import Counter
from typing import Protocol

from engine.data.shown import cut
from engine.data.types import Issue

MOST_ISSUES = 1_000

CELL_ERRORS = frozenset({"empty_cell", "wrong_type", "missing_key", "bad_messages", "bad_label"})
"""Errors of one cell: they concern the methods that need its column; every other error concerns the whole file."""

COLUMN_ERRORS = frozenset({"missing_column", "misspelt_column", "missing_header"})

FILE_ERRORS = frozenset(
    {
        "empty_file", "no_rows", "not_text", "web_page", "unreadable", "bad_archive", "too_large",
        "encoding", "mixed_encoding", "nul", "line_too_long",
        "unclosed_quote", "bad_quote", "stray_quote", "too_wide", "too_narrow", "bad_json", "not_an_object",
        "too_many_columns", "duplicate_column", "empty_column_name",
    }
)  # fmt: skip

CANNOT_READ = frozenset({"not_text", "web_page", "unreadable", "bad_archive", "too_large"})

WARNINGS = frozenset(
    {
        "blank_cell", "inner_quote", "literal_newline", "equal_pair", "duplicate_row", "few_rows",
        "control_character", "bidi_character", "secret", "repeated_header", "late_column",
        "empty_turn", "turn_order", "zero_width", "html_entity", "mojibake", "formula", "personal_data",
        "near_duplicate", "conflicting_pair", "few_tokens", "templated_text",
        "over_long", "nothing_left", "unheeded_key", "label_balance",
    }
)  # fmt: skip

NOTES = frozenset({"blank_line", "unused_column"})


def severity(code: str) -> str:
    if code in CELL_ERRORS or code in COLUMN_ERRORS or code in FILE_ERRORS:
        return "error"
    if code in WARNINGS:
        return "warning"
    if code in NOTES:
        return "note"
    raise ValueError(f"no such code of an issue: {code}")


class Add(Protocol):
    """Takes one finding; readers and checks call it."""

    def __call__(
        self,
        code: str,
        message: str,
        *,
        line: int | None = None,
        row: int | None = None,
        column: str | None = None,
        fix: str = "",
    ) -> None: ...


class Findings:
    """Collects issues. Errors are kept before warnings, both in the order they were found."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._errors: list[Issue] = []
        self._others: list[Issue] = []

    def add(
        self,
        code: str,
        message: str,
        *,
        line: int | None = None,
        row: int | None = None,
        column: str | None = None,
        fix: str = "",
    ) -> None:
        """`message` is a sentence; its line is put in front of it."""
        self.counts[code] += 1
        kind = severity(code)
        kept = self._errors if kind == "error" else self._others
        if len(kept) < MOST_ISSUES:
            where = f"Line {line}: " if line is not None else ""
            kept.append(Issue(code, kind, cut(where + message), line, row, column, fix))

    def count_more(self, code: str, number: int) -> None:
        """Issues that are not listed."""
        self.counts[code] += number

    @property
    def has_file_errors(self) -> bool:
        return any(code in FILE_ERRORS for code in self.counts)

    def issues(self) -> tuple[Issue, ...]:
        """Errors crowd out warnings, not the other way. By line; errors without a line first, other words last."""
        kept = (self._errors + self._others)[:MOST_ISSUES]
        return tuple(sorted(kept, key=_place))


def _place(issue: Issue) -> float:
    if issue.line is not None:
        return issue.line
    return 0 if issue.severity == "error" else math.inf
