"""`check`: one pass over an upload, every fault at once, and which methods can use it."""

import bisect
import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from engine.data import columns as columns_
from engine.data.checks.cells import CellChecks
from engine.data.checks.labels import Labels
from engine.data.checks.outputs import ArrowOutput, JsonlOutput, Output
from engine.data.columns import OPTIONAL, Way, mapping_for, missing_for, nearest
from engine.data.findings import Findings
from engine.data.reading import CannotRead, Reading, read
from engine.data.shown import listed, shown
from engine.data.types import NEEDS, Fit, Report
from engine.refusal import Refusal

FEW_ROWS = 10
FEW_TOKENS = 200
LONGEST_NAME = 255
UNREQUIRED = OPTIONAL | {"label"}
"""Roles whose cells are not looked at as texts that must not be empty: a label is looked at as one."""


def check(
    path: Path,
    *,
    name: str | None = None,
    method: str | None = None,
    arrow: Path | None = None,
    rows: Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Report:
    """Check the upload at `path`, which people call `name`, for `method` or for all.

    `mapping` gives role → column where a person chose it. Rows without a fault that matters are written on the way,
    as an Arrow stream to `arrow` and as JSONL to `rows`. Raises Refusal for a method that is none.
    """
    refuse_unknown_method(method)
    findings = Findings()
    name = (name or path.name).encode("utf-8", "replace").decode()[:LONGEST_NAME]
    size, sha256 = _digest(path)
    start = Report(name, sha256, size, methods={word: Fit(False, missing_columns=NEEDS[word]) for word in NEEDS})
    try:
        reading = read(path, name, findings.add)
        return _Check(reading, findings, method, mapping or {}, start).run(arrow, rows)
    except CannotRead as error:
        findings.add(error.code, error.text, line=error.line, fix=error.fix)
        return _with(start, issues=findings.issues(), counts=dict(findings.counts))


def refuse_unknown_method(method: str | None) -> None:
    if method is None or method in NEEDS:
        return
    close = get_close_matches(method, NEEDS, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]}?" if close else f"It is one of {', '.join(NEEDS)}."
    raise Refusal(f"There is no method {shown(method)}. {hint}", "method")


def _digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, sha256


def _with(report: Report, **changes: object) -> Report:
    from dataclasses import replace

    return replace(report, **changes)  # type: ignore[arg-type]  # fields of Report by name


