"""Pushing to a Hub over a real socket: what arrives, what never leaves, what faults cannot undo."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import yaml
from huggingface_hub import HfApi

from adapters.localhub.tokens import COOKIE, Tokens
from engine.folder import RunFolder
from engine.hub.client import connect
from engine.hub.upload.pack import pack
from engine.hub.upload.push import push as work
from engine.jobs import Model, Target
from engine.plan.parameters import complete
from tests.engine.hub.conftest import BASE, KINDS, Trained, engine, events_of, last, put_base, run_to_push
from tests.twins.hub import Twin

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
REPO = "local/mine"
COMMIT = f"POST /api/models/{REPO}/commit"


@pytest.fixture
def api(twin: Twin) -> HfApi:
    return connect(twin.token, twin.url, 10)


@pytest.fixture
def run(twin: Twin, trained: Trained, bases: dict[str, Path], tmp_path: Path) -> RunFolder:
    sha = put_base(twin, bases["causal"])
    return run_to_push(trained("sft"), tmp_path / "7", Model(BASE, sha))


def push(run: RunFolder, twin: Twin, to: str = "", token: str | None = None) -> bool:
    """The work of the child, in this process: most tests need no second interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in twin.environment(run.path.parent / "home", token).items():
            patch.setenv(name, value)
        return work(run.path, to)


def push_as_child(run: RunFolder, twin: Twin, *words: str) -> subprocess.CompletedProcess[str]:
    return engine("push", str(run.path), *words, environment=twin.environment(run.path.parent / "home"))


def model_commits(api: HfApi, repo: str = REPO) -> int:
    return sum(commit.title.startswith("Model of run") for commit in api.list_repo_commits(repo))


def test_a_push_ends_in_a_private_repo_with_one_commit_and_the_same_bytes(
    run: RunFolder, twin: Twin, api: HfApi
) -> None:
    done = push_as_child(run, twin, "--json")
    end = last(run, "push-1")
    assert (done.returncode, done.stdout) == (0, end.to_line()), done.stderr
    info = api.model_info(REPO, files_metadata=True)
    assert end.kind == "finished"
    assert (end.data["repo"], end.data["revision"], end.data["is_private"]) == (REPO, info.sha, True)
    assert end.data["url"] == f"{twin.url}/{REPO}"
    assert info.private is True
    assert model_commits(api) == 1
    assert api.list_repo_refs(REPO).tags[0].name == "run-7"
    output = run.attempts / "train-1/output"
    assert end.data["files"]["adapter_model.safetensors"] == sha256(output / "adapter_model.safetensors")
    assert set(end.data["files"]) == {file.rfilename for file in info.siblings or []} - {".gitattributes"}
    assert twin.token not in (run.attempts / "push-1/events.jsonl").read_text()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_files_of_the_allow_list_leave(run: RunFolder, twin: Twin, api: HfApi) -> None:
    output = run.attempts / "train-1/output"
    for name in ("training_args.bin", "optimizer.pt", "model.py", ".env", "trainer_state.json", "pytorch_model.bin"):
        (output / name).write_bytes(b"secret")
    (output / "checkpoint-1").mkdir()
    (output / "checkpoint-1" / "adapter_model.safetensors").write_bytes(b"x")
    (output / "README.md").write_text("not ours")
    assert push(run, twin)
    assert set(api.list_repo_files(REPO)) == {
        *(".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja"),
        *("loss.png", "tokenizer.json", "tokenizer_config.json"),
    }


def test_no_pushed_file_names_a_place_of_this_machine(run: RunFolder, twin: Twin, api: HfApi, tmp_path: Path) -> None:
    config = run.attempts / "train-1/output/adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": str(tmp_path)}))
    names = run.attempts / "train-1/output/tokenizer_config.json"
    names.write_text(json.dumps({**json.loads(names.read_text()), "name_or_path": str(tmp_path), "is_local": True}))
    assert push(run, twin)
    folder = Path(api.snapshot_download(REPO, cache_dir=tmp_path / "cache"))
    for path in folder.iterdir():
        if path.suffix in (".json", ".md", ".jinja"):
            text = path.read_text()
            assert str(tmp_path) not in text and str(Path.home()) + "/" not in text, path.name
    lora = json.loads((folder / "adapter_config.json").read_text())
    assert (lora["base_model_name_or_path"], lora["revision"]) == (BASE, run.read_spec().model.revision)


