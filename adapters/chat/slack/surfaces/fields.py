"""The form behind a button: it travels in the button's value, so that it opens after a restart of the bot too."""

import base64
import json
import zlib
from dataclasses import asdict, replace
from typing import Any

from bot.chat import Button, Field, Press

CALLBACK = "button-form"
MARK = "form~"
MAX_PACKED = 2000
"""Characters of a button's value."""
MAX_FIELDS, MAX_CHOICES, MAX_CHOICE, MAX_INITIAL = 5, 100, 150, 3000


def packed(button: Button) -> str:
    """The button as the text of its value. What does not fit goes: what fields are filled with, then choices."""
    form = button.form[:MAX_FIELDS]
    unfilled = tuple(replace(field, value="") for field in form)
    bare = tuple(replace(field, choices=()) for field in unfilled)
    tries = (_text(replace(button, form=fields)) for fields in (form, unfilled, bare))
    return next((text for text in tries if len(text) <= MAX_PACKED), button.action[:MAX_PACKED])


def _text(button: Button) -> str:
    return MARK + base64.b85encode(zlib.compress(json.dumps(asdict(button)).encode(), 9)).decode()


def unpacked(value: str) -> Button | None:
    """The button whose value this is, if it has a form. None too for what is damaged."""
    if not value.startswith(MARK):
        return None
    try:
        told = json.loads(zlib.decompress(base64.b85decode(value.removeprefix(MARK))))
    except (ValueError, zlib.error):
        return None
    form = tuple(Field(**{**field, "choices": tuple(field["choices"])}) for field in told["form"])
    return Button(told["label"], told["action"], told["style"], form)


def view(button: Button, place: str) -> dict[str, Any]:
    """The form as a modal; `place` is where its answer goes."""
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": _plain(button.label, 24),
        "submit": _plain("Send", 24),
        "close": _plain("Close", 24),
        "private_metadata": json.dumps([button.action, place]),
        "blocks": [_input(field, len(button.form) > 1) for field in button.form],
    }


def _plain(text: str, limit: int) -> dict[str, Any]:
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"type": "plain_text", "text": short or " ", "emoji": False}


def _input(field: Field, is_optional: bool) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": field.name[:255],
        "label": _plain(field.label, 2000),
        "element": _select(field) if field.choices else _line(field),
        "optional": is_optional,
    }


def _select(field: Field) -> dict[str, Any]:
    known = [choice for choice in dict.fromkeys(field.choices) if 0 < len(choice) <= MAX_CHOICE][:MAX_CHOICES]
    options = {choice: {"text": _plain(choice, 75), "value": choice} for choice in known}
    initial = {"initial_option": options[field.value]} if field.value in options else {}
    return {"type": "static_select", "action_id": "value", "options": list(options.values()), **initial}


def _line(field: Field) -> dict[str, Any]:
    initial = {"initial_value": field.value[:MAX_INITIAL]} if field.value else {}
    return {"type": "plain_text_input", "action_id": "value", "multiline": field.is_long, **initial}


def answered(view: dict[str, Any]) -> tuple[Press, str]:
    """What a submitted form says, and the place that it is for."""
    action, place = json.loads(view["private_metadata"])
    values = {name: _value(next(iter(state.values()), {})) for name, state in view["state"]["values"].items()}
    return Press(action, values), place


def _value(state: dict[str, Any]) -> str:
    chosen = state.get("selected_option") or {}
    return str(chosen.get("value") or state.get("value") or "")
