"""Texts that an encoder reads in one row do not see each other, or are not put into one."""

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from engine.events import read_events
from engine.work.speed.packed import PackedMasks, apart, first_place, keeps_apart
from engine.work.train import train
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_masked, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
SIZES: dict[str, Any] = {
    "vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
ROWS = [{"input_ids": list(range(5, 25))}, {"input_ids": list(range(40, 49))}, {"input_ids": list(range(60, 78))}]
FAST: dict[str, Any] = {"max_steps": 3, "max_length": 64, "packing": True, "learning_rate": 2e-3, "batch_size": 2}


def bert() -> Any:
    return BertForMaskedLM(BertConfig(**SIZES, max_position_embeddings=64)).eval()


def roberta() -> Any:
    return RobertaForMaskedLM(RobertaConfig(**SIZES, max_position_embeddings=64, pad_token_id=1)).eval()


def modern(window: int) -> Any:
    sizes = {**SIZES, "num_hidden_layers": 3, "global_attn_every_n_layers": 3, "local_attention": window}
    model = ModernBertForMaskedLM(ModernBertConfig(**sizes, pad_token_id=0, max_position_embeddings=64)).eval()
    for weights in model.parameters():
        if weights.ndim == 2:
            torch.nn.init.normal_(weights, std=0.3)  # new ones are so small that nobody's words count
    return model


@pytest.mark.parametrize("make", [bert, roberta], ids=["bert", "roberta"])
def test_a_text_in_a_packed_row_has_the_logits_that_it_has_alone(make: Any) -> None:
    torch.manual_seed(0)
    model = make()
    texts = [row["input_ids"] for row in ROWS]
    lengths = [len(text) for text in texts]
    masks = apart([lengths], sum(lengths), first_place(model))
    with torch.no_grad():
        packed = model(input_ids=torch.tensor([list(chain(*texts))]), **masks).logits[0]
        mixed = model(input_ids=torch.tensor([list(chain(*texts))])).logits[0]
        alone = torch.cat([model(input_ids=torch.tensor([text])).logits[0] for text in texts])
    assert torch.allclose(packed, alone, atol=1e-5)
    assert not torch.allclose(mixed, alone, atol=1e-3)
    assert keeps_apart(model, ROWS)


def test_a_model_that_would_mix_them_is_found_out() -> None:
    """One that sees near tokens only keeps texts apart while they are no longer than it sees."""
    torch.manual_seed(0)
    assert keeps_apart(modern(window=60), ROWS)
    assert not keeps_apart(modern(window=8), ROWS)


def test_places_are_counted_anew_and_filling_sees_nothing_of_a_text() -> None:
    masks = apart([[2, 3], [4]], 6, first=2)
    assert masks["position_ids"].tolist() == [[2, 3, 2, 3, 4, 2], [2, 3, 4, 5, 2, 2]]
    first = masks["attention_mask"][0, 0].int().tolist()
    assert first[0] == [1, 1, 0, 0, 0, 0] and first[3] == [0, 0, 1, 1, 1, 0] and first[5] == [0, 0, 0, 0, 0, 1]


def test_words_are_masked_as_in_rows_of_their_own() -> None:
    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor([row["input_ids"] for row in rows]), "labels": torch.zeros(1)}

    batch = PackedMasks(collate)([{"input_ids": [1, 2, 3], "seq_lengths": [1, 2]}])
    assert set(batch) == {"input_ids", "labels", "attention_mask", "position_ids"}


def test_a_packed_training_of_an_encoder_takes_every_row(tmp_path: Path) -> None:
    model = make_masked(tmp_path / "model", TEXTS)
    run = make_run(tmp_path / "run", "mlm", model, rows_for("mlm"), (), **{**FAST, "max_steps": 0, "epochs": 1})
    assert train(run.path)
    events = read_events(run.attempts / "train-1" / "events.jsonl")
    steps = [event for event in events if event.kind == "step"]
    assert events[-1].data["rows"] == 16
    assert 0 < len(steps) < 16 / 2  # rows of a dozen tokens: several lie in one of 64
    assert not any("cannot keep" in str(event.data.get("text")) for event in events)


def test_rows_that_would_mix_are_trained_apart_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.work.speed.packed.keeps_apart", lambda *_: False)
    model = make_masked(tmp_path / "model", TEXTS)
    run = make_run(tmp_path / "run", "mlm", model, rows_for("mlm"), (), **FAST)
    assert train(run.path)
    said = [
        event.data["text"]
        for event in read_events(run.attempts / "train-1" / "events.jsonl")
        if event.kind == "warning"
    ]
    assert said == ["tests/mini cannot keep the texts of a packed row apart: they are not packed."]
