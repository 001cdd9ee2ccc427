"""Many issues in few sentences: "47 rows with an empty `text`: lines 12, 19, 31 …"."""

from collections.abc import Mapping, Sequence

from engine.data.shown import shown
from engine.data.types import Issue

MANY: Mapping[str, str] = {
    "empty_cell": "rows with an empty {column}",
    "blank_cell": "rows with nothing but blanks in {column}",
    "missing_key": "rows without {column}",
    "wrong_type": "rows whose {column} is no string",
    "bad_messages": "rows whose {column} is no conversation",
    "too_wide": "rows with more cells than the header",
    "too_narrow": "rows with fewer cells than the header",
    "bad_json": "lines that are not JSON",
    "not_an_object": "lines that hold no JSON object",
    "unclosed_quote": "quotes that are not closed",
    "bad_quote": "quotes in the wrong place",
    "stray_quote": "cells with a lone quote",
    "inner_quote": "cells with quotes that should be doubled",
    "nul": "lines with a NUL byte",
    "mixed_encoding": "lines in another encoding than UTF-8",
    "literal_newline": "cells with a backslash-n in {column}",
    "equal_pair": "rows whose chosen and rejected answers are the same",
    "duplicate_row": "rows that repeat an earlier row",
    "control_character": "cells with control characters in {column}",
    "bidi_character": "cells that turn the direction of writing in {column}",
    "zero_width": "cells with characters without width in {column}",
    "html_entity": "cells with HTML entities in {column}",
    "mojibake": "cells with misread letters in {column}",
    "formula": "cells that look like a formula in {column}",
    "personal_data": "rows that seem to hold personal data",
    "near_duplicate": "rows that repeat an earlier row but for case and spaces",
    "conflicting_pair": "rows that prefer an answer which another row rejects",
    "over_long": "rows are longer than max_length and are cut",
    "nothing_left": "rows are dropped, since nothing of them is left to learn at max_length",
    "secret": "rows that seem to hold a secret",
    "repeated_header": "rows that repeat the header",
    "empty_turn": "rows with an empty message",
    "unheeded_key": "rows with a weight of 0 or calls of tools, which are not heeded",
    "turn_order": "rows whose turns are out of order",
}
FEW = 2
LINES_SHOWN = 5


def group(issues: Sequence[Issue], counts: Mapping[str, int] | None = None) -> list[str]:
    """One sentence for each kind of issue and column, errors first; up to two of a kind are said as they are.

    `counts` are the report's, which know of more issues than were kept.
    """
    groups: dict[tuple[str, str | None], list[Issue]] = {}
    for issue in issues:
        column = issue.column if "{column}" in MANY.get(issue.code, "") else None
        groups.setdefault((issue.code, column), []).append(issue)
    rank = {"error": 0, "warning": 1, "note": 2}
    ordered = sorted(groups.values(), key=lambda members: rank[members[0].severity])
    return [sentence for members in ordered for sentence in _sentences(members, groups, counts or {})]


def _sentences(
    members: list[Issue], groups: Mapping[tuple[str, str | None], list[Issue]], counts: Mapping[str, int]
) -> list[str]:
    first = members[0]
    if len(members) <= FEW or first.code not in MANY:
        return [issue.message for issue in members]
    is_only = sum(code == first.code for code, _ in groups) == 1
    number = max(counts.get(first.code, 0), len(members)) if is_only else len(members)
    what = MANY[first.code].format(column=shown(first.column or "", 30))
    lines = [issue.line for issue in members if issue.line is not None]
    dots = " …" if number > LINES_SHOWN else ""
    where = f": lines {', '.join(map(str, lines[:LINES_SHOWN]))}{dots}" if lines else ""
    return [f"{number:,} {what}{where}"]
