"""THE place where a file's row becomes a trainer's row.

| method | columns for the trainer |
|---|---|
| sft, clm, mlm | `text`, or `messages` |
| reward | `chosen`, `rejected` |
| dpo, orpo | `prompt`, `chosen`, `rejected` |
| kto | `prompt`, `completion`, `label` (true or false) |

Conversational rows hold lists of `{role, content}` instead of strings.
"""

from collections.abc import Callable, Iterable, Mapping

from engine.data.columns import OPTIONAL, STRINGS, label_of, mapping_for
from engine.data.shown import shown
from engine.data.turns import BadMessages, Messages, marks_as_text, messages_in, messages_of, parse_turns, unescape
from engine.data.types import Row
from engine.jobs import Source, Value
from engine.refusal import Refusal

PLAIN_METHODS = ("clm", "mlm")
"""These learn texts as they stand: pairs are joined, never turned into a conversation."""

Change = Callable[[str], str]
TrainerRow = dict[str, str | Messages | bool]


def trainer_row(row: Row, method: str, source: Source, has_template: bool) -> TrainerRow:
    """One row in the trainer's columns. Raises Refusal where a conversation was asked for and the row is none."""
    way = source.mapping or mapping_for(method, list(row), {}) or {}
    for role, column in way.items():
        if row.get(column) is None and role not in OPTIONAL:
            raise Refusal(f"has no {shown(column)}.", "columns")
    changes = _changes(method, way, source, has_template)
    cells = {role: _cell(row.get(column), column, changes) for role, column in way.items()}
    if "messages" in way:
        return {"messages": [*_system(cells), *_messages(cells["messages"])]}
    are_turns = is_conversational(method, way, source, has_template)
    if "rejected_text" in way:
        return _preference(cells, method, are_turns)
    if "label" in way:
        return _judged(cells, are_turns)
    return _language(cells, are_turns)


def is_conversational(method: str, way: Mapping[str, str], source: Source, has_template: bool) -> bool:
    """Whether strings become turns: turn markers because somebody wants it, pairs where the model has a template."""
    if method in PLAIN_METHODS:
        return False
    return source.as_conversation or ("prompt" in way and has_template)


def has_template_for(method: str, parameters: Mapping[str, Value], has_template: bool) -> bool:
    """`template=none` says plain text; `chatml` and `zephyr` bring a template to a model that has none."""
    word = parameters.get("template", "auto")
    return has_template if word == "auto" else word != "none"


def keeps_marks(method: str, way: Mapping[str, str], source: Source, has_template: bool) -> bool:
    """Whether a template's marks in cells are the model's own: in texts that may have been through one already. In a
    turn or in a pair a cell could end the turn that it stands in."""
    is_language = method in ("sft", *PLAIN_METHODS) and "messages" not in way
    return is_language and not source.marks_are_text and not is_conversational(method, way, source, has_template)


def _changes(method: str, way: Mapping[str, str], source: Source, has_template: bool) -> tuple[Change, ...]:
    """What is done to every text of a row."""
    steps = (
        unescape if source.wants_unescape else None,
        None if keeps_marks(method, way, source, has_template) else marks_as_text,
    )
    return tuple(step for step in steps if step is not None)


def _cell(value: object, column: str, changes: Iterable[Change]) -> object:
    """A string, or the conversation that a cell holds which may hold one."""
    value = value if column in STRINGS else messages_in(value) or value
    for change in changes:
        value = _changed(value, change)
    return value


def _changed(value: object, change: Change) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed_message(message, change) for message in value]
    return value


def _changed_message(message: object, change: Change) -> object:
    if not isinstance(message, dict):
        return message
    return {key: change(value) if isinstance(value, str) else value for key, value in message.items()}


def _messages(value: object) -> Messages:
    try:
        return messages_of(value)
    except BadMessages as error:
        raise Refusal(f"is no conversation: {error.text}.", "file") from None


def _turns(text: str) -> Messages:
    messages = parse_turns(text)
    if messages is None:
        raise Refusal("has no turns such as human: … bot: …; train as plain text (template=none).", "template")
    return messages


def _asked(cells: Mapping[str, object]) -> str:
    """The prompt, with Alpaca's input under it."""
    more = str(cells.get("input") or "")
    return f"{cells['prompt']}\n\n{more}" if more else str(cells["prompt"])


def joined(prompt: str, answer: str) -> str:
    return open_ended(prompt) + answer


def open_ended(prompt: str) -> str:
    """A prompt that an answer can follow at a token boundary: a line break is added if it ends in no white space."""
    return prompt if not prompt or prompt[-1].isspace() else f"{prompt}\n"


