"""A packed row is several rows that do not see each other: each is scored as if it stood alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.work.training import losses
from tests.mini import make_causal

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
ROWS = [list(range(5, 25)), list(range(40, 49)), list(range(90, 121))]


def test_rows_in_a_packed_row_do_not_see_each_other(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_causal(tmp_path, ["hello"])).eval()
    whole = torch.tensor([[token for row in ROWS for token in row]])
    positions = torch.tensor([[place for row in ROWS for place in range(len(row))]])
    with torch.no_grad():
        packed = scores(model, whole, positions)
        alone = torch.cat([scores(model, torch.tensor([row])) for row in ROWS])
        mixed = scores(model, whole)
    starts = {len(ROWS[0]), len(ROWS[0]) + len(ROWS[1])}
    inside = [place - 1 for place in range(1, whole.shape[1]) if place not in starts]
    assert torch.allclose(packed[inside], alone, atol=1e-5)
    assert not torch.allclose(mixed[inside], alone, atol=1e-3)


def scores(model: Any, ids: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
    """The log-probability of each token but the first, as a training gets it."""
    found: torch.Tensor = losses.scored_output(model, ids, input_ids=ids, position_ids=positions).log_probs[0]
    return found
