"""A trainer's rows as tokens: texts, conversations and pairs, with -100 where nothing is to be learned.

The training and the preview both read rows through these functions, so that what was shown is what is learned.
`tokenizer` is transformers' or the preview's own (`engine.data.tokens`), which answers the same few calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

IGNORED = -100
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
PLAIN = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "zephyr": ZEPHYR, "none": PLAIN}
"""What stands for a model's own template, by the words of the parameter `template`; chatml where it has none."""

Row = Mapping[str, Any]
Messages = Sequence[Mapping[str, str]]
Encoded = dict[str, Any]
"""Lists of token ids by name, and the `row` that they come from."""


def text_row(tokenizer: Any, row: Row, max_length: int) -> Encoded | None:
    """Tokens and labels of a `text` (all is learned, eos included) or of `messages` (the assistant's turns are)."""
    if row.get("messages"):
        ids, labels = conversation(tokenizer, row["messages"])
    else:
        ids = plain(tokenizer, row["text"])
        labels = list(ids)
    if all(label == IGNORED for label in labels[1:max_length]):
        return None
    return {
        "input_ids": ids[:max_length],
        "labels": labels[:max_length],
        "row": row["row"],
        "is_cut": len(ids) > max_length,
    }


def plain(tokenizer: Any, text: str) -> list[int]:
    """A text's tokens, ended with eos where the tokenizer does not end it itself."""
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids if ids and ids[-1] == tokenizer.eos_token_id else [*ids, tokenizer.eos_token_id]


def conversation(tokenizer: Any, messages: Messages) -> tuple[list[int], list[int]]:
    """Tokens of a templated conversation; labels only on what the assistant says, up to its eos.

    A template that renders a turn differently once others follow gives no such ranges: then all is learned.
    """
    text, ranges = trained_ranges(tokenizer, messages)
    tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = tokens["input_ids"]
    starts = [start for start, _ in tokens["offset_mapping"]]
    labels = [
        token if any(begin <= start < end for begin, end in ranges) else IGNORED
        for token, start in zip(ids, starts, strict=True)
    ]
    return ids, labels


def trained_ranges(tokenizer: Any, messages: Messages) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and the character ranges of the assistant's turns, eos included."""
    text = render(tokenizer, messages)
    ranges = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(tokenizer, messages[:index], asks=True)
        after = render(tokenizer, messages[: index + 1])
        if not (text.startswith(before) and text.startswith(after.rstrip())):
            return ended(text, tokenizer), [(0, len(text) + len(tokenizer.eos_token))]
        ranges.append((len(before), len(after.rstrip())))
    if ranges and tokenizer.eos_token not in text[slice(*ranges[-1])]:
        text = ended(text[: ranges[-1][1]], tokenizer)
        ranges[-1] = (ranges[-1][0], len(text))
    return text, ranges


def render(tokenizer: Any, messages: Messages, *, asks: bool = False) -> str:
    if not messages:
        return ""
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=asks))


def ended(text: str, tokenizer: Any) -> str:
    return text if text.endswith(tokenizer.eos_token) else text + tokenizer.eos_token


def pair_texts(tokenizer: Any, row: Row) -> tuple[str, str, str]:
    """The prompt and both answers as the model sees them: turns by the template, a plain pair as it stands."""
    prompt, answers = row["prompt"], (row["chosen"], row["rejected"])
    if isinstance(prompt, str):
        return prompt, ended(answers[0], tokenizer), ended(answers[1], tokenizer)
    asked = render(tokenizer, prompt, asks=True)
    wholes = [render(tokenizer, [*prompt, *answer]) for answer in answers]
    if not all(whole.startswith(asked) for whole in wholes):
        asked = render(tokenizer, prompt)
    chosen, rejected = (ended(whole[len(asked) :].rstrip(), tokenizer) for whole in wholes)
    return asked, chosen, rejected