def test_a_config_that_still_names_a_path_is_not_pushed(run: RunFolder, twin: Twin, api: HfApi) -> None:
    config = run.attempts / "train-1/output/adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "megatron_core": "/srv/secret/place"}))
    assert not push(run, twin)
    assert "/srv/secret/place" in last(run, "push-1").data["reason"]
    assert model_commits(api) == 0


def test_the_card_tells_what_the_hub_and_people_need(run: RunFolder, twin: Twin, api: HfApi, tmp_path: Path) -> None:
    assert push(run, twin)
    text = Path(api.hf_hub_download(REPO, "README.md", cache_dir=tmp_path / "cache")).read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    spec = run.read_spec()
    assert front["base_model"] == BASE and front["base_model_relation"] == "adapter"
    assert (front["library_name"], front["pipeline_tag"]) == ("peft", "text-generation")
    assert {"threadtune", "trl", "sft", "lora"} <= set(front["tags"])
    assert front["model-index"][0]["results"][0]["metrics"]
    assert spec.train.sha256 in text and spec.model.revision[:12] in text
    assert "![Loss over the steps of the training](loss.png)" in text
    for name, value in complete(spec.method, spec.parameters).items():
        assert f"| `{name}` | `{value}` |" in text
    answers = last(RunFolder(run.path), "train-1").data["answers"]
    assert answers and answers[0]["tuned"] in text


@pytest.mark.parametrize(
    "kind", ["sft", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "sft")]
)
def test_the_snippet_of_every_kind_of_result_loads_it(
    kind: str, twin: Twin, trained: Trained, bases: dict[str, Path], tmp_path: Path
) -> None:
    sha = put_base(twin, bases["masked" if kind.startswith("mlm") else "causal"])
    run = run_to_push(trained(kind), tmp_path / "7", Model(BASE, sha))
    assert push(run, twin), last(run, "push-1")
    check_no_place_is_named(
        Path(connect(twin.token, twin.url).snapshot_download(REPO, cache_dir=tmp_path / "cache")), run
    )
    said = played(last(run, "push-1").data["snippet"], twin, tmp_path)
    assert said.strip()
    if kind == "reward":  # a head that was not loaded would be a new random one each time
        assert said == played(last(run, "push-1").data["snippet"], twin, tmp_path)


def check_no_place_is_named(pushed: Path, run: RunFolder) -> None:
    """No file names the run's folder, and no file that people read names any of this machine's."""
    places = [str(place).encode() for place in (tempfile.gettempdir(), Path.home(), Path.cwd(), "file://")]
    for path in pushed.iterdir():
        content = path.read_bytes()
        assert str(run.path.resolve()).encode() not in content, path.name
        if path.suffix in (".json", ".md", ".jinja"):
            assert not [place for place in places if place + b"/" in content], path.name


