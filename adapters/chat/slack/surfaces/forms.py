"""The form behind `/finetune` and "Fine-tune this file": it ends in the words that one could have typed."""

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from adapters.chat.slack.api import Refused
from adapters.chat.slack.blocks import plain
from adapters.chat.slack.reading import Payload, Where, is_direct, upload
from bot.chat import Command, Denied, Gone, Incoming, Message, Person, TryLater
from bot.talk.commands import Plan, parse
from bot.wording.help import METHODS
from bot.wording.plan import value as shown
from engine.data.types import NEEDS
from engine.hub import names
from engine.plan.models import MODELS
from engine.plan.parameters import TABLE, Parameter
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.slack.receive import Receiver

CALLBACK = "finetune"
ASKED = ("epochs", "learning_rate", "max_length", "lora", "valid")
"""The parameters that have a field of their own."""
ENDINGS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".gz", ".zst")
RECENT_S = 1.0
MAX_RECENT = 25
NOT_IN = "I am not in this channel, so I could not answer here. Type /invite @{name}, then ask once more."


@dataclass(frozen=True)
class Start:
    """What a form begins with: who asks, where, a file that is meant already, a method and options that were typed."""

    user: str
    channel: str = ""
    thread: str = ""
    file: str = ""
    file_name: str = ""
    method: str = ""
    options: str = ""


def wanted(incoming: Incoming) -> Start | None:
    """The form that a slash command asks for, if it does. Raises Refusal for words that cannot be understood."""
    text = incoming.what.text if isinstance(incoming.what, Command) else ""
    channel = incoming.place.id.split("/")[1]
    if not text:
        return Start(incoming.person.id, channel)
    request = parse(text)
    if not isinstance(request, Plan):
        return None
    return Start(incoming.person.id, channel, method=request.method, options=text.partition(" ")[2])


async def open_form(receiver: "Receiver", trigger: str, start: Start) -> None:
    """Raises Refusal where what is asked for could not be answered."""
    if start.channel and not await receiver.chat.people.is_in(start.channel):
        raise Refusal(NOT_IN.format(name=receiver.me.name))
    recent = [] if start.file or not start.channel else await _recent(receiver, start.channel)
    await receiver.chat.api.call("views.open", trigger_id=trigger, view=view(start, recent))


async def open_for_message(receiver: "Receiver", body: Payload) -> None:
    """The message shortcut: the message's file, in the message's thread."""
    message, channel = body["message"], body["channel"]["id"]
    files = [file for file in message.get("files") or () if file.get("id")]
    if not files:
        words = "There is no file in that message. Use the shortcut on a message with a CSV or JSONL."
        note = {
            "type": "modal",
            "title": plain("Fine-tune", 24),
            "blocks": [{"type": "section", "text": plain(words, 3000)}],
        }
        await receiver.chat.api.call("views.open", trigger_id=body["trigger_id"], view=note)
        return
    thread = "" if is_direct(channel) else message.get("thread_ts") or message["ts"]
    start = Start(body["user"]["id"], channel, thread, files[0]["id"], files[0].get("name") or files[0]["id"])
    await open_form(receiver, body["trigger_id"], start)


async def _recent(receiver: "Receiver", channel: str) -> list[Payload]:
    """The datasets that were dropped in the channel lately; none where that takes too long for a form."""
    try:
        async with asyncio.timeout(RECENT_S):
            answer = await receiver.chat.api.call("files.list", channel=channel, count=100)
    except (TimeoutError, Gone, Denied, TryLater, Refused):
        return []
    files = (file for file in answer.get("files", []) if file.get("name", "").lower().endswith(ENDINGS))
    return list(files)[:MAX_RECENT]


def view(start: Start, recent: list[Payload]) -> dict[str, Any]:
    blocks = [
        *_file_blocks(start, recent),
        _method(start.method),
        _model(),
        *map(_parameter, ASKED),
        _repo(),
        _options(start),
    ]
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": plain("Fine-tune", 24),
        "submit": plain("Plan", 24),
        "close": plain("Close", 24),
        "private_metadata": json.dumps(asdict(start)),
        "blocks": blocks,
    }


def _file_blocks(start: Start, recent: list[Payload]) -> list[dict[str, Any]]:
    if start.file:
        return [{"type": "section", "block_id": "given", "text": plain(f"File: {start.file_name}", 3000)}]
    attach = {"type": "file_input", "action_id": "value", "max_files": 1, "filetypes": ["csv", "tsv", "json", "jsonl"]}
    hint = "Up to 10 MB here. A larger one: drop it in the channel, then choose it from the list."
    blocks = [_input("upload", "A new file", attach, hint)]
    if recent:
        choices = [{"text": plain(file["name"], 75), "value": file["id"]} for file in recent]
        blocks.insert(
            0,
            _input(
                "file", "A file of this channel", {"type": "static_select", "action_id": "value", "options": choices}
            ),
        )
    return blocks


def _input(block: str, label: str, element: dict[str, Any], hint: str = "", is_optional: bool = True) -> dict[str, Any]:
    more = {"hint": plain(hint, 2000)} if hint else {}
    return {
        "type": "input",
        "block_id": block,
        "label": plain(label, 2000),
        "element": element,
        "optional": is_optional,
        **more,
    }


