"""A row as the exact text that the model will see, special tokens included, and what of it is learned."""

import random
from collections.abc import Sequence

from engine.data import encoding
from engine.data.preview.fate import encode
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.trainer_rows import TrainerRow
from engine.data.types import Row, Sample

REJECTED = "\n\n— rejected —\n"


def samples(
    rows: Sequence[Row], sizes: Sequence[int], plan: Plan, tokenizer: FileTokenizer, max_length: int
) -> tuple[Sample, ...]:
    """The first row, the longest and a random one, none twice."""
    seed = int(plan.given.get("seed", 42))
    longest = max(range(len(rows)), key=lambda number: sizes[number])
    chosen = {"first": 0, "longest": longest, "random": random.Random(seed).randrange(len(rows))}  # noqa: S311
    titles: dict[int, str] = {}
    for title, number in chosen.items():
        titles.setdefault(number, title)
    return tuple(
        sample(title, number + 1, rows[number], plan, tokenizer, max_length) for number, title in titles.items()
    )


def sample(title: str, number: int, row: Row, plan: Plan, tokenizer: FileTokenizer, max_length: int) -> Sample:
    """One row as the model sees it; both answers of a pair, one after the other."""
    made = plan.row(row)
    encoded = encode(made, plan.method, tokenizer, max_length)
    if isinstance(encoded, dict) and encoded["is_cut"]:
        return Sample(title, number, *_decoded(encoded, tokenizer))
    return Sample(title, number, *_written(made, plan.method, tokenizer))


Marked = tuple[str, tuple[tuple[int, int], ...]]
"""A text and the ranges of it that are learned."""


def _written(row: TrainerRow, method: str, tokenizer: FileTokenizer) -> Marked:
    if method in ("dpo", "orpo"):
        prompt, chosen, rejected = encoding.pair_texts(tokenizer, row)
        if isinstance(row["prompt"], str) and encoding.begins_with_bos(tokenizer):
            prompt = tokenizer.specials["bos_token"] + prompt
        return _two((prompt + chosen, len(prompt)), (prompt + rejected, len(prompt)))
    if method == "kto":
        prompt, answer = encoding.judged_texts(tokenizer, row)
        return prompt + answer + _verdict(row["label"]), ((len(prompt), len(prompt) + len(answer)),)
    if method == "reward":
        chosen, rejected = (_scored(row[name], tokenizer) for name in ("chosen", "rejected"))
        return _two((chosen, 0), (rejected, 0))
    if "messages" in row and method == "sft":
        text, ranges = encoding.trained_ranges(tokenizer, _listed(row["messages"]))
        return text, tuple(ranges)
    if "messages" in row:
        text = encoding.ended(encoding.whole_text(tokenizer, row), tokenizer)
    else:
        text = _plain(str(row["text"]), tokenizer)
    return text, ((0, len(text)),)


def _verdict(label: object) -> str:
    """What stands under the text of kto: it is not part of what the model sees."""
    return "\n\n— this answer is good —" if label else "\n\n— this answer is bad —"


def _listed(value: object) -> encoding.Messages:
    return value if isinstance(value, list) else []


def _plain(text: str, tokenizer: FileTokenizer) -> str:
    """A text between the special tokens that it gets, eos included."""
    before, behind = tokenizer.around(text)
    whole = before + text + behind
    return whole if not tokenizer.eos_token or behind.endswith(tokenizer.eos_token) else whole + tokenizer.eos_token


def _scored(value: object, tokenizer: FileTokenizer) -> str:
    if isinstance(value, str):
        return _plain(value, tokenizer)
    return encoding.render(tokenizer, _listed(value)).rstrip()


def _two(one: tuple[str, int], other: tuple[str, int]) -> Marked:
    """Two texts, each with where its learned part begins."""
    text = one[0] + REJECTED
    ranges = ((one[1], len(one[0])), (len(text) + other[1], len(text) + len(other[0])))
    return text + other[0], ranges


def _decoded(encoded: encoding.Encoded, tokenizer: FileTokenizer) -> Marked:
    """The same from tokens, for a row that was cut."""
    if "completion_ids" in encoded:
        prompt, answer = (tokenizer.decode(encoded[f"{name}_ids"]) for name in ("prompt", "completion"))
        return prompt + answer + _verdict(encoded["label"]), ((len(prompt), len(prompt) + len(answer)),)
    if "prompt_ids" in encoded:
        prompt = tokenizer.decode(encoded["prompt_ids"])
        chosen, rejected = (tokenizer.decode(encoded[f"{name}_ids"]) for name in ("chosen", "rejected"))
        return _two((prompt + chosen, len(prompt)), (prompt + rejected, len(prompt)))
    if "chosen_ids" in encoded:
        return _two((tokenizer.decode(encoded["chosen_ids"]), 0), (tokenizer.decode(encoded["rejected_ids"]), 0))
    text, ranges, labels, ids = "", [], encoded["labels"], encoded["input_ids"]
    start = 0
    for end in range(1, len(ids) + 1):
        is_learned = labels[start] != encoding.IGNORED
        if end < len(ids) and (labels[end] != encoding.IGNORED) == is_learned:
            continue
        piece = tokenizer.decode(ids[start:end])
        if is_learned:
            ranges.append((len(text), len(text) + len(piece)))
        text += piece
        start = end
    return text, tuple(ranges)
