"""Looking at a base model: what is found, and what each thing that can be wrong is called."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from engine.hub import client
from engine.hub.client import connect
from engine.hub.download.look import look, sources
from engine.plan.gates import fits
from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, MODELS, Look, find, nearest
from engine.refusal import Refusal
from tests.engine.hub.conftest import BASE, put_base
from tests.twins.hub import Twin

Finder = Callable[..., Look]


@pytest.fixture
def finder(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finder:
    """`look` with the Hub of this test; `token` as given, else the Hub's own."""
    monkeypatch.setenv("HF_ENDPOINT", twin.url)
    monkeypatch.setenv("HF_PUBLIC_ENDPOINT", "")

    def find_it(model: str, token: str | None = "own") -> Look:  # noqa: S107  # not a token
        return look(model, token=twin.token if token == "own" else token, cache=tmp_path / "cache")

    return find_it


@pytest.fixture
def api(twin: Twin) -> HfApi:
    return connect(twin.token, twin.url, 10)


@pytest.fixture
def folder(bases: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bases["causal"], tmp_path / "changed"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(finder: Finder, model: str, **more: Any) -> str:
    with pytest.raises(Refusal) as caught:
        finder(model, **more)
    assert caught.value.field in ("model", "")
    return caught.value.text


def test_a_repo_is_pinned_and_its_weights_are_not_taken(finder: Finder, twin: Twin, bases: dict[str, Path]) -> None:
    sha = put_base(twin, bases["causal"])
    found = finder(BASE)
    assert (found.id, found.revision, found.kind, found.licence) == (BASE, sha, "causal", "apache-2.0")
    assert (found.hidden, found.layers, found.max_length) == (64, 2, 512)
    assert found.parameters > 10_000 and found.vocab > 100
    assert found.has_chat_template and not found.is_gated and not found.note
    names = {path.name for path in found.folder.iterdir()}
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= names
    assert "model.safetensors" not in names
    assert twin.count(r"GET .*model\.safetensors$") == 0


def test_a_revision_may_be_named(finder: Finder, twin: Twin, api: HfApi, bases: dict[str, Path]) -> None:
    sha = put_base(twin, bases["causal"])
    api.upload_file(path_or_fileobj=b"later", path_in_repo="notes.txt", repo_id=BASE)
    assert finder(f"{BASE}@{sha}").revision == sha
    assert finder(BASE).revision != sha
    assert "not at that revision" in refused(finder, f"{BASE}@{'0' * 40}")


def test_an_encoder_is_told_from_a_causal_model(finder: Finder, twin: Twin, bases: dict[str, Path]) -> None:
    put_base(twin, bases["masked"])
    assert finder(BASE).kind == "masked"


def test_a_folder_of_this_machine_is_known_by_its_name_only(finder: Finder, folder: Path) -> None:
    found = finder(str(folder))
    assert (found.id, found.revision) == ("changed", "")
    assert "There is no folder" in refused(finder, "/no/such/folder")


def test_a_model_without_a_stated_licence_says_so(finder: Finder, twin: Twin, bases: dict[str, Path]) -> None:
    put_base(twin, bases["causal"], card="---\ntags: [x]\n---\n")
    assert "states no licence" in finder(BASE).note


def test_an_unknown_model_gets_the_nearest_name(finder: Finder) -> None:
    text = refused(finder, "Qwen/Qwen3-0.6")
    assert "no model Qwen/Qwen3-0.6 " in text and "Did you mean Qwen/Qwen3-0.6B?" in text


@pytest.mark.parametrize("name", ["a/b/c", "my model", "a--b/c", "x/../y", "@", "-" * 200])
def test_a_bad_name_is_refused_without_asking(finder: Finder, twin: Twin, name: str) -> None:
    assert "org/name" in refused(finder, name)
    assert not twin.seen


def test_a_private_model_of_others_looks_unknown(finder: Finder, twin: Twin, api: HfApi, folder: Path) -> None:
    put_base(twin, folder)
    api.update_repo_settings(BASE, private=True)
    assert "private" in refused(finder, BASE, token="hf_bob")
    assert "private" in refused(finder, BASE, token=None)
    assert finder(BASE).id == BASE


@pytest.mark.parametrize(("token", "words"), [("hf_bob", "accept the terms there"), (None, "set HF_TOKEN")])
def test_a_gated_model_says_where_to_click(
    finder: Finder, twin: Twin, api: HfApi, folder: Path, token: str | None, words: str
) -> None:
    put_base(twin, folder)
    api.update_repo_settings(BASE, gated="auto")
    text = refused(finder, BASE, token=token)
    assert f"{twin.url}/{BASE}" in text and words in text
    assert finder(BASE).is_gated


def test_a_wrong_token_is_told(finder: Finder, twin: Twin, folder: Path) -> None:
    put_base(twin, folder)
    assert "does not accept our token" in refused(finder, BASE, token="hf_wrong")


def test_pickled_weights_are_refused(finder: Finder, twin: Twin, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    put_base(twin, folder)
    assert "only pickled weights" in refused(finder, BASE)


def test_no_weights_are_refused(finder: Finder, twin: Twin, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    put_base(twin, folder)
    assert "no weights" in refused(finder, BASE)


def test_a_model_without_a_tokenizer_is_refused(finder: Finder, twin: Twin, folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    put_base(twin, folder)
    assert "tokenizer.json" in refused(finder, BASE)


def test_a_model_without_a_config_is_refused(finder: Finder, twin: Twin, folder: Path) -> None:
    (folder / "config.json").unlink()
    put_base(twin, folder)
    assert "no config.json" in refused(finder, BASE)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "modeling.Mine"}}, "trust_remote_code"),
        ({"_attn_implementation": "org/kernel"}, "attention code"),
        ({"text_config": {"attn_implementation": "org/kernel:x"}}, "attention code"),
        ({"quantization_config": {"quant_method": "awq"}}, "compressed weights (awq)"),
    ],
)
def test_a_config_that_would_run_or_fetch_code_is_refused(
    finder: Finder, folder: Path, values: dict[str, Any], words: str
) -> None:
    change(folder / "config.json", **values)
    assert words in refused(finder, str(folder))


