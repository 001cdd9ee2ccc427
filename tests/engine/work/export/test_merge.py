"""Merged weights answer as base and lora do, in the base's own files; what does not fit is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.folder import RunFolder
from engine.work.export.lazily import lazy
from engine.work.export.merge import check_same, logits, merge, merge_run, whole
from engine.work.train import train
from engine.work.training.task import Failure
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose lora changes the answers a lot, on a base that lies in two shards."""
    folder = tmp_path_factory.mktemp("merge")
    base = in_two_shards(make_causal(folder / "model", TEXTS))
    run = make_run(folder / "run", "sft", base, rows_for("sft"), learning_rate=0.02, epochs=3)
    assert train(run.path)
    return run


def in_two_shards(base: Path) -> Path:
    weights = load_file(base / "model.safetensors")
    names = sorted(weights)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for shard, part in shards.items():
        save_file({name: weights[name] for name in part}, base / shard, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    (base / "model.safetensors").unlink()
    return base


def lora_of(run: RunFolder) -> Path:
    return run.attempts / "train-1" / "output"


def test_a_merge_can_be_repeated_and_keeps_the_bases_shards(trained: RunFolder) -> None:
    first = merge_run(trained.path)
    again = merge_run(trained.path)
    assert first == again == trained.attempts / "train-1" / "merged"
    assert {path.name for path in first.glob("*.safetensors")} == {"model-1.safetensors", "model-2.safetensors"}
    assert not list(first.glob("adapter_*"))
    before = load_file(trained.model / "model-1.safetensors")
    after = load_file(first / "model-1.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("_proj" in name for name in changed)


def test_it_has_the_values_of_pefts_own_merge(trained: RunFolder, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(trained.model)
    theirs = PeftModel.from_pretrained(base, lora_of(trained)).merge_and_unload().state_dict()
    ours = AutoModelForCausalLM.from_pretrained(
        merge(trained.model, lora_of(trained), tmp_path / "merged")
    ).state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)


@pytest.mark.parametrize("has_tied_head", [True, False])
def test_a_model_answers_the_same_with_its_weights_left_in_their_files(
    trained: RunFolder, tmp_path: Path, has_tied_head: bool
) -> None:
    base = Path(shutil.copytree(trained.model, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    weights = load_file(base / "model-1.safetensors") | load_file(base / "model-2.safetensors")
    if not has_tied_head:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"] * 2 + 0.1
        save_file({"lm_head.weight": weights["lm_head.weight"]}, base / "model-3.safetensors", {"format": "pt"})
        index = json.loads((base / "model.safetensors.index.json").read_text())
        index["weight_map"]["lm_head.weight"] = "model-3.safetensors"
        (base / "model.safetensors.index.json").write_text(json.dumps(index))
    (base / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": has_tied_head}))
    for lora in (None, lora_of(trained)):
        model = lazy(base, lora)
        assert torch.allclose(logits(model), logits(whole(base, lora)), atol=1e-5)
        assert all(tensor.is_meta for tensor in model.parameters())
    assert not torch.allclose(logits(lazy(base)), logits(lazy(base, lora_of(trained))), atol=1e-3)


def test_merging_holds_no_whole_model_in_memory(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a base, whatever its size, one tensor at a time is read to compare."""
    from transformers import AutoModelForCausalLM

    def from_pretrained(*_: object, **__: object) -> None:
        raise MemoryError("a whole model was loaded")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    assert merge(trained.model, lora_of(trained), tmp_path / "merged").exists()


def test_a_type_that_rearranges_its_weights_is_compared_whole(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy_no(base: Path, lora: Path | None = None) -> None:
        raise KeyError(str(base))

    monkeypatch.setattr("engine.work.export.merge.lazy", lazy_no)
    assert merge(trained.model, lora_of(trained), tmp_path / "merged").exists()
    with pytest.raises(Failure, match="answer otherwise"):
        check_same(trained.model, lora_of(trained), trained.model)


def test_a_merge_that_answers_otherwise_is_not_kept(trained: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="answer otherwise"):
        check_same(trained.model, lora_of(trained), trained.model)
    lora = shutil.copytree(lora_of(trained), tmp_path / "lora")
    weights = load_file(lora / "adapter_model.safetensors")
    save_file(
        {name.replace("layers.1", "layers.9"): value for name, value in weights.items()},
        lora / "adapter_model.safetensors",
    )
    with pytest.raises(Failure, match=r"layers\.9.*not of this base"):
        merge(trained.model, lora, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_run_with_merge_publishes_full_weights_and_keeps_its_lora(trained: RunFolder, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "sft", trained.model.resolve(), rows_for("sft"), merge=True, max_steps=2)
    assert train(run.path)
    attempt = run.attempts / "train-1"
    assert (attempt / "lora" / "adapter_model.safetensors").exists()
    assert (attempt / "output" / "config.json").exists()
    assert not list((attempt / "output").glob("adapter_*")) and not list((attempt / "output").glob("*.bin"))
    assert merge_run(run.path) == attempt / "merged"


def test_what_has_no_lora_is_refused_in_words(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", "sft", make_causal(tmp_path / "model", TEXTS), rows_for("sft"), lora=False, max_steps=1
    )
    with pytest.raises(Failure, match="no trained model here"):
        merge_run(run.path)
    assert train(run.path)
    with pytest.raises(Failure, match="no lora to merge"):
        merge_run(run.path)
