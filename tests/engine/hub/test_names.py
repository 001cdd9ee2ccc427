"""Names of repos, rights of tokens, and the pure parts of a card."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.localhub.cards import faults
from engine.hub import names, rights, room
from engine.hub.client import PUBLIC
from engine.hub.upload.card import Facts, Loading, card, fence, head, plain, snippet, with_endpoint
from engine.hub.upload.stage import base_is_loadable, base_model, is_allowed, local_path
from engine.jobs import Answer, JobSpec, Model, Source
from engine.plan.models import EMBEDDED_CAUSAL
from engine.refusal import Refusal
from tests.twins.hub import Twin

DAY = date(2026, 3, 1)


def test_a_name_is_made_of_project_method_and_day() -> None:
    assert names.repo_name("acme", "Support Answers.csv", "sft", DAY) == "acme/support-answers-sft-2026-03-01"
    assert names.repo_name("acme", "../../Ünïcode--x.jsonl", "dpo", DAY) == "acme/unicode-x-dpo-2026-03-01"
    assert names.repo_name("acme", "资料.csv", "mlm", DAY) == "acme/model-mlm-2026-03-01"


@given(st.text(max_size=300), st.sampled_from(["sft", "dpo"]))
def test_every_project_gives_a_valid_name_with_room_for_a_number(project: str, method: str) -> None:
    name = names.repo_name("some-organisation", project, method, DAY)
    assert names.check(name) == name
    assert all(len(wish) <= names.LONGEST and names.check(wish) for wish in names.candidates(name))


@pytest.mark.parametrize("bad", ["x", "a/b/c", "a/-x", "a/x--y", "a/x.git", "a/é", "a/" + "x" * 95, "a/b c", ""])
def test_a_name_that_the_hub_would_not_take_is_refused(bad: str) -> None:
    with pytest.raises(Refusal, match="namespace/name"):
        names.check(bad)


ME = {"name": "ann", "orgs": [{"name": "acme", "roleInOrg": "write"}, {"name": "club", "roleInOrg": "read"}]}


def whoami(twin: Twin, **token: object) -> None:
    told = json.dumps({**ME, "auth": {"accessToken": {"role": "write", **token}}})
    twin.fail("GET /api/whoami-v2", 200, body=told, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("namespace", ["ann", "acme"])
def test_a_writer_may_push_to_themselves_and_their_organisation(twin: Twin, namespace: str) -> None:
    whoami(twin)
    assert rights.check("hf_any", namespace, twin.url) == "ann"


@pytest.mark.parametrize(("namespace", "words"), [("other", "no member of other"), ("club", "only read in club")])
def test_a_namespace_without_rights_is_refused(twin: Twin, namespace: str, words: str) -> None:
    whoami(twin)
    with pytest.raises(Refusal, match=words):
        rights.check("hf_any", namespace, twin.url)


def test_a_fine_grained_token_must_name_the_namespace(twin: Twin) -> None:
    scope = {"entity": {"type": "org", "name": "acme"}, "permissions": ["repo.content.read", "repo.write"]}
    fine = {"global": [], "scoped": [scope]}
    whoami(twin, role="fineGrained", fineGrained=fine)
    assert rights.check("hf_any", "acme", twin.url) == "ann"
    whoami(twin, role="fineGrained", fineGrained=fine)
    with pytest.raises(Refusal, match="fine-grained token of ann may not write in ann"):
        rights.check("hf_any", "ann", twin.url)


@pytest.mark.parametrize(
    ("gb", "is_pro", "namespace", "words"),
    [
        (99, False, "ann", "take 99 of its 100 GB"),
        (99, True, "ann", ""),
        (10, False, "ann", ""),
        (99, False, "acme", ""),
    ],
)
def test_private_storage_that_is_nearly_full_is_said_beforehand(
    twin: Twin, gb: float, is_pro: bool, namespace: str, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    repos = [("ann/a", True, gb * 1e9), ("ann/open", False, 1e15)]
    listed = [{"id": name, "private": is_private, "usedStorage": int(size)} for name, is_private, size in repos]
    twin.fail("GET /api/models$", 200, body=json.dumps(listed), headers=headers)
    said = room.doubt({**ME, "isPro": is_pro}, "hf_any", namespace, twin.url, 0)
    assert words in said and bool(said) == bool(words)


def test_a_hub_that_does_not_tell_its_room_casts_no_doubt(twin: Twin) -> None:
    twin.fail("GET /api/models$", 500)
    assert room.doubt(ME, "hf_any", "ann", twin.url, 0) == ""


def test_a_hub_in_trouble_is_no_wrong_token(twin: Twin) -> None:
    twin.fail("whoami", 503)
    with pytest.raises(Refusal, match="status 503"):
        rights.check("hf_any", "ann", twin.url)


EVIL = "```\n---\nlicense: mit\n---\n<script>alert(1)</script> | ````"


def facts(**more: object) -> Facts:
    spec = JobSpec("sft", Model("org/base", "a" * 40), Source("rows.csv", "b" * 64, {"text": "text"}))
    values: dict[str, object] = {
        "spec": spec,
        "repo": "ann/mine",
        "base": "org/base",
        "base_revision": "a" * 40,
        "licence": {"license": "apache-2.0"},
        "is_lora": True,
        "loading": Loading("ann/mine", "CausalLM", True, True),
        "rows": 9,
        "held_out": 3,
        "metrics": {"eval_loss": 1.25, "base_eval_loss": 2.5, "train_loss": 1.0},
        "answers": [Answer(EVIL, "base | said", "tuned", "right")],
        "are_answers_held_out": True,
        "has_picture": True,
    }
    return Facts(**{**values, **more})  # type: ignore[arg-type]  # the fields are given above


def test_what_people_wrote_cannot_leave_its_place_in_the_card() -> None:
    text = card(facts())
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert faults(text) == ([], [])
    assert "`````text\n" + EVIL + "\n`````" in text
    assert plain("a|b\n<b>*c*") == r"a\|b \<b\>\*c\*"
    assert plain("learning_rate") == "`learning_rate`"


def test_a_card_compares_with_the_base_and_lists_what_was_measured() -> None:
    text = card(facts())
    assert "| loss | 2.5 | 1.25 |" in text
    index = yaml.safe_load(text.split("---\n")[1])["model-index"]
    assert index[0]["results"][0]["metrics"] == [{"type": "eval_loss", "name": "loss", "value": 1.25}]


def test_a_card_of_a_model_of_unknown_origin_claims_nothing() -> None:
    text = card(facts(base="", base_revision="", licence={}, is_lora=False, loading=Loading("a/b", "CausalLM", False)))
    front = yaml.safe_load(text.split("---\n")[1])
    assert "base_model" not in front and "license" not in front
    assert "ask its makers" in text and front["library_name"] == "transformers"


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    assert fence("a ```` b").startswith("`````text\n")
    assert len(fence("x" * 10_000)) < 2_000


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("model.safetensors", True),
        ("model-00001-of-00002.safetensors", True),
        ("loss.png", True),
        ("training_args.bin", False),
        ("optimizer.safetensors", False),
        ("model.py", False),
        (".env", False),
        ("trainer_state.json", False),
    ],
)
def test_the_list_of_files_names_what_may_leave(name: str, goes: bool) -> None:
    assert is_allowed(name) is goes


def test_paths_are_found_wherever_they_stand_in_a_config() -> None:
    assert local_path({"a": [{"b": "/srv/models/x"}]}) == "/srv/models/x"
    assert local_path({"a": "C:\\models", "b": 1}) == "C:\\models"
    assert local_path({"a": "org/name", "b": "https://x.org/y", "c": "a / b"}) == ""


def spec_on(model: Model) -> JobSpec:
    return JobSpec("sft", model, Source("x.csv", "0" * 64, {}))


def test_a_lora_goes_alone_only_where_its_base_can_be_had() -> None:
    embedded, own, hub = (
        spec_on(Model(EMBEDDED_CAUSAL)),
        spec_on(Model("my-model")),
        spec_on(Model("org/base", "a" * 40)),
    )
    assert base_is_loadable(embedded, is_loopback=True) and not base_is_loadable(embedded, is_loopback=False)
    assert not base_is_loadable(own, is_loopback=True)
    assert base_is_loadable(hub, is_loopback=False)
    assert base_model(embedded, is_loopback=True)[0] == EMBEDDED_CAUSAL
    assert base_model(embedded, is_loopback=False)[0] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert base_model(own, is_loopback=False) == ("", "")


def test_a_snippet_names_the_endpoint_only_of_another_hub() -> None:
    text = snippet(Loading("a/b", head("reward"), False))
    assert "AutoModelForSequenceClassification" in text
    assert with_endpoint(text, PUBLIC, True) == text
    assert 'os.environ["HF_ENDPOINT"] = "http://127.0.0.1:1"' in with_endpoint(text, "http://127.0.0.1:1", False)


def test_snippets_are_programs(tmp_path: Path) -> None:
    for method in ("sft", "reward", "mlm"):
        for is_lora in (True, False):
            compile(snippet(Loading("a/b", head(method), is_lora, base="c/d", base_revision="e")), "snippet", "exec")
