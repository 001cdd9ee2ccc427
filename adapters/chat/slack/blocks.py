"""A message in Slack's blocks. Whatever people or datasets bring goes into plain text and rich text, which Slack
shows as it stands: nothing of it pings, links or formats."""

import re
from collections.abc import Iterable
from typing import Any

from adapters.chat.slack.surfaces.fields import packed
from bot.chat import Button, Chart, Message, Person, Table

Block = dict[str, Any]
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_TEXT = 3000
MAX_FALLBACK = 3900
MAX_ROWS, MAX_COLUMNS, MAX_CELL, MAX_TABLE = 100, 20, 300, 9000
MAX_BUTTONS, MAX_LABEL, MAX_VALUE = 25, 75, 2000
MAX_POINTS, MAX_POINT_LABEL, MAX_CHART_TITLE = 20, 20, 50
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PIECES = re.compile(r"(`[^`\n]+`|https?://[^\s<>|`]+)")


def blocks(message: Message, has_table: bool = True, has_chart: bool = False) -> list[Block]:
    """The message's blocks; without `has_table`, for workspaces that refuse the table block, as fixed-width text;
    with `has_chart` a chart too, which not all workspaces take yet."""
    parts: list[Block] = []
    if message.title:
        parts.append({"type": "header", "text": plain(message.title, MAX_HEADER)})
    if message.text or message.fields or message.mentions:
        parts.append({"type": "rich_text", "elements": [*_said(message), *_facts(message.fields)]})
    if message.table and message.table.columns:
        parts += _table(message.table) if has_table else _drawn(message.table)
    if message.chart and has_chart:
        parts.append(_chart(message.chart))
    if message.code:
        parts.append(_code(message.code))
    if message.buttons:
        parts.append({"type": "actions", "elements": [_button(n, b) for n, b in enumerate(message.buttons[:25])]})
    return parts[:MAX_BLOCKS]


def fallback(message: Message) -> str:
    """What a notification and a screen reader say: the outcome first."""
    lines = [message.title, message.text, *(f"{name}: {value}" for name, value in message.fields)]
    mentions = "".join(f"<@{person.id}> " for person in message.mentions)
    return cut(mentions + escape(clean("\n".join(filter(None, lines)))), MAX_FALLBACK) or " "


def escape(text: str) -> str:
    """Slack's markup has three characters to escape; nothing that people wrote goes where its others count."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str) -> str:
    """Without control characters, and without the marks that turn the direction of writing."""
    return CONTROL.sub("", text.replace("\r\n", "\n"))


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 2] + " …"


def plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": cut(clean(text), limit) or " ", "emoji": False}


def _said(message: Message) -> Iterable[Block]:
    people = [_mention(person) for person in message.mentions]
    pieces = [*(part for person in people for part in (person, _run(" "))), *_pieces(message.text)]
    if pieces:
        yield {"type": "rich_text_section", "elements": pieces}


def _mention(person: Person) -> Block:
    return {"type": "user", "user_id": person.id}


def _run(text: str, **style: bool) -> Block:
    return {"type": "text", "text": text or " ", **({"style": style} if style else {})}


def _pieces(text: str) -> Iterable[Block]:
    """Text as it stands; addresses can be clicked and show themselves, words in backticks stand in fixed width."""
    for piece in PIECES.split(cut(clean(text), MAX_TEXT)):
        if piece.startswith(("http://", "https://")):
            yield {"type": "link", "url": piece}
        elif len(piece) > 2 and piece[0] == piece[-1] == "`":
            yield _run(piece[1:-1], code=True)
        elif piece:
            yield _run(piece)


def _facts(fields: tuple[tuple[str, str], ...]) -> Iterable[Block]:
    for name, value in fields:
        facts = [_run(cut(clean(name), MAX_LABEL) or "–", bold=True), _run("  " + cut(clean(value), 500))]
        yield {"type": "rich_text_section", "elements": facts}


def _rows(table: Table) -> list[tuple[str, ...]]:
    """Header and rows, cut to what one table may hold."""
    rows, left = [], MAX_TABLE
    for row in (table.columns, *table.rows)[:MAX_ROWS]:
        cells = tuple(cut(clean(cell), MAX_CELL) or "–" for cell in row[:MAX_COLUMNS])
        left -= sum(map(len, cells))
        if left < 0:
            break
        rows.append(cells)
    return rows


def _left_out(table: Table, rows: list[tuple[str, ...]]) -> str:
    more = len(table.rows) + 1 - len(rows)
    return " · ".join(filter(None, (table.title, f"{more} more rows are not shown" if more else "")))


def listed(message: Message) -> Iterable[Block]:
    """The message's words, and a line for each row of its table: for where the page is narrow."""
    pieces = list(_pieces(message.text))
    if pieces:
        yield {"type": "rich_text_section", "elements": pieces}
    for row in _rows(message.table)[1:] if message.table else ():
        line = [_run(row[0], bold=True), _run("  " + " · ".join(cell for cell in row[1:] if cell != "–"))]
        yield {"type": "rich_text_section", "elements": line}


def _heading(text: str) -> list[Block]:
    section = {"type": "rich_text_section", "elements": [_run(cut(clean(text), MAX_HEADER), bold=True)]}
    return [{"type": "rich_text", "elements": [section]}] if text else []


def _table(table: Table) -> list[Block]:
    rows = _rows(table)
    cells = [[{"type": "raw_text", "text": cell} for cell in row] for row in rows]
    wrapped = [{"is_wrapped": True} for _ in rows[0]]
    return [*_heading(_left_out(table, rows)), {"type": "table", "rows": cells, "column_settings": wrapped}]


def _drawn(table: Table) -> list[Block]:
    rows = _rows(table)
    widths = [min(40, max(len(row[n]) for row in rows if n < len(row))) for n in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return [*_heading(_left_out(table, rows)), _code("\n".join(line.rstrip() for line in lines))]


def _chart(chart: Chart) -> Block:
    """At most twenty points, the first and the last among them."""
    title = clean(chart.title) or "–"
    last, most = len(chart.points) - 1, min(len(chart.points), MAX_POINTS)
    picked = [chart.points[round(n * last / max(1, most - 1))] for n in range(most)]
    points = {cut(clean(label), MAX_POINT_LABEL) or "–": value for label, value in picked}
    data = [{"label": label, "value": value} for label, value in points.items()]
    drawn = {
        "type": "line",
        "series": [{"name": cut(title, MAX_POINT_LABEL), "data": data}],
        "axis_config": {"categories": list(points)},
    }
    return {"type": "data_visualization", "title": cut(title, MAX_CHART_TITLE), "chart": drawn}


def _code(text: str) -> Block:
    element = {"type": "rich_text_preformatted", "elements": [_run(cut(clean(text), MAX_TEXT))]}
    return {"type": "rich_text", "elements": [element]}


def _button(number: int, button: Button) -> Block:
    style = {"style": button.style} if button.style in ("primary", "danger") else {}
    return {
        "type": "button",
        "action_id": f"press-{number}",
        "text": plain(button.label, MAX_LABEL),
        "value": packed(button) if button.form else button.action[:MAX_VALUE],
        **style,
    }
