"""Conversations in a `text` cell: turn markers such as `human: … bot: …`, and lists of messages."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from engine.data.shown import shown

STYLES: Mapping[str, tuple[str, str, str]] = {
    "human/bot": (r"(?:human|Human)\s*:", r"(?:bot|Bot)\s*:", "human: … bot: …"),
    "Human/Assistant": (r"(?:human|Human)\s*:", r"(?:assistant|Assistant)\s*:", "Human: … Assistant: …"),
    "### Human/### Assistant": (r"### ?Human\s*:", r"### ?Assistant\s*:", "### Human: … ### Assistant: …"),
    "### User/### Assistant": (r"### ?User\s*:", r"### ?Assistant\s*:", "### User: … ### Assistant: …"),
    "### Instruction/### Response": (
        r"### ?Instruction\s*:",
        r"### ?Response\s*:",
        "### Instruction: … ### Response: …",
    ),
    "User/Assistant": (r"(?:user|User|USER)\s*:", r"(?:assistant|Assistant|ASSISTANT)\s*:", "User: … Assistant: …"),
    "User/Bot": (r"(?:user|User)\s*:", r"(?:bot|Bot)\s*:", "User: … Bot: …"),
    "Q/A": (r"Q\s*:", r"A\s*:", "Q: … A: …"),
}
"""Name → how the person's turn begins, how the answer begins, and an example to show."""

_AT_LINE_START = r"(?:^|\n|\\n)[ \t]*"
_ANYWHERE = r"[ \t]*"
"""`###` marks a turn in the middle of a line as well, as in openassistant-guanaco."""


def _marks(person: str, bot: str) -> re.Pattern[str]:
    before = _ANYWHERE if person.startswith("#") else _AT_LINE_START
    return re.compile(rf"{before}(?:(?P<user>{person})|(?P<assistant>{bot}))")


_PATTERNS = {name: _marks(person, bot) for name, (person, bot, _) in STYLES.items()}
_FIRST = {name: re.compile(rf"\s*{person}") for name, (person, _, _) in STYLES.items()}
_ANY_FIRST = re.compile(r"\s*(?:### ?)?(?:[Hh]uman|[Uu]ser|USER|Instruction|Q)\s*:")

Messages = list[dict[str, str]]


LITERAL_NEWLINE = re.compile(r"\\n(?!abla|eq\b|u\b|ot\b|ewline|ewcommand|onumber|i\b|eg\b|exists)")
"""Backslash-n as two characters, unless it begins a command of LaTeX."""


def unescape(text: str) -> str:
    """The two characters backslash-n become a line break, as in the tables that AutoTrain's page shows."""
    return LITERAL_NEWLINE.sub("\n", text) if "\\n" in text else text


MARKS = re.compile(r"<\|[\w-]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>")
"""What tokenizers read as tokens of their own wherever it stands: the marks of chat templates, and ends of texts."""


def marks_as_text(text: str) -> str:
    """`<|im_end|>` becomes `< |im_end|>`: letters that a person wrote, which end no turn and begin none."""
    return MARKS.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text) if "<" in text or "[" in text else text


def style_of(text: str) -> str:
    """The name of the style in which `text` is a conversation; empty when it is none."""
    if not _ANY_FIRST.match(text):
        return ""
    return next((name for name in STYLES if _turns(text, name) is not None), "")


def parse_turns(text: str) -> Messages | None:
    """The conversation that turn markers make of `text`; None where they do not.

    Turns must alternate, beginning with the person's, none empty. Line breaks may stand as two literal characters.
    """
    style = style_of(text)
    return _turns(text, style) if style else None


