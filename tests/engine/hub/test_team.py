"""A model that a run here made, as the base of the next: what is seen of it, what is refused, what is brought."""

import json
import shutil
from pathlib import Path

import pytest

from engine.events import EventLog
from engine.folder import RunFolder
from engine.hub.download import team
from engine.hub.download.fetch import bring_model, check_space
from engine.hub.download.look import look
from engine.jobs import Model
from engine.refusal import Refusal
from tests.mini import make_causal, make_run

TEXTS = [f"human: hello {number} bot: nice to meet you" for number in range(20)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_causal(tmp_path_factory.mktemp("base"), TEXTS)
    (folder / "LICENSE").write_text("Terms.")
    return folder


def ended(folder: RunFolder, attempt: str, **data: object) -> Path:
    place = folder.attempts / attempt
    place.mkdir(parents=True)
    EventLog(place, folder.path.name, attempt).write("finished", **data)
    return place


def trained(folder: Path, base: Path, method: str = "sft", *, lora: bool = False) -> RunFolder:
    """A run that ended: with full weights, or with a lora's files, as far as a look reads them."""
    run = make_run(folder, method, base, [{"text": "hello"}])
    ended(run, "fetch-1", licence={"license": "llama3.2"})
    output = ended(run, "train-1") / "output"
    shutil.copytree(base, output)
    if lora:
        (output / "config.json").unlink()
        (output / "model.safetensors").rename(output / "adapter_model.safetensors")
        (output / "adapter_config.json").write_text("{}")
    return run


def found(run: RunFolder) -> object:
    return look(str(run.path), token=None, cache=run.path)


def test_full_weights_on_the_hub_keep_their_repo_and_commit(base: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "7", base)
    seen = look(str(run.path), token=None, cache=tmp_path)
    assert (seen.id, seen.revision, seen.made_by, seen.kind, seen.licence) == ("run-7", "", "7", "causal", "llama3.2")
    ended(run, "push-1", repo="acme/tuned", revision="c" * 40)
    seen = look(str(run.path), token=None, cache=tmp_path)
    assert (seen.id, seen.revision) == ("acme/tuned", "c" * 40)
    assert seen.parameters > 0 and seen.vocab > 0


def test_a_lora_is_no_commit_that_others_could_load(base: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "7", base, lora=True)
    ended(run, "push-1", repo="acme/tuned", revision="c" * 40)
    seen = look(str(run.path), token=None, cache=tmp_path)
    assert (seen.id, seen.revision, seen.made_by) == ("acme/tuned", "", "7")
    assert seen.folder.name == team.AS_BASE and (seen.folder / "config.json").exists()


def test_what_cannot_be_a_base_is_refused_in_words(base: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="Run 1 trained a reward model"):
        found(trained(tmp_path / "1", base, "reward"))
    with pytest.raises(Refusal, match="train it with lora=off"):
        found(trained(tmp_path / "2", base, "mlm", lora=True))
    empty = make_run(tmp_path / "3", "sft", base, [{"text": "hello"}])
    with pytest.raises(Refusal, match="Run 3 has no trained model here"):
        found(empty)


def test_full_weights_are_brought_with_the_terms_of_their_base(base: Path, tmp_path: Path) -> None:
    old = trained(tmp_path / "7", base)
    new = make_run(tmp_path / "8", "sft", old.path, [{"text": "hello"}])
    log = EventLog(new.path, "8", "fetch-1")
    licence = bring_model(new, Model("run-7", run="7"), tmp_path, log, 0)
    assert licence == {"license": "llama3.2"}
    assert (new.model / "config.json").exists() and (new.model / "LICENSE").read_text() == "Terms."
    assert new.model.readlink() == Path(team.BRINGING)
    shutil.rmtree(old.path)  # what was brought is the new run's own
    assert json.loads((new.model / "config.json").read_text())["vocab_size"]
    assert bring_model(new, Model("run-7", run="7"), tmp_path, log, 0) == {}


def test_a_run_that_was_forgotten_is_no_base_any_more(base: Path, tmp_path: Path) -> None:
    new = make_run(tmp_path / "8", "sft", tmp_path / "gone", [{"text": "hello"}])
    with pytest.raises(Refusal, match="What run 7 had made is no longer here"):
        bring_model(new, Model("run-7", run="7"), tmp_path, EventLog(new.path, "8", "fetch-1"), 0)


def test_a_download_whose_end_would_not_fit_is_refused_before_it_begins(tmp_path: Path) -> None:
    check_space("acme/base", 1_000, tmp_path / "cache")
    with pytest.raises(Refusal, match=r"acme/base is 1000000000\.0 GB to download") as refused:
        check_space("acme/base", 10**18, tmp_path / "cache")
    assert refused.value.field == "disk"
