"""What a Hub in trouble does to a push: each fault is ridden out or said in words, and no model is lost or doubled."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from engine.folder import RunFolder
from engine.hub.client import connect, is_passing, with_ticks
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


def test_a_long_outage_ends_the_attempt_and_the_next_one_brings_the_model(
    run: RunFolder, twin: Twin, api: HfApi
) -> None:
    outage = twin.fail(COMMIT, 503, times=99)
    assert not pushing.push(run.path, deadline_s=2)
    end = last(run, "push-1")
    assert (end.kind, end.data["code"], end.data["wait_s"]) == ("failed", "away", 0)
    assert len({event.data["text"] for event in events_of(run, "push-1") if event.kind == "warning"}) == 1
    outage.times = 0
    assert pushing.push(run.path), last(run, "push-2")
    check_one_model(run, api)


def test_a_hub_that_does_not_answer_at_all_is_left_alone_soon(
    run: RunFolder, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later attempt in an outage must not keep its place for the whole patience of one that was under way."""
    monkeypatch.setattr(pushing, "FIRST_WORD_S", 1.0)
    twin.fail("whoami", 503, times=99)
    assert not pushing.push(run.path)
    assert last(run, "push-1").data["code"] == "away"


def test_how_long_the_hub_asks_to_wait_is_passed_on(run: RunFolder, twin: Twin) -> None:
    twin.fail(COMMIT, 429, headers={"Retry-After": "3600"})
    assert not pushing.push(run.path)
    end = last(run, "push-1").data
    assert (end["code"], end["wait_s"]) == ("away", 3600) and "60 min" in end["reason"]


def test_a_long_upload_gives_signs_of_life(
    run: RunFolder, twin: Twin, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "TICK_S", 0.2)
    twin.fail(FILE, 500, hang_s=2)
    assert pushing.push(run.path), last(run, "push-1")
    assert len([event for event in events_of(run, "push-1") if event.data.get("phase") == "pushing"]) > 3
    check_one_model(run, api)


def test_work_that_hangs_in_a_library_is_given_up_as_passing_trouble() -> None:
    released, ticks = threading.Event(), list[int]()
    with pytest.raises(TimeoutError) as caught:
        with_ticks(lambda: released.wait(60), lambda: ticks.append(1), 0.1, 0.5)
    released.set()
    assert ticks and is_passing(caught.value)
