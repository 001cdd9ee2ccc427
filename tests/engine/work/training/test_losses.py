"""The faster head gives the values of TRL's own, and the metrics are what their formulas say."""

import math
from pathlib import Path

import pytest
import torch

from engine.data.encoding import IGNORED
from engine.work.training import losses
from tests.mini import make_causal

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


def test_the_plain_head_has_the_values_and_gradients_of_trls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_pretrained(make_causal(tmp_path, ["hello"]))
    fields = ("log_probs", "entropy", "mean_logits", "is_top1")
    add_fused_lm_head(model, outputs=fields)
    ids = torch.randint(3, 200, (3, 20), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[:, :7] = IGNORED
    labels[1, 9:] = IGNORED
    inputs = {"input_ids": ids, "labels": labels, "fused_lm_head": True}
    theirs = model(**inputs)
    theirs.log_probs.sum().backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    model.zero_grad()
    losses.score_counted_positions(model)
    monkeypatch.setattr(losses, "CHUNK", 5)
    ours = model(**inputs)
    ours.log_probs.sum().backward()
    for field in fields:
        assert torch.allclose(getattr(ours, field).float(), getattr(theirs, field).float(), atol=1e-4), field
    for name, value in model.named_parameters():
        assert torch.allclose(value.grad, gradients[name], atol=1e-4), name
    assert model(input_ids=ids).logits.shape[:2] == ids.shape


def test_row_log_probs_do_not_depend_on_padding(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_causal(tmp_path, ["hello"]))
    short = {"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7]}
    long = {"input_ids": list(range(5, 40)), "labels": list(range(5, 40))}
    alone, together = losses.row_log_probs(model, [short]), losses.row_log_probs(model, [long, short], batch=2)
    assert together[1][0] == pytest.approx(alone[0][0], abs=1e-4)
    assert [count for _, count in together] == [34, 2]


def test_dpo_rewards_are_measured_against_the_base() -> None:
    base: losses.Scores = [((-10.0, 5), (-10.0, 5))]
    tuned: losses.Scores = [((-8.0, 5), (-14.0, 5))]
    metrics = losses.dpo_metrics(tuned, base, beta=0.1)
    assert metrics["eval_reward_margin"] == pytest.approx(0.6)
    assert metrics["eval_loss"] == pytest.approx(math.log(1 + math.exp(-0.6)))
    assert losses.dpo_metrics(base, base, beta=0.1)["eval_reward_accuracy"] == 0.5
    assert losses.dpo_metrics([], [], beta=0.1) == {}


def test_log_odds_are_those_of_the_mean_probability() -> None:
    scores: losses.Scores = [((2 * math.log(0.5), 2), (4 * math.log(0.2), 4))]
    metrics = losses.orpo_metrics(scores)
    assert metrics["eval_log_odds_margin"] == pytest.approx(math.log((0.5 / 0.5) / (0.2 / 0.8)))
    assert metrics["eval_preference_accuracy"] == 1.0


def test_a_reward_that_cannot_tell_is_a_coin() -> None:
    assert losses.reward_metrics([(1.0, 1.0), (2.0, 1.0)])["eval_reward_accuracy"] == 0.75
    assert losses.reward_metrics([(0.0, 0.0)])["eval_loss"] == pytest.approx(math.log(2))


def test_a_model_that_scales_its_logits_is_measured_by_its_own_head(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_causal(tmp_path, ["hello"]))
    row = {"input_ids": list(range(5, 40)), "labels": list(range(5, 40))}
    plain = losses.row_log_probs(model, [row])
    model.config.logit_scale = 1.0
    assert losses.has_scaled_logits(model)
    assert losses.row_log_probs(model, [row])[0][0] == pytest.approx(plain[0][0], abs=1e-4)


def test_orpos_figures_are_those_of_full_logits(tmp_path: Path) -> None:
    """The loss over prompt and chosen answer, and the mean log-probability of each answer, from plain log-softmax."""
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_pretrained(make_causal(tmp_path, ["hello"]))
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 10, 11, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    answers = torch.tensor([[IGNORED, IGNORED, 7, 8, 9], [IGNORED, IGNORED, 10, 11, IGNORED]])
    log_probs = model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    picked = log_probs[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    add_fused_lm_head(model)
    losses.score_counted_positions(model)
    inputs = {"concatenated_input_ids": ids, "concatenated_attention_mask": mask, "concatenated_labels": answers}
    nll, means = losses.orpo_parts(model, inputs, 1)
    assert nll.item() == pytest.approx(-picked[0].mean().item(), abs=1e-4)
    assert means.tolist() == pytest.approx([picked[0, 1:].mean().item(), picked[1, 1:3].mean().item()], abs=1e-4)