def _language(cells: Mapping[str, object], are_turns: bool) -> TrainerRow:
    if any(_is_list(value) for value in cells.values()):
        return {"messages": [*_asked_messages(cells), *_answered(cells["text"])]}
    text = str(cells["text"])
    if "prompt" not in cells:
        return {"messages": _turns(text)} if are_turns else {"text": text}
    prompt = _asked(cells)
    if are_turns:
        return {"messages": [*_system(cells), *_pair(prompt, text)]}
    return {"text": joined(_with_system(cells, prompt), text)}


def _pair(prompt: str, answer: str) -> Messages:
    return [_user(prompt), _assistant(answer)]


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _preference(cells: Mapping[str, object], method: str, are_turns: bool) -> TrainerRow:
    answers = {"chosen": cells["text"], "rejected": cells["rejected_text"]}
    if any(_is_list(cell) for cell in cells.values()):
        return _listed_preference(cells, answers, method)
    chosen, rejected = str(answers["chosen"]), str(answers["rejected"])
    if "prompt" not in cells:
        return {"chosen": _turns(chosen), "rejected": _turns(rejected)} if are_turns else _texts(chosen, rejected)
    system = _system(cells)
    prompt = _asked(cells) if are_turns else _with_system(cells, _asked(cells))
    if method == "reward" and are_turns:
        return {"chosen": [*system, *_pair(prompt, chosen)], "rejected": [*system, *_pair(prompt, rejected)]}
    if method == "reward":
        return {"chosen": joined(prompt, chosen), "rejected": joined(prompt, rejected)}
    if are_turns:
        return {"prompt": [*system, _user(prompt)], "chosen": [_assistant(chosen)], "rejected": [_assistant(rejected)]}
    return {"prompt": open_ended(prompt), "chosen": chosen, "rejected": rejected}


def _judged(cells: Mapping[str, object], are_turns: bool) -> TrainerRow:
    """One answer and whether it is good. Raises Refusal for a label that is neither."""
    label = label_of(cells["label"])
    if label is None:
        raise Refusal(f"has the label {shown(str(cells['label']))}, which is neither true nor false.", "columns")
    answer = cells["text"]
    if any(_is_list(cells[role]) for role in ("prompt", "text")):
        asked = _asked_messages(cells)
        answered = _answered(answer)
        shared = len(asked) if answered[: len(asked)] == asked else 0
        return {"prompt": asked, "completion": answered[shared:], "label": label}
    if are_turns:
        prompt = [*_system(cells), _user(_asked(cells))]
        return {"prompt": prompt, "completion": [_assistant(str(answer))], "label": label}
    return {"prompt": open_ended(_with_system(cells, _asked(cells))), "completion": str(answer), "label": label}


def _texts(chosen: str, rejected: str) -> TrainerRow:
    return {"chosen": chosen, "rejected": rejected}


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _listed_preference(cells: Mapping[str, object], answers: Mapping[str, object], method: str) -> TrainerRow:
    """Conversations to compare: what both begin with is the prompt, unless the prompt is given and not repeated."""
    chosen, rejected = (_answered(answer) for answer in answers.values())
    if "prompt" in cells and chosen[0]["role"] == "assistant":
        asked = _asked_messages(cells)
        chosen, rejected = asked + chosen, asked + rejected
    if method == "reward":
        return {"chosen": chosen, "rejected": rejected}
    shared = _shared(chosen, rejected)
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _answered(value: object) -> Messages:
    return _messages(value) if _is_list(value) else [_assistant(str(value))]


def _asked_messages(cells: Mapping[str, object]) -> Messages:
    if "prompt" not in cells:
        return []
    asked = _messages(cells["prompt"]) if _is_list(cells["prompt"]) else [_user(_asked(cells))]
    return [*_system(cells), *asked]


def _system(cells: Mapping[str, object]) -> Messages:
    """A system prompt from a column of its own as a message; nothing where its cell is empty."""
    text = str(cells.get("system") or "")
    return [{"role": "system", "content": text}] if text.strip() else []


def _with_system(cells: Mapping[str, object], prompt: str) -> str:
    return "\n\n".join([message["content"] for message in _system(cells)] + [prompt])


def _shared(chosen: Messages, rejected: Messages) -> int:
    """How many messages both begin with; at least one is left of each."""
    most = min(len(chosen), len(rejected)) - 1
    return next((i for i in range(most) if chosen[i] != rejected[i]), most)
