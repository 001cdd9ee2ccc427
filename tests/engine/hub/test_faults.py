"""What a Hub in trouble does to a push: each fault is ridden out or said in words, and no model is lost or doubled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from engine.folder import RunFolder
from engine.hub.client import connect
from engine.hub.upload import push as pushing
from engine.jobs import Model
from tests.engine.hub.conftest import BASE, Trained, events_of, last, put_base, run_to_push
from tests.twins.hub import Twin

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
REPO = "local/mine"
API = f"/api/models/{REPO}"
COMMIT, PREUPLOAD, FILE = f"POST {API}/commit", f"POST {API}/preupload", "PUT /-/lfs/"
SLOW_DOWN = {"RateLimit": '"api";r=0;t=1', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}


@pytest.fixture
def run(twin: Twin, trained: Trained, bases: dict[str, Path], tmp_path: Path) -> RunFolder:
    return run_to_push(trained("sft"), tmp_path / "7", Model(BASE, put_base(twin, bases["causal"])))


@pytest.fixture(autouse=True)
def environment(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in twin.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def api(twin: Twin) -> Iterator[HfApi]:
    yield connect(twin.token, twin.url, 10)


def check_one_model(run: RunFolder, api: HfApi) -> None:
    """One repo of this run with one commit of its model, and every file as it lies here."""
    assert [info.id for info in api.list_models(author="local")] == [BASE, REPO]
    assert sum(commit.title.startswith("Model of run") for commit in api.list_repo_commits(REPO)) == 1
    end = last(run, f"push-{run.last_number('push')}")
    assert end.kind == "finished" and "adapter_model.safetensors" in end.data["files"]


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        pytest.param(COMMIT, {"status": 429, "headers": SLOW_DOWN}, id="429 with its limits"),
        pytest.param(PREUPLOAD, {"status": 502, "body": "<html>Bad gateway</html>"}, id="502"),
        pytest.param("POST /api/validate-yaml", {"status": 503, "body": "<html>no</html>"}, id="503 for the card"),
        pytest.param(COMMIT, {"status": 504, "after": True}, id="504 after the commit"),
        pytest.param(FILE, {"is_cut": True}, id="cut in mid-upload"),
        pytest.param(COMMIT, {"is_cut": True}, id="cut in the commit"),
        pytest.param(f"GET {API}/revision", {"status": 500}, id="500 while hashes are compared"),
    ],
)
def test_what_passes_is_ridden_out(run: RunFolder, twin: Twin, api: HfApi, pattern: str, fault: dict[str, Any]) -> None:
    planted = twin.fail(pattern, **fault)
    assert pushing.push(run.path), last(run, "push-1")
    assert planted.times == 0
    check_one_model(run, api)


@pytest.mark.parametrize("pattern", [COMMIT, FILE])
def test_a_hub_that_falls_silent_is_asked_again(
    run: RunFolder, twin: Twin, api: HfApi, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr(pushing, "SILENCE_S", 2.0)
    planted = twin.fail(pattern, hang_s=10)
    assert pushing.push(run.path), last(run, "push-1")
    assert planted.times == 0
    check_one_model(run, api)


@pytest.mark.parametrize(
    ("pattern", "status", "headers", "words"),
    [
        (COMMIT, 401, {}, "does not accept our token"),
        (COMMIT, 403, {"X-Error-Message": "Private repository storage limit reached"}, "storage limit reached"),
        (COMMIT, 404, {"X-Error-Code": "RepoNotFound"}, "our token cannot see it"),
        (COMMIT, 409, {"X-Error-Message": "another commit is under way"}, "another commit is under way"),
        (COMMIT, 412, {}, "changed local/mine meanwhile"),
        (COMMIT, 413, {}, "no room"),
        (FILE, 403, {}, "right to write"),
    ],
)
def test_what_does_not_pass_is_said_and_the_model_can_be_pushed_again(
    run: RunFolder, twin: Twin, api: HfApi, pattern: str, status: int, headers: dict[str, str], words: str
) -> None:
    twin.fail(pattern, status, headers=headers)
    assert not pushing.push(run.path)
    end = last(run, "push-1")
    assert (end.kind, end.data["code"]) == ("failed", "hub") and words in end.data["reason"], end.data["reason"]
    assert "Traceback" not in end.data["reason"]
    assert (run.attempts / "train-1/output/adapter_model.safetensors").exists()
    assert pushing.push(run.path), last(run, "push-2")
    check_one_model(run, api)


def test_a_long_outage_is_said_in_the_same_words_each_time(
    run: RunFolder, twin: Twin, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal notices are shown once, so however long it takes the message has one line more."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    twin.fail(COMMIT, 503, times=140)
    assert pushing.push(run.path), last(run, "push-1")
    told = [event.data["text"] for event in events_of(run, "push-1") if event.kind == "warning"]
    assert len(told) == 140 and len(set(told)) == 1
    assert sum(waited) > 2 * 3600
    check_one_model(run, api)
