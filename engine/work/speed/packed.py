"""Packed rows for an encoder: several texts in one row, each of which sees itself only and counts its places from 0."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.data.encoding import Encoded
from engine.work.training.task import Task

CLOSE, CLOSE_IN_HALF = 1e-4, 2e-2
"""How far logits may lie apart, as a share of their length, where only the order of additions differs: in float32, and
in bfloat16, which has eight bits."""


class PackedMasks:
    """Around a collator that masks words: adds to its batch which tokens see each other, and where each one stands.

    `first` is the place of a text's first token: 0, but for models that count behind their padding, as RoBERTa does.
    """

    def __init__(self, collate: Any, first: int = 0) -> None:
        self.collate = collate
        self.first = first

    def __call__(self, rows: Sequence[Encoded]) -> dict[str, Any]:
        batch = dict(self.collate([{"input_ids": row["input_ids"]} for row in rows]))
        masks = apart([row["seq_lengths"] for row in rows], batch["input_ids"].shape[1], self.first)
        return {**batch, **masks}


def apart(lengths: Sequence[Sequence[int]], width: int, first: int = 0) -> dict[str, Any]:
    """For rows made of texts of those lengths, filled up to `width`: `attention_mask` (rows × 1 × width × width, true
    where both tokens are of one text) and `position_ids` (rows × width)."""
    import torch

    texts = torch.full((len(lengths), width), -1)
    places = torch.full((len(lengths), width), first)
    for row, parts in enumerate(lengths):
        start = 0
        for number, length in enumerate(parts):
            texts[row, start : start + length] = number
            places[row, start : start + length] = torch.arange(length) + first
            start += length
    return {"attention_mask": texts[:, None, :, None] == texts[:, None, None, :], "position_ids": places}


def first_place(model: Any) -> int:
    """Where a model begins to count the places of a text."""
    import torch

    places = [part for name, part in model.named_modules() if name.endswith("position_embeddings")]
    padding = [part.padding_idx for part in places if isinstance(part, torch.nn.Embedding)]
    return next((index + 1 for index in padding if index is not None), 0)


def keeps_apart(model: Any, rows: Sequence[Encoded]) -> bool:
    """Whether the model gives two texts in one row the logits that each has alone: asked of the longest ones, since
    some types look at near tokens only, and others count places in ways of their own."""
    import torch

    from engine.work.training.losses import measuring

    texts = [row["input_ids"] for row in sorted(rows, key=lambda row: -len(row["input_ids"]))[:2]]
    lengths = [len(text) for text in texts]
    whole = torch.tensor([[token for text in texts for token in text]], device=model.device)
    masks = {name: value.to(model.device) for name, value in apart([lengths], sum(lengths), first_place(model)).items()}
    with measuring(model):
        alone = [model(input_ids=torch.tensor([text], device=model.device)).logits[0].float() for text in texts]
        try:
            packed = model(input_ids=whole, **masks).logits[0].float()
        except (TypeError, ValueError, RuntimeError):
            return False
    expected = torch.cat(alone)
    close = CLOSE if model.dtype == torch.float32 else CLOSE_IN_HALF
    return bool((packed - expected).norm() <= close * expected.norm())


def unless_apart(task: Task, model: Any, rows: Sequence[Encoded]) -> Task:
    """The task as it stands, without packing where this model would mix the texts of a row, which is then told."""
    if not task.settings.get("packing") or keeps_apart(model, rows):
        return task
    task.report(
        "warning", text=f"{task.spec.model.id} cannot keep the texts of a packed row apart: they are not packed."
    )
    return replace(task, settings={**task.settings, "packing": False})