class _Check:
    """The state of one check."""

    def __init__(
        self, reading: Reading, findings: Findings, method: str | None, override: Mapping[str, str], start: Report
    ) -> None:
        self.reading = reading
        self.findings = findings
        self.method = method
        self.override = override
        self.start = start
        self.columns = reading.columns
        self.bad_rows: Counter[frozenset[str]] = Counter()
        self.ways: dict[str, Way | None] = {
            word: mapping_for(word, self.columns, override, reading.lists) for word in NEEDS
        }

    def run(self, arrow: Path | None, rows: Path | None) -> Report:
        self._check_header()
        lists = self._lists()
        outputs: list[Output] = [JsonlOutput(rows)] if rows else []
        outputs += [ArrowOutput(arrow, tuple(dict.fromkeys(self.columns)), lists)] if arrow else []
        cells = self._cell_checks(lists)
        wanted = self._wanted_ways()
        try:
            for record in self.reading.rows:
                bad = cells.look(record)
                self.bad_rows[bad] += 1
                if not bad or any(bad.isdisjoint(way.values()) for way in wanted):
                    for output in outputs:
                        output.write(record.cells)
            cells.content.finish()
            if cells.labels is not None:
                cells.labels.report(self.findings.add, self.findings.count_more)
            cells.repeats.report(self.findings)
        finally:
            cells.repeats.close()
            for output in outputs:
                output.close()
        self._check_end(cells)
        return self._report(cells, lists)

    def _wanted_ways(self) -> list[Way]:
        words = [self.method] if self.method else list(NEEDS)
        return [way for word in words if (way := self.ways[word]) is not None]

    def _lists(self) -> frozenset[str]:
        """Columns of conversations: what is mapped to `messages`, and other columns that hold lists. The user's own
        `text` and `rejected_text` are strings whatever stands in them."""
        named = {way["messages"] for way in self.ways.values() if way and "messages" in way}
        mapped = {column for way in self.ways.values() if way for column in way.values()}
        return frozenset(named | (self.reading.lists & mapped) - columns_.STRINGS)

    def _cell_checks(self, lists: frozenset[str]) -> CellChecks:
        ways = self._wanted_ways()
        needed = dict.fromkeys(column for way in ways for role, column in way.items() if role not in UNREQUIRED)
        pairs = [(way["text"], way["rejected_text"]) for way in ways if "rejected_text" in way]
        sft = self.ways["sft"] or self.ways["reward"] or {}
        text = sft.get("text") if "prompt" not in sft else None
        answers = {way[role]: "answer" for way in ways for role in ("text", "rejected_text") if role in way}
        parts = answers | {way["messages"]: "whole" for way in ways if "messages" in way}
        pair = pairs[0] if pairs else None
        prompt = next((way["prompt"] for way in ways if "rejected_text" in way and "prompt" in way), None)
        return CellChecks(self.columns, needed, lists, parts, pair, prompt, text, self._labels(ways), self.findings.add)

    def _labels(self, ways: Sequence[Way]) -> Labels | None:
        column = next((way["label"] for way in ways if "label" in way), None)
        return Labels(column, self.method == "kto") if column is not None else None

    def _check_header(self) -> None:
        line = self.reading.first_line
        for name, times in Counter(self.columns).items():
            if times > 1:
                words = f"The column {shown(name)} stands {times} times in the header; rename all but one."
                self.findings.add("duplicate_column", words, line=line, column=name)
            if not name.strip():
                words = "A column has no name; name it or take it out (perhaps each row ends in a delimiter)."
                self.findings.add("empty_column_name", words, line=line, column=name)
        if not self._wanted_ways() and self.columns:
            if self.reading.shape.format == "csv" and columns_.is_data(self.columns):
                self._report_missing_header(line)
            else:
                self._report_missing(line)
        elif not self.override:
            self._report_near_misses(line)

    def _report_missing_header(self, line: int | None) -> None:
        header = columns_.HEADERS.get(len(self.columns))
        what = f"such as {listed(header)}" if header else "with the columns' names"
        words = f"This looks like a row, not like a header: {shown(self.columns[0])}. Put a line {what} above it."
        self.findings.add("missing_header", words, line=line, fix="add_header" if header else "")

    def _report_missing(self, line: int | None) -> None:
        method = self.method or columns_.nearest_method(self.columns)
        missing = missing_for(method, self.columns, self.override)
        for name in missing:
            meant = nearest(name, self.columns)
            if meant is None:
                words = f"There is no column {shown(name)}{_for(self.method)}. Found: {listed(self.columns)}."
                self.findings.add("missing_column", words + self._suggested(), line=line, column=name)
            else:
                odd = "" if meant.isascii() else " (it holds letters that are not ASCII)"
                words = f"There is no column {shown(name)}; did you mean {shown(meant)}{odd}? Rename it."
                self.findings.add("misspelt_column", words, line=line, column=name, fix="rename_columns")

    def _suggested(self) -> str:
        """For names that usually mean prompt and answer, in a file that has other columns too."""
        for prompt, answer in columns_.PAIRS:
            if prompt in self.columns and answer in self.columns:
                return f" To use what is there: prompt={prompt} text={answer}."
        return " Training needs `text`; or `prompt`, `text`, `rejected_text`; or `messages`."

    def _report_near_misses(self, line: int | None) -> None:
        """A file that some method can use may still have meant another one."""
        for name in self.columns:
            if name in columns_.KNOWN or name in columns_.HARMLESS or not name.strip():
                continue
            meant = next((want for want in NEEDS["dpo"] if nearest(want, [name]) and want not in self.columns), None)
            hint = f"Did you mean {shown(meant)}? Rename it." if meant else "Keep it or take it out."
            fix = "rename_columns" if meant else ""
            self.findings.add("unused_column", f"The column {shown(name)} is not used. {hint}", column=name, fix=fix)

    def _check_end(self, cells: CellChecks) -> None:
        if blank := self.reading.blank_lines:
            self.findings.add("blank_line", f"Blank lines were skipped: {blank}. You may delete them.")
        if not self.bad_rows and not self.findings.has_file_errors:
            self.findings.add(
                "no_rows", "There is a header but no row under it; add rows.", line=self.reading.first_line
            )
        self._check_amount(cells)

    def _check_amount(self, cells: CellChecks) -> None:
        """Whether there is much to learn from; tokens are told from the characters, about four of them to one."""
        rows = self.bad_rows.total()
        tokens = sum(length * times for length, times in cells.lengths.items()) // 4
        if 0 < rows < FEW_ROWS:
            words = f"Only {rows} row{'s' * (rows > 1)}: it trains, but expect little from so few. Add more if you can."
            self.findings.add("few_rows", words)
        elif rows and tokens < FEW_TOKENS and self._wanted_ways():
            words = f"Only about {tokens} tokens in all: it trains, but expect little from so few. Add more if you can."
            self.findings.add("few_tokens", words)
        for template, number in cells.content.templated.items():
            words = f"{number:,} of {rows:,} rows hold the marks of {template}: they are formatted already. "
            words += (
                "Train them as they stand, with sft or clm and template=none; in turns and pairs such marks are text."
            )
            self.findings.add("templated_text", words)

    def _fit(self, method: str) -> Fit:
        way = self.ways[method]
        if way is None:
            return Fit(False, missing_columns=missing_for(method, self.columns, self.override))
        columns = frozenset(way.values())
        dropped = sum(times for bad, times in self.bad_rows.items() if not bad.isdisjoint(columns))
        used = self.bad_rows.total() - dropped
        is_usable = used > 0 and dropped == 0 and not self.findings.has_file_errors
        return Fit(is_usable, used, self.reading.rows_seen - used, mapping=dict(way))

    def _report(self, cells: CellChecks, lists: Sequence[str] | frozenset[str]) -> Report:
        shape = self.reading.shape
        return _with(
            self.start,
            format=shape.format,
            encoding="" if shape.format == "parquet" else "utf-8",
            delimiter=shape.delimiter,
            rows=self.reading.rows_seen,
            columns=self.columns,
            type=columns_.type_of(self.ways, frozenset(lists)),
            methods={word: self._fit(word) for word in NEEDS},
            issues=self.findings.issues(),
            counts=dict(self.findings.counts),
            stats=_stats(cells),
        )