def played(snippet: str, twin: Twin, place: Path) -> str:
    """What a snippet prints when somebody runs it who has the token; it knows by itself where the Hub is."""
    environment = {**twin.environment(place / "reader"), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    del environment["HF_ENDPOINT"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", snippet],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_lora_on_a_local_folder_is_pushed_as_whole_weights(
    twin: Twin, trained: Trained, api: HfApi, tmp_path: Path
) -> None:
    run = run_to_push(trained("sft"), tmp_path / "7", Model("my-own-model"))
    assert push(run, twin), last(run, "push-1")
    files = api.list_repo_files(REPO)
    assert "model.safetensors" in files and "adapter_config.json" not in files
    assert api.model_info(REPO).card_data is not None
    assert api.model_info(REPO).card_data.get("base_model") is None  # type: ignore[union-attr]


def test_a_second_push_of_the_same_run_changes_nothing(run: RunFolder, twin: Twin, api: HfApi) -> None:
    assert push(run, twin)
    assert push(run, twin)
    assert last(run, "push-2").data["revision"] == last(run, "push-1").data["revision"]
    assert last(run, "push-2").data["repo"] == REPO
    assert model_commits(api) == 1


def test_a_taken_name_gets_a_number_and_the_other_repo_stays_as_it_is(run: RunFolder, twin: Twin, api: HfApi) -> None:
    api.create_repo(REPO)
    before = api.model_info(REPO).sha
    assert push(run, twin)
    assert last(run, "push-1").data["repo"] == "local/mine-2"
    assert api.model_info(REPO).sha == before


def test_a_repo_that_is_named_but_not_ours_is_left_alone(run: RunFolder, twin: Twin, api: HfApi) -> None:
    assert not push(run, twin, BASE)
    assert "did not make" in last(run, "push-1").data["reason"]
    assert model_commits(api, BASE) == 0
    assert push(run, twin, "local/elsewhere")
    assert model_commits(api, "local/elsewhere") == 1


def test_a_model_that_does_not_load_from_the_hub_is_no_success_where_that_is_checked(
    run: RunFolder, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_LOAD", "1")
    weights = run.attempts / "train-1/output/adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:100])
    assert not push(run, twin)
    assert "does not load from there" in last(run, "push-1").data["reason"]
    weights.write_bytes(good)
    assert push(run, twin, "local/good"), last(run, "push-2")


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_repo_of_others_gets_one_pull_request_and_stays_as_it_is(
    run: RunFolder, twin: Twin, api: HfApi, is_lost: bool
) -> None:
    api.create_repo(REPO)
    before = api.model_info(REPO).sha
    run.write_spec(replace(run.read_spec(), target=Target(REPO, is_exact=True, is_pull_request=True)))
    if is_lost:
        twin.fail(COMMIT, after=True)
    assert push(run, twin), last(run, "push-1")
    assert push(run, twin)
    end = last(run, "push-2").data
    assert api.model_info(REPO).sha == before
    (pull,) = api.list_repo_refs(REPO, include_pull_requests=True).pull_requests or []
    assert (pull.ref, pull.target_commit) == ("refs/pr/1", end["revision"])
    assert end["url"] == f"{twin.url}/{REPO}/discussions/1" and end["snippet"] == ""
    assert "adapter_model.safetensors" in api.list_repo_files(REPO, revision="refs/pr/1")
    key = Tokens(twin.data).page_key
    page = httpx2.get(f"{twin.url}/{REPO}/discussions/1", cookies={COOKIE: key}, timeout=10)
    assert page.status_code == 200 and "Model of run 7" in page.text


def test_a_pull_request_to_a_repo_that_is_not_there_is_refused(run: RunFolder, twin: Twin) -> None:
    run.write_spec(replace(run.read_spec(), target=Target(REPO, is_exact=True, is_pull_request=True)))
    assert not push(run, twin)
    assert REPO in last(run, "push-1").data["reason"]


def test_a_run_without_a_target_asks_where_to(run: RunFolder, twin: Twin) -> None:
    run.write_spec(replace(run.read_spec(), target=Target()))
    assert not push(run, twin)
    assert "--to namespace/name" in last(run, "push-1").data["reason"]


def test_a_bad_name_is_refused_before_the_hub_is_asked(run: RunFolder, twin: Twin) -> None:
    seen = len(twin.seen)
    assert not push(run, twin, "no/such/name")
    assert "namespace/name" in last(run, "push-1").data["reason"]
    assert len(twin.seen) == seen


def test_a_hub_that_makes_it_public_gets_no_byte(run: RunFolder, twin: Twin, api: HfApi) -> None:
    told = json.dumps({"id": REPO, "sha": "0" * 40, "private": False, "siblings": []})
    twin.fail(f"GET /api/models/{REPO}$", 200, body=told, headers={"Content-Type": "application/json"})
    assert not push(run, twin)
    assert "public" in last(run, "push-1").data["reason"]
    assert twin.count("preupload|lfs|/commit/") == twin.count(f"{BASE}/(preupload|commit)|{BASE}.git|-/lfs")


def test_trouble_of_the_hub_is_waited_out(run: RunFolder, twin: Twin, api: HfApi) -> None:
    twin.fail("whoami", 503)
    twin.fail(COMMIT, 500, times=2)
    assert push(run, twin)
    told = [event.data["text"] for event in events_of(run, "push-1") if event.kind == "warning"]
    assert told == ["The Hub has trouble (status 500); the model is safe here and I keep trying."] * 2
    assert twin.count(COMMIT) == 3
    assert model_commits(api) == 1


def test_a_hub_that_asks_to_slow_down_is_obeyed(run: RunFolder, twin: Twin, api: HfApi) -> None:
    twin.fail(COMMIT, 429, headers={"Retry-After": "1"})
    assert push(run, twin)
    assert model_commits(api) == 1


@pytest.mark.parametrize("pattern", [COMMIT, "POST /api/repos/create", "POST .*/tag/", "PUT /-/lfs/"])
def test_a_lost_answer_is_found_out_and_nothing_is_done_twice(
    run: RunFolder, twin: Twin, api: HfApi, pattern: str
) -> None:
    twin.fail(pattern, after=True)
    assert push(run, twin) or push(run, twin)
    attempt = f"push-{run.last_number('push')}"
    assert last(run, attempt).data["repo"] == REPO
    assert model_commits(api) == 1
    assert [info.id for info in api.list_models(author="local")] == [BASE, REPO]


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(run: RunFolder, twin: Twin, api: HfApi) -> None:
    twin.fail(COMMIT, 412)
    assert not push(run, twin)
    reason = last(run, "push-1").data["reason"]
    assert "changed" in reason and "another name" in reason


@pytest.mark.parametrize(
    ("status", "words"), [(403, "right to write"), (402, "room"), (413, "room"), (400, "refused it with status 400")]
)
def test_a_refusal_of_the_hub_is_told_in_words(run: RunFolder, twin: Twin, status: int, words: str) -> None:
    twin.fail("POST /api/repos/create", status, headers={"X-Error-Message": "so it is"})
    assert not push(run, twin)
    end = last(run, "push-1")
    assert (end.kind, end.data["code"]) == ("failed", "hub")
    assert words in end.data["reason"] and "so it is" in end.data["reason"]
    assert (run.attempts / "train-1/output/adapter_model.safetensors").exists()


@pytest.mark.parametrize(
    ("token", "words"), [("hf_wrong", "does not know"), ("hf_reader", "may only read"), ("", "no token")]
)
def test_a_token_that_cannot_push_is_refused_first(run: RunFolder, twin: Twin, token: str, words: str) -> None:
    assert not push(run, twin, token=token)
    assert words in last(run, "push-1").data["reason"]
    assert twin.count(f"POST /api/repos/create|{REPO}") == 1  # the base model's own


def test_a_namespace_of_others_is_refused(run: RunFolder, twin: Twin) -> None:
    assert not push(run, twin, "acme/mine")
    assert "no member of acme" in last(run, "push-1").data["reason"]


def test_a_run_that_was_never_trained_is_refused(run: RunFolder, twin: Twin) -> None:
    (run.attempts / "train-1/events.jsonl").unlink()
    assert not push(run, twin)
    assert "no finished training" in last(run, "push-1").data["reason"]


def test_a_hub_that_is_away_is_told_after_the_deadline(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    assert not work(run.path, deadline_s=0)
    end = last(run, "push-1")
    assert "could not be reached" in end.data["reason"] and "127.0.0.1:9" in end.data["reason"]
    assert [event.kind for event in events_of(run, "push-1")] == ["started", "failed"]


def test_a_lora_is_packed_into_one_file_that_says_how_it_is_loaded(run: RunFolder, twin: Twin, tmp_path: Path) -> None:
    done = engine("pack", str(run.path), "--json", environment={})
    assert (done.returncode, json.loads(done.stdout)) == (0, {"file": "lora.zip"}), done.stderr
    with zipfile.ZipFile(run.attempts / "train-1" / "lora.zip") as file:
        file.extractall(tmp_path / "there")
    inside = tmp_path / "there" / "run-7-lora"
    config = json.loads((inside / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE, run.read_spec().model.revision)
    assert not [path for path in inside.iterdir() if str(tmp_path).encode() in path.read_bytes()]
    assert "training_args.bin" not in [path.name for path in inside.iterdir()]
    program = (inside / "README.txt").read_text().partition("lies in:\n")[2]
    environment = {**twin.environment(tmp_path / "reader"), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path / "there",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == 0 and said.stdout.strip(), said.stderr


def test_whole_weights_are_not_packed(run: RunFolder) -> None:
    (run.attempts / "train-1/output/adapter_config.json").unlink()
    assert pack(run.path) is None