def _turns(text: str, style: str) -> Messages | None:
    if not _FIRST[style].match(text):
        return None
    marks = list(_PATTERNS[style].finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    messages = [
        {"role": mark.lastgroup or "", "content": _trimmed(text[mark.end() : end])}
        for mark, end in zip(marks, ends, strict=True)
    ]
    roles = [message["role"] for message in messages]
    is_alternating = len(roles) > 1 and all(role == ("user", "assistant")[i % 2] for i, role in enumerate(roles))
    is_full = all(message["content"] for message in messages)
    return messages if is_alternating and is_full and "assistant" in roles else None


def turn_ends(text: str) -> list[int]:
    """Where the first answer of a conversation by turn markers begins, and then where each exchange but the last ends;
    nothing for another text."""
    style = style_of(text)
    marks = list(_PATTERNS[style].finditer(text)) if style else []
    return [mark.end() for mark in marks[1:2]] + [mark.start() for mark in marks[2:] if mark.lastgroup == "user"]


def _trimmed(text: str) -> str:
    text = text.strip()
    while text.endswith("\\n") or text.startswith("\\n"):
        text = text.removesuffix("\\n").removeprefix("\\n").strip()
    return text


class TurnCount:
    """How many rows are conversations by turn markers, and in which style most of them."""

    def __init__(self) -> None:
        self.styles: Counter[str] = Counter()
        self.rows = 0

    def add(self, text: str) -> None:
        self.rows += 1
        if style := style_of(text):
            self.styles[style] += 1

    def stats(self) -> dict[str, object] | None:
        """`style`, `example`, `rows` that have it, `of` all, `is_all`; None where no row has turn markers."""
        if not self.styles:
            return None
        style, rows = self.styles.most_common(1)[0]
        rows = self.styles.total()
        example = STYLES[style][2]
        return {"style": style, "example": example, "rows": rows, "of": self.rows, "is_all": rows == self.rows}


ROLES = {"system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
         "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant"}  # fmt: skip


class BadMessages(Exception):
    """`text` says which turn is wrong and how; `code` is that of the issue."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def messages_of(value: object) -> Messages:
    """A list of messages as `{role, content}`, from OpenAI's or ShareGPT's form, or from its JSON text.

    Raises BadMessages; the roles become system, user, assistant.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise BadMessages(
                "bad_messages", "the cell is no JSON list of messages; write one, or drop the row"
            ) from None
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if not isinstance(value, list) or not value:
        raise BadMessages("bad_messages", "it must be a list of messages with `role` and `content`, not empty")
    return [_message(item, number) for number, item in enumerate(value, 1)]


def messages_in(value: object) -> Messages | None:
    """The conversation that a cell holds, as a list, an object or JSON text; None where it is a plain text."""
    if isinstance(value, str) and not value.startswith(("[{", "{")):
        return None
    try:
        return messages_of(value)
    except BadMessages:
        return None


def looks_like_messages(value: object) -> bool:
    """Whether a cell is a list, an object of OpenAI's or ShareGPT's, or JSON text that begins as a list of them."""
    if isinstance(value, dict):
        return "messages" in value or "role" in value or "from" in value
    return isinstance(value, list) or (isinstance(value, str) and value.startswith("[{"))


def _message(item: object, number: int) -> dict[str, str]:
    if not isinstance(item, dict):
        raise BadMessages("bad_messages", f"message {number} is no object with `role` and `content`; write it as one")
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    if not isinstance(role, str) or role not in ROLES:
        wanted = "system, user or assistant"
        raise BadMessages("bad_messages", f"message {number} has {_role(role)}; it must be {wanted}")
    if not isinstance(content, str):
        raise BadMessages("bad_messages", f"message {number} has no `content` that is a string; write its text")
    return {"role": ROLES[role], "content": content}


def unheeded(value: object) -> str:
    """What a conversation says that no training here heeds, in words; empty where there is nothing of it.

    Given as it stands in the file. OpenAI's `weight` of 0 says that a message is not to be learned.
    """
    messages = value if isinstance(value, list) else []
    for number, message in enumerate(messages, 1):
        if isinstance(message, dict) and message.get("weight") == 0:
            return f"message {number} has the weight 0, but it is learned all the same; take it out if it must not be"
        if isinstance(message, dict) and message.get("tool_calls"):
            return f"message {number} calls tools, which are not learned; write what is to be learned as its text"
    return ""


def _role(role: object) -> str:
    return f"the role {shown(role, 20)}" if isinstance(role, str) else "no role"


def faults_of(messages: Messages, part: str = "whole") -> list[BadMessages]:
    """What is odd in a conversation. `part` is whole, or answer or prompt where it is only the end or the beginning of
    one."""
    faults = [
        BadMessages("empty_turn", f"message {number} ({message['role']}) is empty; write it or take it out")
        for number, message in enumerate(messages, 1)
        if not message["content"].strip()
    ]
    roles = [message["role"] for message in messages if message["role"] != "system"]
    if part == "prompt":
        return faults
    if "assistant" not in roles:
        faults.append(
            BadMessages(
                "bad_messages", "no message is the assistant's, so there is nothing to learn; add one or drop the row"
            )
        )
    elif any(message["role"] == "system" for message in messages[1:]):
        faults.append(BadMessages("turn_order", "the system's message is not the first; put it before all others"))
    elif any(one == other for one, other in pairwise(roles)) or (part == "whole" and roles[0] != "user"):
        faults.append(BadMessages("turn_order", "user and assistant do not take turns, user first; put them in order"))
    elif roles[-1] == "user":
        words = "the last message is the user's, and nothing is learned from it; add an answer or take it out"
        faults.append(BadMessages("turn_order", words))
    return faults