def _for(method: str | None) -> str:
    return f", which {method} needs" if method else ""


def _stats(cells: CellChecks) -> dict[str, object]:
    content = cells.content
    stats: dict[str, object] = {"literal_newlines": content.literal_newlines}
    if layout := columns_.layout_of(cells.order):
        stats["layout"] = layout
    if content.templated:
        stats["templated"] = dict(content.templated)
    if cells.lengths:
        stats["length"] = _lengths(cells.lengths)
    if (labels := cells.labels) is not None and labels.are_labels:
        stats["labels"] = {"good": labels.good, "bad": labels.bad}
    if turns := cells.turns.stats():
        stats["turns"] = turns
    for name, counts in (("secrets", content.secrets), ("personal_data", content.personal)):
        if counts:
            stats[name] = dict(counts)
    return stats


def _lengths(lengths: Counter[int]) -> dict[str, int]:
    """Characters of a row: median (the lower one), 95th percentile, longest, and all together."""
    ordered = sorted(lengths)
    until = list(itertools.accumulate(lengths[length] for length in ordered))
    median, p95 = (
        ordered[bisect.bisect_right(until, place)] for place in ((until[-1] - 1) // 2, int(0.95 * until[-1]))
    )
    total = sum(length * times for length, times in lengths.items())
    return {"median": median, "p95": p95, "max": ordered[-1], "total": total}
