"""What Slack refuses in a message or a form, and whom a message pings. Figures from Block Kit's reference."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.twins.slack.workspace import SlackError

Block = dict[str, Any]
MESSAGE = {"header", "section", "rich_text", "table", "actions", "context", "divider", "image", "data_visualization"}
FORM = {"header", "section", "rich_text", "input", "actions", "context", "divider"}
ELEMENTS = {"button", "static_select", "external_select", "plain_text_input", "file_input"}
PINGS = re.compile(
    r"<(?:@([UW][A-Z0-9]+)(?:\|[^>]*)?|!(channel|here|everyone)(?:\|[^>]*)?|!subteam\^([A-Z0-9]+)[^>]*)>"
)


def check(blocks: list[Block], surface: str = "message") -> None:
    """Raises SlackError("invalid_blocks") with what is wrong."""
    _need(len(blocks) <= (50 if surface == "message" else 100), "too many blocks")
    _need(sum(block.get("type") == "table" for block in blocks) <= 1, "only one table is allowed")
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    _need(len(ids) == len(set(ids)), "block_id is there twice")
    for block in blocks:
        kind = block.get("type")
        _need(kind in (MESSAGE if surface == "message" else FORM), f"unsupported type: {kind}")
        _CHECKS.get(str(kind), lambda _: None)(block)
    actions = [
        element.get("action_id") for block in blocks for element in block.get("elements", ()) if "action_id" in element
    ]
    _need(len(actions) == len(set(actions)), "action_id is there twice")


def _need(holds: object, why: str) -> None:
    if not holds:
        raise SlackError("invalid_blocks", response_metadata={"messages": [f"[ERROR] {why}"]})


def _text(text: Any, limit: int, kind: str = "plain_text") -> None:
    _need(isinstance(text, dict) and text.get("type") == kind, f"must be {kind}")
    _need(0 < len(text["text"]) <= limit, f"must be 1 to {limit} characters")


def _header(block: Block) -> None:
    _text(block["text"], 150)


def _section(block: Block) -> None:
    _need("text" in block or "fields" in block, "section is empty")
    if "text" in block:
        _text(block["text"], 3000, block["text"].get("type", ""))
    _need(len(block.get("fields", ())) <= 10, "too many fields")


def _rich_text(block: Block) -> None:
    _need(block["elements"], "rich_text is empty")
    for part in block["elements"]:
        _need(part["type"] in ("rich_text_section", "rich_text_preformatted"), f"unsupported {part['type']}")
        _need(part["elements"], "empty element")
        for run in part["elements"]:
            _need(run["type"] in ("text", "link", "user"), f"unsupported {run['type']}")
            _need(run["type"] != "text" or run["text"], "empty text")
            _need(run["type"] != "link" or run["url"].startswith(("http://", "https://")), "bad url")


def _table(block: Block) -> None:
    rows = block["rows"]
    _need(0 < len(rows) <= 100, "too many rows")
    _need(all(0 < len(row) <= 20 for row in rows), "too many columns")
    cells = [cell for row in rows for cell in row]
    _need(all(cell["type"] == "raw_text" and cell["text"] for cell in cells), "bad cell")
    _need(sum(len(cell["text"]) for cell in cells) <= 10_000, "too many characters in tables")
    _need(len(block.get("column_settings", ())) <= 20, "too many column settings")


def _actions(block: Block) -> None:
    _need(0 < len(block["elements"]) <= 25, "too many elements")
    for element in block["elements"]:
        _element(element)


def _element(element: Block) -> None:
    _need(element["type"] in ELEMENTS, f"unsupported {element['type']}")
    _need(0 < len(element["action_id"]) <= 255, "bad action_id")
    if element["type"] == "button":
        _text(element["text"], 75)
        _need(len(element.get("value", "")) <= 2000, "value is too long")
        _need(element.get("style") in (None, "primary", "danger"), "bad style")
    for option in element.get("options", ()):
        _text(option["text"], 75)
        _need(len(option["value"]) <= 150, "value is too long")
    _need("options" not in element or 0 < len(element["options"]) <= 100, "bad number of options")
    _need(element["type"] != "file_input" or 1 <= element.get("max_files", 10) <= 10, "bad max_files")


def _input(block: Block) -> None:
    _text(block["label"], 2000)
    _element(block["element"])


def _chart(block: Block) -> None:
    _need(0 < len(block["title"]) <= 50, "bad title")
    series, axis = block["chart"]["series"], block["chart"]["axis_config"]["categories"]
    _need(block["chart"]["type"] == "line" and 0 < len(series) <= 12, "bad chart")
    _need(0 < len(axis) <= 20 and len(axis) == len(set(axis)), "bad categories")
    for one in series:
        _need([point["label"] for point in one["data"]] == axis, "points do not fit the categories")
        _need(all(0 < len(point["label"]) <= 20 for point in one["data"]), "bad label")


_CHECKS = {
    "header": _header, "section": _section, "rich_text": _rich_text, "table": _table, "actions": _actions,
    "input": _input, "data_visualization": _chart,
}  # fmt: skip


def check_view(view: Block) -> None:
    for part in ("title", "submit", "close"):
        if part in view:
            _text(view[part], 24)
    _need(len(view.get("private_metadata", "")) <= 3000, "private_metadata is too long")
    _need(view["type"] == "home" or "title" in view, "a modal needs a title")
    _need("submit" in view or not any(block["type"] == "input" for block in view["blocks"]), "inputs need submit")
    check(view["blocks"], view["type"])


def pings(text: str, blocks: list[Block]) -> set[str]:
    """Whom a message notifies: by its blocks, and by its text where it has none."""
    found = set() if blocks else _in_markup(text)
    for run in _runs(blocks):
        if run.get("type") in ("user", "usergroup", "broadcast"):
            found.add(run.get("user_id") or run.get("usergroup_id") or run["range"])
        elif run.get("type") == "mrkdwn":
            found |= _in_markup(run["text"])
    return found


def _in_markup(text: str) -> set[str]:
    return {next(filter(None, found)) for found in PINGS.findall(text)}


def _runs(part: Any) -> Iterator[Block]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _runs(value)
    elif isinstance(part, list):
        for value in part:
            yield from _runs(value)


def texts(blocks: Iterable[Block]) -> str:
    """All the words of some blocks, for looking something up in a message."""
    return " ".join(str(run.get("text") or run.get("url") or "") for run in _runs(list(blocks)) if _is_words(run))


def _is_words(run: Block) -> bool:
    return isinstance(run.get("text"), str) or run.get("type") == "link"
