"""Log-probabilities at the positions that count, to train on a CPU and to measure, and the metrics made of them."""

import functools
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engine.data.encoding import IGNORED, Encoded

CHUNK = 1024
"""Positions whose logits exist at once: 1,024 × a vocabulary of 49,152 in float32 are 200 MB."""
SCALES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
"""What a config calls a change that its model makes to the logits; such models keep TRL's own head."""


def score_counted_positions(model: Any) -> None:
    """On a CPU, give a model that has TRL's fused LM head a plain one that skips positions without a label.

    TRL's head scores every position on a CPU, prompts and padding too, and recomputes all of it backwards; with
    49,152 tokens that is most of a step. The values are the same: log-softmax of the same logits.
    """
    base = model.get_base_model() if is_lora(model) else model
    if base.device.type != "cpu" or has_scaled_logits(base):
        return
    fused_forward = base.forward

    @functools.wraps(type(base).forward)
    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return (
                fused_forward(*args, labels=labels, **kwargs) if labels is not None else fused_forward(*args, **kwargs)
            )
        return scored_output(self, labels, **kwargs)

    base.forward = types.MethodType(forward, base)


def has_scaled_logits(model: Any) -> bool:
    config = model.config.get_text_config()
    return any(getattr(config, name, None) is not None for name in SCALES)


def scored_output(model: Any, labels: Any, **inputs: Any) -> Any:
    """TRL's FusedCausalLMOutput for `labels` (rows × length, -100 is skipped): fields are rows × (length - 1)."""
    import torch
    from trl.trainer.utils import FusedCausalLMOutput

    inputs["use_cache"] = False
    inputs.pop("num_items_in_batch", None)
    mask = labels[:, 1:] != IGNORED
    if has_scaled_logits(model):
        states, head = model(**inputs).logits[:, :-1][mask], torch.nn.Identity()
    else:
        states, head = model.base_model(**inputs).last_hidden_state[:, :-1][mask], model.get_output_embeddings()
    fields = score(states, head, labels[:, 1:][mask])
    log_probs, entropy, mean_logits, is_top1 = (
        value.new_zeros(mask.shape).masked_scatter(mask, value) for value in fields
    )
    return FusedCausalLMOutput(
        loss=-log_probs.sum() / mask.sum().clamp(min=1),
        log_probs=log_probs,
        entropy=entropy,
        mean_logits=mean_logits,
        is_top1=is_top1,
        label_mask=mask,
    )


def score(hidden: Any, head: Any, labels: Any) -> tuple[Any, ...]:
    """Per position (first axis): log-probability of its label; and without gradient entropy, mean logit, is top 1."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def chunk(states: Any, wanted: Any) -> tuple[Any, ...]:
        logits = head(states).float()
        log_probs = logits.log_softmax(-1)
        with torch.no_grad():
            entropy = -(log_probs.exp() * log_probs).sum(-1)
            extras = entropy, logits.mean(-1), logits.argmax(-1) == wanted
        return log_probs.gather(-1, wanted[:, None])[:, 0], *extras

    if len(labels) <= CHUNK:
        return chunk(hidden, labels)
    pieces = [
        checkpoint(chunk, states, wanted, use_reentrant=False)
        for states, wanted in zip(hidden.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def is_lora(model: Any) -> bool:
    from peft import PeftModel

    return isinstance(model, PeftModel)


@contextmanager
def measuring(model: Any) -> Iterator[None]:
    """Without gradients and without dropout, then as it was."""
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def row_log_probs(model: Any, rows: Sequence[Encoded], batch: int = 8) -> list[tuple[float, int]]:
    """For each row with `input_ids` and `labels`: the sum of its labels' log-probabilities, and how many there are."""
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
    with measuring(model):
        base = model.get_base_model() if is_lora(model) else model
        for start in range(0, len(rows), batch):
            picked = by_length[start : start + batch]
            ids, mask, labels = padded([rows[index] for index in picked], base.device)
            output = scored_output(base, labels, input_ids=ids, attention_mask=mask)
            sums, counts = output.log_probs.sum(1).tolist(), output.label_mask.sum(1).tolist()
            for index, total, count in zip(picked, sums, counts, strict=True):
                results[index] = (total, count)
    return results


