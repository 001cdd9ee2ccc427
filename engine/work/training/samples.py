"""The same prompts put to the base model and to the tuned one."""

import re
from collections.abc import Sequence
from typing import Any

from engine.work.training.losses import measuring
from engine.work.training.rows import Row, render
from engine.work.training.task import Question

COUNT = 5
NEW_TOKENS = 48
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
