"""The same prompts put to the base model and to the tuned one."""

import re
from collections.abc import Sequence
from typing import Any

from engine.data.encoding import Encoded, Row, render
from engine.work.training.losses import measuring
from engine.work.training.task import Question

COUNT = 5
NEW_TOKENS = 48
SHOWN = 160
"""Characters of a text in which a word is masked."""
MARKERS = re.compile(r"(?:^|\n|\s)(?:#+\s*)?(?:bot|assistant|answer|response|output|a)\s*:\s*", re.IGNORECASE)
"""Where the answer of a plain text begins, as people write it: `bot:`, `### Assistant:`, `Answer:`."""


def choose(held_out: Sequence[Row], rows: Sequence[Row]) -> tuple[list[Row], bool]:
    """Up to five rows to ask about, spread over the held-out ones, or over the trained ones if there are none."""
    source = held_out or rows
    step = max(1, len(source) // COUNT)
    return list(source[::step][:COUNT]), bool(held_out)


def text_question(tokenizer: Any, row: Row) -> Question:
    """A conversation is asked up to its last answer, a plain text up to its last marker or its middle."""
    if row.get("messages"):
        messages = list(row["messages"])
        while messages and messages[-1]["role"] != "assistant":
            messages.pop()
        if len(messages) > 1:
            asked = messages[:-1]
            return Question(asked[-1]["content"], render(tokenizer, asked, asks=True), messages[-1]["content"])
        return Question("", render(tokenizer, row["messages"], asks=True), "")
    start, answer = split_text(row["text"])
    return Question(start, start, answer)


def split_text(text: str) -> tuple[str, str]:
    markers = [match for match in MARKERS.finditer(text) if match.end() < len(text)]
    if markers:
        last = markers[-1]
        return text[: last.end()].rstrip(), text[last.end() :].strip()
    words = text.split(" ")
    middle = max(1, len(words) // 2)
    return " ".join(words[:middle]), " ".join(words[middle:])


def pair_question(tokenizer: Any, row: Row) -> Question:
    prompt, chosen = row["prompt"], row["chosen"]
    if isinstance(prompt, str):
        return Question(prompt, prompt, chosen.strip())
    return Question(prompt[-1]["content"], render(tokenizer, prompt, asks=True), chosen[-1]["content"])


def generate(model: Any, tokenizer: Any, questions: Sequence[Question]) -> list[str]:
    """The likeliest continuation of each prompt, at most 48 tokens; always the same for the same weights."""
    from transformers import GenerationConfig

    if not questions:
        return []
    tokenizer.padding_side = "left"
    limit = max(8, tokenizer.model_max_length - NEW_TOKENS)
    inputs = tokenizer(
        [question.text for question in questions],
        add_special_tokens=False,
        padding=True,
        truncation=True,
        max_length=min(limit, 4096),
        return_tensors="pt",
        return_token_type_ids=False,
    ).to(model.device)
    tokenizer.padding_side = "right"
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with measuring(model):
        tokens = model.generate(**inputs, generation_config=config)
    answers = tokens[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(answers, skip_special_tokens=True)]


def reward_question(tokenizer: Any, pair: Encoded) -> Question:
    """Both texts, one below the other; there is no right answer but that the first should score higher."""
    chosen, rejected = (
        tokenizer.decode(pair[name], skip_special_tokens=True).strip() for name in ("chosen_ids", "rejected_ids")
    )
    return Question(f"chosen: {chosen}\nrejected: {rejected}", "", "chosen above rejected")


def rewards_in_words(values: Sequence[tuple[float, float]]) -> list[str]:
    return [f"chosen {chosen:+.2f}, rejected {rejected:+.2f}" for chosen, rejected in values]


def masked_question(tokenizer: Any, row: Row) -> Question:
    """A piece of the text in which its longest word is hidden."""
    text = "\n".join(message["content"] for message in row["messages"]) if row.get("messages") else row["text"]
    piece = text[:SHOWN]
    word = max(re.finditer(r"\w+", piece), key=lambda match: len(match[0]), default=None)
    if word is None:
        return Question(piece, piece + tokenizer.mask_token, "")
    asked = piece[: word.start()] + tokenizer.mask_token + piece[word.end() :]
    return Question(asked, asked, word[0])


def fill_masks(model: Any, tokenizer: Any, questions: Sequence[Question]) -> list[str]:
    """The three likeliest tokens for each mask, the likeliest first."""
    answers = []
    with measuring(model):
        for question in questions:
            inputs = tokenizer(question.text, return_tensors="pt", truncation=True).to(model.device)
            at = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0, 0]
            best = model(**inputs).logits[0, at].topk(3).indices.tolist()
            answers.append(", ".join(tokenizer.decode([token]).strip() for token in best))
    return answers