def pair_row(tokenizer: Any, row: Row, max_length: int) -> Encoded | None:
    """Tokens of a preference pair that fits `max_length`, prompt and answers tokenised apart.

    So the join is a token boundary, just as when the model answers. A long prompt loses its beginning
    (at most half of the room is left to it), a long answer its end, and both answers keep the same room.
    """
    prompt_text, chosen_text, rejected_text = pair_texts(tokenizer, row)
    is_plain = isinstance(row["prompt"], str)
    prompt = tokenizer(prompt_text, add_special_tokens=False)["input_ids"]
    prompt = ([tokenizer.bos_token_id] if is_plain and begins_with_bos(tokenizer) else []) + prompt
    chosen, rejected = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (chosen_text, rejected_text))
    longest = max(len(chosen), len(rejected))
    room = max(max_length - longest, max_length // 2)
    kept = prompt[-room:]
    left = max_length - len(kept)
    if chosen[:left] == rejected[:left]:
        return None
    return {
        "prompt_ids": kept,
        "chosen_ids": chosen[:left],
        "rejected_ids": rejected[:left],
        "row": row["row"],
        "is_cut": len(kept) < len(prompt) or longest > left,
    }


def judged_texts(tokenizer: Any, row: Row) -> tuple[str, str]:
    """The prompt and the answer of kto as the model sees them."""
    prompt, answer, _ = pair_texts(tokenizer, {**row, "chosen": row["completion"], "rejected": row["completion"]})
    return prompt, answer


def judged_row(tokenizer: Any, row: Row, max_length: int) -> Encoded | None:
    """Tokens of a prompt and one answer with its `label`, cut as a pair is; None where no answer is left."""
    prompt_text, answer_text = judged_texts(tokenizer, row)
    is_plain = isinstance(row["prompt"], str)
    prompt = tokenizer(prompt_text, add_special_tokens=False)["input_ids"]
    prompt = ([tokenizer.bos_token_id] if is_plain and begins_with_bos(tokenizer) else []) + prompt
    answer = tokenizer(answer_text, add_special_tokens=False)["input_ids"]
    kept = prompt[-max(max_length - len(answer), max_length // 2) :]
    left = max_length - len(kept)
    if not answer[:left]:
        return None
    return {
        "prompt_ids": kept,
        "completion_ids": answer[:left],
        "label": row["label"],
        "row": row["row"],
        "is_cut": len(kept) < len(prompt) or len(answer) > left,
    }


def begins_with_bos(tokenizer: Any) -> bool:
    """Whether this tokenizer puts its bos before a text by itself."""
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def reward_row(tokenizer: Any, row: Row, max_length: int) -> Encoded | None:
    """Tokens of two whole texts or conversations to be scored; a pair that is too long is cut at its beginning,
    since what tells the answers apart stands at the end."""
    chosen, rejected = (scored(tokenizer, row[name]) for name in ("chosen", "rejected"))
    if chosen[-max_length:] == rejected[-max_length:]:
        return None
    return {
        "chosen_ids": chosen[-max_length:],
        "rejected_ids": rejected[-max_length:],
        "row": row["row"],
        "is_cut": max(len(chosen), len(rejected)) > max_length,
    }


def scored(tokenizer: Any, value: str | Messages) -> list[int]:
    if isinstance(value, str):
        return plain(tokenizer, value)
    ids: list[int] = tokenizer(render(tokenizer, value).rstrip(), add_special_tokens=False)["input_ids"]
    return ids


WHOLE_PAIR = tuple(
    f"{side}_{name}" for side in ("chosen", "rejected") for name in ("input_ids", "attention_mask", "labels")
)
"""The columns of a pair whose prompt stands before each answer."""


def whole_pair(pair: Encoded) -> Encoded:
    """A pair in ORPO's columns: prompt and answer together, the prompt without labels."""
    whole: Encoded = {"row": pair["row"]}
    for side in ("chosen", "rejected"):
        ids = pair["prompt_ids"] + pair[f"{side}_ids"]
        whole[f"{side}_input_ids"] = ids
        whole[f"{side}_attention_mask"] = [1] * len(ids)
        whole[f"{side}_labels"] = [IGNORED] * len(pair["prompt_ids"]) + pair[f"{side}_ids"]
    return whole


def whole_text(tokenizer: Any, row: Row) -> str:
    return render(tokenizer, row["messages"]).rstrip() if row.get("messages") else str(row["text"])


def whole_rows(tokenizer: Any, row: Row, max_length: int) -> list[Encoded]:
    """All tokens of a text, in pieces of at most `max_length`, all of them learned."""
    if row.get("messages"):
        ids = tokenizer(ended(whole_text(tokenizer, row), tokenizer), add_special_tokens=False)["input_ids"]
    else:
        ids = plain(tokenizer, row["text"])
    pieces = [ids[start : start + max_length] for start in range(0, len(ids), max_length)]
    return [{"input_ids": piece, "labels": list(piece), "row": row["row"]} for piece in pieces if len(piece) > 1]


def masked_rows(tokenizer: Any, row: Row, max_length: int) -> list[Encoded]:
    """A text for an encoder, in pieces of at most `max_length` tokens, each with the encoder's own marks around it."""
    limit = min(max_length, tokenizer.model_max_length)
    text = "\n".join(message["content"] for message in row["messages"]) if row.get("messages") else row["text"]
    pieces = tokenizer(text, truncation=True, max_length=limit, return_overflowing_tokens=True)["input_ids"]
    return [{"input_ids": piece, "row": row["row"]} for piece in pieces]