def padded(rows: Sequence[Encoded], device: Any) -> tuple[Any, Any, Any]:
    """Token ids, attention mask and labels of some rows, filled up on the right."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    shape = (len(rows), width)
    ids, mask = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[index, :length] = torch.tensor(row["input_ids"])
        labels[index, :length] = torch.tensor(row["labels"])
        mask[index, :length] = 1
    return ids.to(device), mask.to(device), labels.to(device)


def language_metrics(model: Any, rows: Sequence[Encoded]) -> dict[str, float]:
    """Mean loss of a label token over all rows, in nats, and its exponential."""
    if not rows:
        return {}
    scores = row_log_probs(model, rows)
    loss = -sum(total for total, _ in scores) / max(1, sum(count for _, count in scores))
    return {"eval_loss": loss, "eval_perplexity": math.exp(min(loss, 80.0))}


Scores = list[tuple[tuple[float, int], tuple[float, int]]]
"""For each pair: (sum of log-probabilities, tokens) of the chosen and of the rejected answer."""


def pair_scores(model: Any, pairs: Sequence[Encoded]) -> Scores:
    rows = [answer_row(pair, name) for pair in pairs for name in ("chosen_ids", "rejected_ids")]
    scores = row_log_probs(model, rows)
    return list(zip(scores[::2], scores[1::2], strict=True))


def answer_row(pair: Encoded, name: str) -> Encoded:
    prompt, answer = pair["prompt_ids"], pair[name]
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def preference_metrics(scores: Scores) -> dict[str, float]:
    """How often, and by how much per token, the model finds the chosen answer likelier than the rejected one."""
    margins = [chosen - rejected for chosen, rejected in map(mean_log_probs, scores)]
    return {"eval_preference_accuracy": share(margins), "eval_logp_margin": mean(margins)}


def dpo_metrics(scores: Scores, reference: Scores, beta: float) -> dict[str, float]:
    """DPO's rewards, beta × (log p - log p of the reference), and its loss: https://arxiv.org/abs/2305.18290, eq. 7."""
    if not scores:
        return {}
    margins = [
        beta * ((chosen[0] - rejected[0]) - (base_chosen[0] - base_rejected[0]))
        for (chosen, rejected), (base_chosen, base_rejected) in zip(scores, reference, strict=True)
    ]
    return {
        "eval_loss": mean([softplus(-margin) for margin in margins]),
        "eval_reward_accuracy": share(margins),
        "eval_reward_margin": mean(margins),
        **preference_metrics(scores),
    }


def orpo_parts(model: Any, inputs: Mapping[str, Any], count: int) -> tuple[Any, Any]:
    """ORPO's two figures of a batch in TRL's columns, of which the first `count` rows are chosen texts: their loss,
    prompts included, and the mean log-probability of each answer."""
    import torch

    ids, mask, answers = (inputs[f"concatenated_{name}"] for name in ("input_ids", "attention_mask", "labels"))
    learned = torch.where(mask[:count] == 1, ids[:count], IGNORED)
    labels = torch.cat([learned, answers[count:]])
    log_probs = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
    counted = answers[:, 1:] != IGNORED
    nll = -log_probs[:count].sum() / (learned[:, 1:] != IGNORED).sum()
    return nll, (log_probs * counted).sum(1) / counted.sum(1)


def orpo_metrics(scores: Scores) -> dict[str, float]:
    """The log odds ratio of chosen to rejected, by mean log-probabilities: https://arxiv.org/abs/2403.07691, eq. 7."""
    if not scores:
        return {}
    odds = [log_odds(chosen) - log_odds(rejected) for chosen, rejected in map(mean_log_probs, scores)]
    return {"eval_reward_accuracy": share(odds), "eval_log_odds_margin": mean(odds), **preference_metrics(scores)}


def mean_log_probs(pair: tuple[tuple[float, int], tuple[float, int]]) -> tuple[float, float]:
    (chosen, chosen_count), (rejected, rejected_count) = pair
    return chosen / max(1, chosen_count), rejected / max(1, rejected_count)


def log_odds(log_prob: float) -> float:
    return log_prob - math.log(max(-math.expm1(log_prob), 1e-12))


def softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def share(margins: Sequence[float]) -> float:
    """How many are above zero; where both answers are equal, half is counted, as for a coin."""
    return mean([0.5 if margin == 0 else float(margin > 0) for margin in margins])


def rewards(model: Any, pairs: Sequence[Encoded], pad: int, batch: int = 8) -> list[tuple[float, float]]:
    """The reward of the chosen and of the rejected text of each pair."""
    import torch

    values: list[float] = []
    texts = [pair[name] for pair in pairs for name in ("chosen_ids", "rejected_ids")]
    rows = [{"input_ids": ids, "labels": [IGNORED] * len(ids)} for ids in texts]
    with measuring(model):
        for start in range(0, len(rows), batch):
            ids, mask, _ = padded(rows[start : start + batch], model.device)
            ids = torch.where(mask == 1, ids, pad)
            values.extend(model(input_ids=ids, attention_mask=mask).logits[:, 0].float().tolist())
    return list(zip(values[::2], values[1::2], strict=True))


def reward_metrics(values: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The Bradley-Terry loss, how often the chosen text gets the higher reward, and by how much."""
    if not values:
        return {}
    margins = [chosen - rejected for chosen, rejected in values]
    return {
        "eval_loss": mean([softplus(-margin) for margin in margins]),
        "eval_reward_accuracy": share(margins),
        "eval_reward_margin": mean(margins),
    }


def masked_metrics(model: Any, tokenizer: Any, rows: Sequence[Encoded], probability: float) -> dict[str, float]:
    """Mean loss and accuracy at masked tokens; the masks are the same each time."""
    if not rows:
        return {}
    from transformers import DataCollatorForLanguageModeling

    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=probability, seed=0)
    loss, right, count = 0.0, 0, 0
    with measuring(model):
        for start in range(0, len(rows), 8):
            batch = collate([{"input_ids": row["input_ids"]} for row in rows[start : start + 8]]).to(model.device)
            labels = batch.pop("labels")
            masked = labels != IGNORED
            log_probs = model(**batch).logits[masked].float().log_softmax(-1)
            loss -= float(log_probs.gather(-1, labels[masked][:, None]).sum())
            right += int((log_probs.argmax(-1) == labels[masked]).sum())
            count += int(masked.sum())
    return {"eval_loss": loss / max(1, count), "eval_masked_accuracy": right / max(1, count)}