def test_a_known_type_with_an_auto_map_is_read_by_its_own_code(finder: Finder, folder: Path) -> None:
    change(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Mine"})
    assert finder(str(folder)).kind == "causal"


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "model-00001-of-00002.safetensors"])
def test_an_index_that_leads_elsewhere_is_refused(finder: Finder, folder: Path, name: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "no weight file of this model" in refused(finder, str(folder))


def test_a_file_that_is_no_safetensors_is_refused(finder: Finder, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    assert "no safetensors file" in refused(finder, str(folder))


def test_a_hub_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_PUBLIC_ENDPOINT", "")
    with pytest.raises(Refusal, match=r"127\.0\.0\.1:9 could not be reached"):
        look(BASE, token=None, cache=tmp_path)


def test_a_hub_in_trouble_is_told(finder: Finder, twin: Twin) -> None:
    twin.fail("GET /api/models", 503)
    assert "status 503" in refused(finder, BASE)


def test_a_hub_that_never_answers_is_given_up(twin: Twin) -> None:
    twin.fail("GET /api/models", 200, hang_s=2)
    with pytest.raises(client.TROUBLE) as caught:
        client.info(connect(None, twin.url), BASE, timeout_s=0.2)
    assert "could not be reached" in client.explain(caught.value, BASE, twin.url, False).text


@pytest.mark.parametrize("path", ["whoami", "repos/create"])
def test_calls_that_have_no_limit_of_their_own_get_ours(twin: Twin, path: str) -> None:
    twin.fail(path, 200, hang_s=2)
    api = connect(twin.token, twin.url, 0.2)
    with pytest.raises(client.TROUBLE) as caught:
        api.whoami() if path == "whoami" else api.create_repo(BASE)
    assert client.is_passing(caught.value)


def test_what_a_local_hub_lacks_is_looked_for_on_the_public_one_without_a_token(
    finder: Finder, twin: Twin, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_base(twin, folder)
    monkeypatch.setenv("HF_PUBLIC_ENDPOINT", twin.url)
    monkeypatch.setenv("HF_ENDPOINT", twin.url.replace("127.0.0.1", "localhost"))
    twin.fail(f"GET /api/models/{BASE}$", 404, headers={"X-Error-Code": "RepoNotFound"})
    assert finder(BASE).id == BASE
    assert twin.count(f"GET /api/models/{BASE}$") == 2


def test_a_readers_token_is_for_the_hub_elsewhere_where_models_go_to_a_local_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_local")
    monkeypatch.setenv("HF_READ_TOKEN", "hf_reader")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:7861")
    monkeypatch.setenv("HF_PUBLIC_ENDPOINT", client.PUBLIC)
    assert sources(client.reader()) == [("http://127.0.0.1:7861", "hf_local"), (client.PUBLIC, "hf_reader")]
    monkeypatch.setenv("HF_ENDPOINT", client.PUBLIC)
    assert sources(client.reader()) == [(client.PUBLIC, "hf_reader")]


def test_an_embedded_model_that_is_not_ready_says_how_to_make_it(finder: Finder) -> None:
    assert "python -m engine prepare" in refused(finder, DEFAULT_CAUSAL)
    assert DEFAULT_MASKED in refused(finder, "embedded/other")


def test_methods_want_models_of_their_kind(finder: Finder, bases: dict[str, Path]) -> None:
    causal, masked = finder(str(bases["causal"])), finder(str(bases["masked"]))
    for method in ("sft", "clm", "dpo", "orpo", "reward"):
        fits(causal, method)
        with pytest.raises(Refusal, match="mlm with this one") as caught:
            fits(masked, method)
        assert DEFAULT_CAUSAL in caught.value.text
    fits(masked, "mlm")
    with pytest.raises(Refusal, match="method clm or sft") as caught:
        fits(causal, "mlm")
    assert DEFAULT_MASKED in caught.value.text


def test_mlm_wants_a_mask_token(finder: Finder, bases: dict[str, Path], tmp_path: Path) -> None:
    bare = Path(shutil.copytree(bases["masked"], tmp_path / "bare"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).write_text((bare / name).read_text().replace("[MASK]", "[GONE]").replace("mask_token", "gone"))
    with pytest.raises(Refusal, match="no mask token"):
        fits(finder(str(bare)), "mlm")


def test_models_on_offer_are_found_by_id_or_name() -> None:
    offer = find("qwen3-0.6b")
    assert offer is not None and offer.id == "Qwen/Qwen3-0.6B"
    assert find(DEFAULT_MASKED) is not None and find("nothing-like-it") is None
    assert nearest("smollm2-135m-instruc") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert nearest("zzz") == ""


def test_the_list_of_models_is_short_and_says_for_whom_each_is() -> None:
    assert 12 <= len(MODELS) <= 18
    assert len({model.id for model in MODELS}) == len(MODELS)
    assert all(model.kind in ("causal", "masked") and model.whom.endswith(".") for model in MODELS)