def _method(chosen: str) -> dict[str, Any]:
    options = {word: {"text": plain(f"{word}: {METHODS[word]}", 75), "value": word} for word in NEEDS}
    element = {"type": "static_select", "action_id": "value", "options": list(options.values())}
    initial = {"initial_option": options[chosen]} if chosen else {}
    return _input("method", "Method", {**element, **initial}, is_optional=False)


def _model() -> dict[str, Any]:
    element = {"type": "external_select", "action_id": "model", "min_query_length": 0}
    return _input("model", "Base model", element, "Type to search, or any id of the Hub. Empty: one that fits.")


def _parameter(name: str) -> dict[str, Any]:
    parameter = next(one for one in TABLE if one.name == name)
    element = {"type": "plain_text_input", "action_id": "value", "placeholder": plain(parameter.range, 150)}
    hint = f"{parameter.sentence} Usual: {_usual(parameter)}. Empty: chosen for your rows, your model and this machine."
    return _input(name, name.replace("_", " ").capitalize(), element, hint)


def _usual(parameter: Parameter) -> str:
    """Its default, and those of the methods that have another: `3 (reward and dpo: 1)`."""
    others: dict[str, list[str]] = {}
    for method, value in parameter.by_method.items():
        others.setdefault(shown(value), []).append(method)
    said = "; ".join(f"{', '.join(methods)}: {value}" for value, methods in others.items())
    return f"{shown(parameter.default)} ({said})" if said else shown(parameter.default)


def _repo() -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "value", "placeholder": plain("name or namespace/name", 150)}
    return _input(
        "repo", "Repo of the model", element, "Where it is pushed to. Empty: a new one, named after the file."
    )


def _options(start: Start) -> dict[str, Any]:
    initial = {"initial_value": start.options} if start.options else {}
    element = {"type": "plain_text_input", "action_id": "value", **initial}
    return _input("options", "More options", element, "As name=value, for example valid=10% prompt=question")


def suggested(body: Payload) -> Payload:
    """Base models for what was typed; any other id of the Hub is taken as it stands."""
    typed = (body.get("value") or "").strip()
    ids = [offer.id for offer in MODELS if typed.lower() in offer.id.lower()]
    own = [typed] if "/" in typed and typed not in ids and len(typed) <= 75 else []
    return {"options": [{"text": plain(name, 75), "value": name} for name in own + ids]}


def typed(values: Payload) -> str:
    """The same request as words: `dpo model=… epochs=2 …`."""
    given = {name: value for name in ("model", *ASKED, "repo") if (value := _value(values, name))}
    pairs = (f'{name}="{value}"' if " " in value else f"{name}={value}" for name, value in given.items())
    return " ".join(filter(None, (_value(values, "method"), *pairs, _value(values, "options"))))


def _value(values: Payload, block: str) -> str:
    state: Payload = next(iter((values.get(block) or {}).values()), {})
    chosen = state.get("selected_option") or {}
    return str(chosen.get("value") or state.get("value") or "").strip()


def _file(values: Payload, start: Start) -> str:
    state: Payload = next(iter((values.get("upload") or {}).values()), {})
    attached = state.get("files") or []
    return start.file or (attached[0]["id"] if attached else "") or _value(values, "file")


async def submitted(receiver: "Receiver", body: Payload) -> Payload | None:
    """Errors at their field, or the file and the words handed over, in a thread of their own."""
    start = Start(**json.loads(body["view"].get("private_metadata") or "{}"))
    values = body["view"]["state"]["values"]
    words, file = typed(values), _file(values, start)
    try:
        parse(words)
        if repo := _value(values, "repo"):
            names.check(repo if "/" in repo else f"any/{repo}")
        if not file:
            raise Refusal("Attach a file, or choose one.", "upload")
        person = await receiver.person(body)
        info = (await receiver.chat.api.call("files.info", file=file))["file"]
        place = await _place(receiver, start, person, body["view"]["id"], f"{words} · {info.get('name', '')}")
    except Refusal as refusal:
        return _errors(refusal.text, refusal.field, values)
    except (Gone, Denied, TryLater, Refused) as reason:
        return _errors(f"Slack did not take it ({reason}). Press Plan again.", "method", values)
    key = f"slack/{body['view']['id']}"
    things = Incoming(f"{key}/{file}", place, person, upload(info)), Incoming(key, place, person, Command(words))
    refused = await receiver.hand_over(*things)
    return _errors(refused.text, refused.field, values) if refused else None


def _errors(text: str, field: str, values: Payload) -> Payload:
    """At the field that it is about; Slack shows errors at inputs only."""
    block = field if field in values else "options" if field and field != "method" else "method"
    return {"response_action": "errors", "errors": {block: text}}


async def _place(receiver: "Receiver", start: Start, person: Person, view_id: str, what: str) -> Any:
    """The thread of the file; direct messages; or the thread of a new card in the channel."""
    team = receiver.me.team
    channel = start.channel or await receiver.chat.people.direct(person.id)
    if start.thread or is_direct(channel):
        return Where(channel, start.thread).place(team)
    card = Message(f"slack/{view_id}/card", f"{person.name} · {what}")
    try:
        posted = await receiver.chat.post(Where(channel).place(team), card)
    except Gone:
        raise Refusal(NOT_IN.format(name=receiver.me.name), "method") from None
    return Where(channel, posted.partition("/")[2]).place(team)
