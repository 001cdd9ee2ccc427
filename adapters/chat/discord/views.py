"""A message of the bot → Discord's components: one container of texts, files and buttons, 4,000 characters at most."""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import discord
from discord import ui

from adapters.chat.discord.escape import block, escaped, width
from adapters.chat.discord.surfaces.fields import packed
from bot.chat import Button, File, Message, Table

MAX_TEXT, MAX_FACTS, MAX_FACT = 4000, 1500, 300
MAX_BUTTONS = 15
MAX_FILES = 6
"""Of ten that Discord takes; four may be made of what is too long for the message itself."""
MAX_FILE_BYTES = 10 * 2**20
MAX_WIDTH, SHORT = 60, 28
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
STYLES = {"primary": discord.ButtonStyle.primary, "danger": discord.ButtonStyle.danger}

Attachment = tuple[str, bytes | Path]
"""Name and content of a file to send along."""


def mark(key: str) -> int:
    """A number that the message carries out of sight, by which a message of this key is found again."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % (2**31 - 1) + 1


def nonce(key: str) -> str:
    """At most 25 characters: Discord posts one message for it within a few minutes."""
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()


def shown(message: Message, custom_id: Callable[[str], str]) -> tuple[ui.LayoutView, list[discord.File]]:
    """The message's view, and the files that it shows."""
    texts, attachments = fitted(message)
    container: ui.Container[ui.LayoutView] = ui.Container(id=mark(message.key))
    for text in filter(None, texts):
        container.add_item(ui.TextDisplay(text))
    for name, _ in attachments:
        container.add_item(_item(name))
    for first in range(0, min(len(message.buttons), MAX_BUTTONS), 5):
        row = message.buttons[first : min(first + 5, MAX_BUTTONS)]
        container.add_item(ui.ActionRow(*(_button(button, custom_id) for button in row)))
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    return view, [_file(name, content) for name, content in attachments]


def _item(name: str) -> ui.Item[ui.LayoutView]:
    if name.lower().endswith(PICTURES):
        return ui.MediaGallery(discord.MediaGalleryItem(f"attachment://{name}"))
    return ui.File(f"attachment://{name}")


def _button(button: Button, custom_id: Callable[[str], str]) -> ui.Button[ui.LayoutView]:
    style = STYLES.get(button.style, discord.ButtonStyle.secondary)
    action = packed(button) if button.form else button.action
    return ui.Button(style=style, label=button.label[:80], custom_id=custom_id(action))


def _file(name: str, content: bytes | Path) -> discord.File:
    return discord.File(io.BytesIO(content) if isinstance(content, bytes) else content, name)


def fitted(message: Message) -> tuple[list[str], list[Attachment]]:
    """The texts of a message within Discord's limit: what is too long for it goes along as a file."""
    head, body, facts = _head(message), escaped(message.text), _facts(message.fields)
    table, code = _table(message.table) if message.table else "", block(message.code) if message.code else ""
    attachments, notes = _attachments(message.files)
    if len(facts) > MAX_FACTS:
        attachments.append(("facts.txt", "\n".join(f"{name}: {value}" for name, value in message.fields).encode()))
        facts = _facts_cut(message.fields)
    if _total(head, body, facts, notes, table, code) > MAX_TEXT and code:
        attachments.append(("code.txt", message.code.encode()))
        code = ""
    if _total(head, body, facts, notes, table) > MAX_TEXT and message.table:
        attachments.append(("table.txt", aligned(message.table).encode()))
        table = ""
    room = MAX_TEXT - _total(head, facts, notes, table, code) - 1
    if len(body) > room:
        attachments.append(("message.txt", message.text.encode()))
        body = _begun(message.text, room)
    first = "\n".join(filter(None, (head, body)))
    return [first, facts, table, code, notes], attachments


def _total(*texts: str) -> int:
    return sum(len(text) + 1 for text in texts if text)


def _head(message: Message) -> str:
    mentions = " ".join(f"<@{person.id}>" for person in message.mentions)
    title = f"### {_begun(' '.join(message.title.split()), MAX_FACT)}" if message.title else ""
    return "\n".join(filter(None, (title, mentions)))


def _facts(fields: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"**{escaped(name)}** {escaped(value)}" for name, value in fields)


def _facts_cut(fields: Iterable[tuple[str, str]]) -> str:
    """As many facts as have room, each cut to a line or two."""
    lines: list[str] = []
    for name, value in fields:
        line = f"**{_begun(name, MAX_FACT)}** {_begun(value, MAX_FACT)}"
        if _total(*lines, line) <= MAX_FACTS:
            lines.append(line)
    return "\n".join(lines)


def _begun(text: str, most: int) -> str:
    """As much of a text as has room once it is escaped."""
    escaped_text = escaped(text)
    if len(escaped_text) <= most:
        return escaped_text
    while text and len(escaped_text) > most - 2:
        text = text[: min(len(text) - 1, len(text) * max(0, most - 2) // len(escaped_text))]
        escaped_text = escaped(text)
    return escaped_text + " …"


def _attachments(files: Sequence[File]) -> tuple[list[Attachment], str]:
    """The files that can be sent, by names that Discord leaves as they are, and a word on those that cannot."""
    sent: dict[str, Path] = {}
    notes = []
    for file in files[:MAX_FILES]:
        if not file.path.exists():
            notes.append(f"{file.name[:80]} is no longer there.")
        elif file.path.stat().st_size > MAX_FILE_BYTES:
            notes.append(
                f"{file.name[:80]} is larger than {MAX_FILE_BYTES // 2**20} MB, the most that I can attach here."
            )
        else:
            sent[re.sub(r"[^A-Za-z0-9._-]+", "_", file.name) or "file"] = file.path
    return list(sent.items()), escaped("\n".join(notes))


def _table(table: Table) -> str:
    """Columns under each other where the screen is wide enough; else a line for each row, where only the last cell is
    long; else one fact after the other."""
    title = f"**{escaped(table.title)}**\n" if table.title else ""
    if max(map(width, _lines(table)), default=0) <= MAX_WIDTH:
        return title + block(aligned(table))
    if all(width(cell) <= SHORT for row in table.rows for cell in row[:-1]):
        head = f"**{_joined(table.columns)}**"
        return title + "\n".join([head, *map(_joined, table.rows)])
    return title + "\n\n".join("\n".join(_cells(table.columns, row)) for row in table.rows)


def _joined(cells: Sequence[str]) -> str:
    return " · ".join(escaped(" ".join(cell.split())) for cell in cells if cell.strip())


def _cells(columns: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for name, cell in zip(columns, row, strict=True):
        label = f"**{escaped(name)}** " if name.strip() else ""
        yield label + escaped(" ".join(cell.split()))


def aligned(table: Table) -> str:
    return "\n".join(_lines(table))


def _lines(table: Table) -> list[str]:
    rows = [[" ".join(cell.split()) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    padded = ([cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(row).rstrip() for row in padded]
