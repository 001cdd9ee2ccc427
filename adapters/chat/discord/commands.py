"""The commands as Discord shows them, made from the methods and their parameters; and a form → the typed words."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import discord
from discord import ui

from bot.wording.help import METHODS
from engine.data.types import NEEDS
from engine.plan import models, parameters
from engine.plan.parameters import Parameter

FILES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".txt", ".gz", ".zip", ".xz")
"""What a dropped file ends with if it may be a dataset. Others are left alone."""
SAY = "say"
TYPED = ("list", "queue", "audit", "schedules", "unschedule")
"""Words without a command of their own; the first two say what `status` says."""
MENU = "Fine-tune this file"
FORM = "finetune-form"
SUBCOMMAND, TEXT, WHOLE, SWITCH, NUMBER, ATTACHMENT = 1, 3, 4, 5, 10, 11
LARGEST = 2**53
MAX_CHARACTERS = 8000
"""Of all names and sentences of the command. What has no room goes by `more`."""
FIRST = ("epochs", "max_steps", "learning_rate", "batch_size", "max_length", "lora", "valid", "beta", "mlm_probability")
MAX_OPTIONS, MAX_CHOICES = 25, 25
IN_SERVERS: dict[str, Any] = {"contexts": [0], "integration_types": [0]}
MORE = {"name": "more", "type": TEXT, "description": "Other settings: name=value …", "max_length": 1000}
RUN = {"name": "run", "type": TEXT, "description": "Number of the run."}

Option = dict[str, Any]


def payload() -> list[dict[str, Any]]:
    """All commands of the bot, as they are put to Discord."""
    group: Option = {"name": "finetune", "type": 1, "description": "Fine-tune a language model."}
    others = list(_others())
    room = (MAX_CHARACTERS - size(group) - size(others)) // len(NEEDS)
    group["options"] = [*(_method(method, room) for method in NEEDS), *others]
    return [{**group, **IN_SERVERS}, {"name": MENU, "type": 3, **IN_SERVERS}]


def _subcommand(name: str, sentence: str, *options: Option) -> Option:
    return {"name": name, "type": SUBCOMMAND, "description": sentence, "options": list(options)}


def _others() -> Iterator[Option]:
    """The words that are no method. Discord takes 25 of them, so the rare ones are typed after `say`."""
    methods = [{"name": method, "value": method} for method in NEEDS]
    yield _subcommand("status", "How a run stands, or all recent ones.", RUN)
    yield _subcommand("models", "The models that were made.")
    yield _subcommand("form", "Fill in a form for a run.")
    save = {"name": "save", "type": SWITCH, "description": "Keep the model as far as it is trained."}
    yield _subcommand("cancel", "End a run.", {**RUN, "required": True}, save)
    yield _subcommand("resume", "Go on from a run's last checkpoint.", {**RUN, "required": True})
    yield _subcommand("retry", "Do a run once more, with other settings.", {**RUN, "required": True}, MORE)
    yield _subcommand("push", "Push a model that could not be pushed.", {**RUN, "required": True})
    question = {"name": "question", "type": TEXT, "description": "What you ask it.", "max_length": 2000}
    yield _subcommand("ask", "Try a run's model beside its base.", {**RUN, "required": True}, question)
    other = {"name": "other", "type": TEXT, "description": "Number of the other run.", "required": True}
    yield _subcommand("compare", "Two runs in one table.", {**RUN, "required": True}, other)
    yield _subcommand("logs", "The last lines of a run's log.", {**RUN, "required": True})
    method = {"name": "method", "type": TEXT, "description": "The method.", "choices": methods}
    yield _subcommand("example", "A small table that shows what a method reads.", method)
    when = {"name": "when", "type": TEXT, "description": "at 02:00, every monday 02:00 Europe/Berlin", "required": True}
    yield _subcommand("schedule", "Start a run later, or again and again.", {**RUN, "required": True}, when)
    what = {"name": "what", "type": TEXT, "description": "A run, all, or off."}
    yield _subcommand("notify", "Hear of a run's end by direct message.", what)
    data = {"name": "what", "type": TEXT, "description": "A run or a file.", "required": True}
    yield _subcommand("forget", "Delete data from the server.", data)
    dataset = {"name": "dataset", "type": TEXT, "description": "As in hf:org/name", "required": True}
    yield _subcommand("check", "Check a dataset of the Hub.", dataset)
    typed = {"name": "words", "type": TEXT, "description": "As after /finetune: schedules, audit …", "required": True}
    yield _subcommand(SAY, "Any other words, as you would type them.", typed)
    word = {"name": "word", "type": TEXT, "description": "A method, a column or a setting."}
    yield _subcommand("help", "What I can do, or what a word means.", word)


def _method(method: str, room: int) -> Option:
    """With as many settings as `room` characters hold."""
    file = {"name": "file", "type": ATTACHMENT, "description": "CSV or JSONL.", "file_types": list(FILES[:6])}
    model = {"name": "model", "type": TEXT, "description": "Base model on the Hub.", "autocomplete": True}
    columns = (
        {"name": name, "type": TEXT, "description": f"Your column for {name}.", "max_length": 100}
        for name in NEEDS[method]
    )
    repo = {"name": "repo", "type": TEXT, "description": "Repo for the model.", "max_length": 96}
    options = [file, model, *columns, repo]
    word = _subcommand(method, f"Plan {method} on {', '.join(NEEDS[method])}.", *options, MORE)
    left = room - size(word)
    table = sorted(parameters.table_for(method), key=lambda item: item.name not in FIRST)
    for option in map(_parameter, table):
        left -= size(option)
        if left >= 0 and len(options) < MAX_OPTIONS - 1:
            options.append(option)
    return {**word, "options": [*options, MORE]}


def _parameter(item: Parameter) -> Option:
    option: Option = {"name": item.name, "description": _short(item.sentence)}
    match item.kind:
        case "switch":
            return {**option, "type": SWITCH}
        case "choice":
            return {**option, "type": TEXT, "choices": [{"name": word, "value": word} for word in item.choices]}
        case "text":
            return {**option, "type": TEXT, "max_length": 200}
    bounds = {"min_value": item.low, "max_value": item.high}
    whole = item.kind == "whole"
    finite = {name: int(value) if whole else value for name, value in bounds.items() if abs(value) < LARGEST}
    return {**option, "type": WHOLE if whole else NUMBER, **finite}


def _short(sentence: str) -> str:
    first = sentence.split(":")[0].split(";")[0].rstrip(".")
    return first if len(first) <= 60 else first[:59] + "…"


def size(value: object) -> int:
    """Characters of names, descriptions and values, as Discord counts them."""
    if isinstance(value, Mapping):
        counted = sum(len(str(value[key])) for key in ("name", "description", "value") if key in value)
        return counted + sum(size(value[key]) for key in ("options", "choices") if key in value)
    return sum(map(size, value)) if isinstance(value, list) else 0


def words(data: Mapping[str, Any]) -> tuple[str, str]:
    """What the person would have typed after `/finetune`, and the id of the attachment, if any."""
    chosen = data["options"][0]
    given = {option["name"]: option["value"] for option in chosen.get("options", [])}
    file = str(given.pop("file", ""))
    more = str(given.pop("more", ""))
    if chosen["name"] in NEEDS:
        pairs = [f"{name}={_typed(value)}" for name, value in given.items()]
        return " ".join(filter(None, (chosen["name"], *pairs, more))), file
    if chosen["name"] == SAY:
        return str(given["words"]).strip().removeprefix("/finetune").strip() or "help", ""
    save = "save" if given.pop("save", False) else ""
    return " ".join(filter(None, (chosen["name"], *map(str, given.values()), save, more))), file


def form() -> ui.Modal:
    """The same as a form: a method, a file, a base model, and whatever else as it would be typed."""
    methods = [discord.SelectOption(label=method, description=METHODS[method][:100]) for method in NEEDS]
    modal = ui.Modal(title="Fine-tune a model", custom_id=FORM)
    modal.add_item(ui.Label(text="Method", component=ui.Select(custom_id="method", options=methods)))
    file: ui.FileUpload[ui.Modal] = ui.FileUpload(custom_id="file", min_values=0, required=False)
    modal.add_item(
        ui.Label(text="File", description="CSV or JSONL; without one, drop it in the thread.", component=file)
    )
    for name, label, example in (("model", "Base model", "org/name"), ("more", "Other settings", "epochs=3 valid=10%")):
        text: ui.TextInput[ui.Modal] = ui.TextInput(custom_id=name, required=False, placeholder=example)
        modal.add_item(ui.Label(text=label, component=text))
    return modal


def filled(data: Mapping[str, Any]) -> tuple[str, str]:
    """The words of a form, and the id of its file, if any."""
    parts = {part["component"]["custom_id"]: part["component"] for part in data["components"]}
    model, more = (str(parts[name].get("value") or "").strip() for name in ("model", "more"))
    model = f"model={_typed(model)}" if model else ""
    file = next(iter(parts["file"].get("values") or []), "")
    return " ".join(filter(None, (parts["method"]["values"][0], model, more))), str(file)


def _typed(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and not math.isinf(value) else repr(value)
    text = str(value).replace('"', "")
    return f'"{text}"' if len(text.split()) > 1 else text


def focused(data: Mapping[str, Any]) -> str:
    """What stands in the option that is being typed."""
    options = data["options"][0].get("options", [])
    return next((str(option["value"]) for option in options if option.get("focused")), "")


def base_models(typed: str) -> list[str]:
    """The base models on offer that what was typed is a part of."""
    offered = [model.id for model in models.MODELS]
    return [name for name in offered if typed.lower() in name.lower()][:MAX_CHOICES]
