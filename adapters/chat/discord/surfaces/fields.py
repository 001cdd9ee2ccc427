"""The form behind a button: it is kept under the button's id, so that it opens after a restart of the bot too."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import discord
from discord import ui

from bot.chat import Button, Field, Press

MARK = "form~"
SUBMITTED = "filled~"
MAX_FIELDS, MAX_CHOICES = 5, 25
MAX_TITLE, MAX_LABEL, MAX_NAME, MAX_VALUE, MAX_CHOICE = 45, 45, 100, 4000, 100
"""Characters that Discord takes in a modal."""


def packed(button: Button) -> str:
    """What stands for a button with a form, to be read by `unpacked`."""
    form = [asdict(field) for field in button.form[:MAX_FIELDS]]
    return MARK + json.dumps({"label": button.label, "action": button.action, "form": form}, ensure_ascii=False)


def unpacked(text: str) -> Button | None:
    """The button whose form this is; None for one that has none."""
    if not text.startswith(MARK):
        return None
    told = json.loads(text.removeprefix(MARK))
    form = (Field(**{**field, "choices": tuple(field["choices"])}) for field in told["form"])
    return Button(told["label"], told["action"], form=tuple(form))


def modal(button: Button, custom_id: str) -> ui.Modal:
    """The form as Discord shows it; of several fields none has to be filled in."""
    shown = ui.Modal(title=_cut(button.label, MAX_TITLE), custom_id=custom_id)
    for field in button.form:
        shown.add_item(ui.Label(text=_cut(field.label, MAX_LABEL), component=_input(field, len(button.form) == 1)))
    return shown


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _input(field: Field, is_required: bool) -> ui.Item[ui.Modal]:
    name = field.name[:MAX_NAME]
    if field.choices:
        options = [
            discord.SelectOption(
                label=_cut(choice, MAX_CHOICE), value=choice[:MAX_CHOICE], default=choice == field.value
            )
            for choice in field.choices[:MAX_CHOICES]
        ]
        return ui.Select(custom_id=name, options=options, required=is_required)
    style = discord.TextStyle.paragraph if field.is_long else discord.TextStyle.short
    return ui.TextInput(
        custom_id=name, style=style, default=field.value[:MAX_VALUE], max_length=MAX_VALUE, required=is_required
    )


def press(action: str, data: Mapping[str, Any]) -> Press:
    """What a form came back with, as the press of its button."""
    return Press(action, dict(_values(data)))


def _values(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in data["components"]:
        field = part["component"]
        chosen = field.get("values")
        yield field["custom_id"], str(chosen[0] if chosen else field.get("value") or "")
