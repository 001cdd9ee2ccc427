"""Which columns a method needs, under which names they are understood, and what a misspelt name was meant to be.

A *role* is what a column is for: `text`, `prompt`, `rejected_text`, `label`, `messages`, `input`. A *way* gives for
each role the column that holds it. Every method has a list of ways; the first whose columns are all there is taken.
"""

import difflib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from engine.data.types import NEEDS

Way = Mapping[str, str]

PAIRS: tuple[tuple[str, str], ...] = (
    ("question", "answer"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("input", "output"),
    ("human", "bot"),
    ("user", "assistant"),
)
"""Prompt and answer under common names. They are taken only in a file without columns we do not know."""

HARMLESS = frozenset({"id", "idx", "index", "source", "category", "topic", "split", "label", "score", "tools"})
IDENTIFIERS = frozenset({"id", "idx", "index"})
"""Columns that number the rows: two rows that differ in nothing else are the same."""
OPTIONAL = frozenset({"input", "system"})
"""Roles whose cells may be empty: Alpaca's `input`, and a system prompt in a column of its own."""
STRINGS = frozenset({"text", "rejected_text"})
"""Columns that hold strings whatever those look like."""

CONVERSATIONS: tuple[Way, ...] = ({"messages": "messages"}, {"messages": "conversations"})
CERTAIN_PAIRS: tuple[Way, ...] = ({"prompt": "prompt", "text": "completion"},)
GUESSED_PAIRS: tuple[Way, ...] = tuple({"prompt": prompt, "text": answer} for prompt, answer in PAIRS)
PLAIN: tuple[Way, ...] = ({"prompt": "prompt", "text": "text"}, {"text": "text"})
PREFERENCES: tuple[Way, ...] = (
    {"prompt": "prompt", "text": "text", "rejected_text": "rejected_text"},
    {"prompt": "prompt", "text": "chosen", "rejected_text": "rejected"},
    {"prompt": "conversations", "text": "chosen", "rejected_text": "rejected"},
    {"prompt": "input", "text": "preferred_output", "rejected_text": "non_preferred_output"},
)
BARE_PREFERENCES: tuple[Way, ...] = (
    {"text": "text", "rejected_text": "rejected_text"},
    {"text": "chosen", "rejected_text": "rejected"},
)
GUESSED_PREFERENCES: tuple[Way, ...] = tuple(
    {"prompt": name, "text": "chosen", "rejected_text": "rejected"} for name in ("question", "instruction", "input")
)
ANSWERS: tuple[Way, ...] = ({"prompt": "prompt", "text": "chosen"}, {"prompt": "input", "text": "preferred_output"})
JUDGED: tuple[Way, ...] = (
    {"prompt": "prompt", "text": "text", "label": "label"},
    {"prompt": "prompt", "text": "completion", "label": "label"},
)
"""Unpaired preference: one answer a row, and whether it is a good one."""
GUESSED_JUDGED: tuple[Way, ...] = tuple(
    {"prompt": prompt, "text": answer, "label": "label"} for prompt, answer in PAIRS
)
CHOSEN_TURNS: Way = {"prompt": "conversations", "text": "chosen"}
"""ShareGPT's preferences: the answers continue the conversation."""

WAYS: Mapping[str, tuple[Way, ...]] = {
    "sft": (*PLAIN, CHOSEN_TURNS, *CONVERSATIONS, *CERTAIN_PAIRS, *ANSWERS, *GUESSED_PAIRS),
    "clm": (*PLAIN, CHOSEN_TURNS, *CONVERSATIONS, *CERTAIN_PAIRS, *ANSWERS, *GUESSED_PAIRS),
    "reward": (*PREFERENCES, *GUESSED_PREFERENCES, *BARE_PREFERENCES),
    "dpo": (*PREFERENCES, *GUESSED_PREFERENCES),
    "orpo": (*PREFERENCES, *GUESSED_PREFERENCES),
    "kto": (*JUDGED, *GUESSED_JUDGED),
    "mlm": (*PLAIN, *CERTAIN_PAIRS, *GUESSED_PAIRS),
}

GUESSED: tuple[Way, ...] = (*GUESSED_PAIRS, *GUESSED_PREFERENCES, *GUESSED_JUDGED)

LISTS_OF_MESSAGES: Way = {"text": "chosen", "rejected_text": "rejected"}
"""For dpo and orpo when both cells are conversations: what they share at the beginning is the prompt."""

KNOWN = frozenset(chain.from_iterable(way.values() for ways in WAYS.values() for way in ways)) | OPTIONAL


GOOD = frozenset({"true", "t", "yes", "y", "1", "1.0", "good", "up", "+1", "\U0001f44d"})
BAD = frozenset({"false", "f", "no", "n", "0", "0.0", "bad", "down", "-1", "\U0001f44e"})


def label_of(value: object) -> bool | None:
    """True for a good answer, False for a bad one, None for what says neither."""
    word = str(value).strip().lower()
    return True if word in GOOD else False if word in BAD else None


def normalised(name: str) -> str:
    """`name` without case, surrounding space and accents of width: ` Text\u00a0` becomes `text`."""
    return unicodedata.normalize("NFKC", name).strip().lower().replace(" ", "_").replace("-", "_")


HEADERS = {1: ("text",), 2: ("prompt", "text"), 3: ("prompt", "text", "rejected_text")}
"""The header that a table without one gets, by the number of its columns."""
LONGEST_COLUMN_NAME = 40


def is_data(names: Sequence[str]) -> bool:
    """Whether what stands in a header's place is a row: no name is known, and one is a sentence or a number."""
    if any(normalised(name) in KNOWN | HARMLESS or nearest_role(name) for name in names):
        return False
    return any(
        len(name) > LONGEST_COLUMN_NAME or name.count(" ") > 2 or name.strip().isdigit() for name in names
    ) or all(" " in name for name in names)


def nearest_role(name: str) -> str | None:
    """The column that methods need which `name` was probably meant to be."""
    return next((wanted for wanted in NEEDS["dpo"] if nearest(wanted, [name])), None)


def mapping_for(
    method: str, columns: Sequence[str], override: Mapping[str, str], lists: Collection[str] = ()
) -> Way | None:
    """The way in which `method` reads these columns, or None. `lists` are the columns that hold conversations."""
    if override:
        return _overridden(method, columns, override)
    if (
        method in ("dpo", "orpo")
        and set(LISTS_OF_MESSAGES.values()) <= set(lists)
        and not {"prompt", "conversations"} & set(columns)
    ):
        return LISTS_OF_MESSAGES
    are_all_known = all(name in KNOWN or name in HARMLESS for name in columns)
    for way in WAYS[method]:
        is_guess = way in GUESSED
        if set(way.values()) <= set(columns) and (are_all_known or not is_guess):
            return _with_optional(way, columns)
    return None


def _with_optional(way: Way, columns: Sequence[str]) -> Way:
    """`way` with Alpaca's `input`, and with a `system` prompt where there is something that it can stand before."""
    if way.get("prompt") == "instruction" and "input" in columns:
        way = {**way, "input": "input"}
    has_start = "prompt" in way or "messages" in way
    return {**way, "system": "system"} if has_start and "system" in columns else way


def _overridden(method: str, columns: Sequence[str], override: Mapping[str, str]) -> Way | None:
    if "messages" in override and method in ("sft", "clm"):
        return {"messages": override["messages"]} if override["messages"] in columns else None
    optional = [role for role in ("prompt", "input", "system") if role in override]
    roles = dict.fromkeys((*NEEDS[method], *optional))
    way = {role: override.get(role, role) for role in roles}
    return way if set(way.values()) <= set(columns) else None


def missing_for(method: str, columns: Sequence[str], override: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that the nearest way of `method` lacks, in the file's own manner of naming."""
    names = _nearest_way(method, columns, override)
    return tuple(name for name in names if name not in columns)


def _nearest_way(method: str, columns: Sequence[str], override: Mapping[str, str]) -> tuple[str, ...]:
    wanted = tuple(override.get(role, role) for role in NEEDS[method])
    forms = {normalised(name) for name in columns}
    certain = (way for way in WAYS[method] if way not in GUESSED or forms <= {*way.values(), *HARMLESS})
    ways = (wanted,) if override else (wanted, *(tuple(way.values()) for way in certain))
    return min(ways, key=lambda names: _distance(names, columns))


def _distance(names: Sequence[str], columns: Sequence[str]) -> tuple[int, int, int]:
    """(columns that are not there under any spelling, those that are negated, misspelt ones): the least is nearest."""
    there = sum(name in columns for name in names)
    meant = sum(name not in columns and nearest(name, columns) is not None for name in names)
    return len(names) - there - meant, -there - meant, meant


def nearest_method(columns: Sequence[str]) -> str:
    """The method whose columns this file seems to mean, misspelt or not."""
    return min(("sft", "reward", "dpo"), key=lambda method: _distance(_nearest_way(method, columns, {}), columns))


def nearest(wanted: str, columns: Sequence[str]) -> str | None:
    """The column of the file that was probably meant by `wanted`: another case, spaces, a typing slip, a homoglyph."""
    free = [name for name in columns if name not in KNOWN]
    same = [name for name in free if normalised(name) == wanted]
    if same:
        return same[0]
    by_form = {_squeezed(name): name for name in free}
    close = difflib.get_close_matches(_squeezed(wanted), by_form, n=1, cutoff=0.72)
    return by_form[close[0]] if close else None


def _squeezed(name: str) -> str:
    return normalised(name[:80]).replace("_", "")


def renames_for(columns: Sequence[str], method: str | None = None) -> dict[str, str]:
    """Old name → new name for every column that is a misspelling of one that is needed and missing."""
    method = method or nearest_method(columns)
    pairs = ((nearest(name, columns), name) for name in missing_for(method, columns, {}))
    return {old: new for old, new in pairs if old is not None}


LAYOUTS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"input", "preferred_output", "non_preferred_output"}), "OpenAI preferences"),
    (frozenset({"conversations", "chosen", "rejected"}), "ShareGPT preferences"),
    (frozenset({"conversations"}), "ShareGPT"),
    (frozenset({"messages"}), "OpenAI chat"),
    (frozenset({"instruction", "output"}), "Alpaca"),
    (frozenset({"chosen", "rejected"}), "TRL preference"),
    (frozenset({"prompt", "completion"}), "TRL prompt-completion"),
    (frozenset({"text"}), "AutoTrain"),
)


def layout_of(columns: Collection[str]) -> str:
    """Under which name this set of columns is known; empty where under none."""
    return next((name for needed, name in LAYOUTS if needed <= set(columns)), "")


def type_of(mappings: Mapping[str, Way | None], lists: Collection[str]) -> str:
    """TRL's dataset type and format in words, by what the file can be used for; empty when for nothing."""
    ways = (mappings.get(method) for method in ("dpo", "reward", "kto", "sft", "mlm"))
    way = next((way for way in ways if way is not None), None)
    if way is None:
        return ""
    is_list = any(column in lists for column in way.values())
    format_ = "conversational" if is_list else "standard"
    if "rejected_text" in way:
        return f"preference, {format_}"
    if "label" in way:
        return f"unpaired preference, {format_}"
    return f"prompt-completion, {format_}" if "prompt" in way else f"language modeling, {format_}"
