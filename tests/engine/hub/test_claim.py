"""The repo of a run, made before its training: private, marked, its own, and gone where no model came."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from engine.events import EventLog
from engine.folder import CLAIM, RunFolder
from engine.hub.client import connect
from engine.hub.upload.claim import release, reserve
from engine.hub.upload.push import push as work
from engine.jobs import JobSpec, Model, Source, Target
from engine.refusal import Refusal
from tests.engine.hub.conftest import BASE, Trained, engine, events_of, last, put_base
from tests.twins.hub import Twin

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
REPO = "local/mine"


@pytest.fixture
def api(twin: Twin) -> HfApi:
    return connect(twin.token, twin.url, 10)


@pytest.fixture
def run(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that is about to begin, in an environment that has the writer's token."""
    for name, value in twin.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    folder = RunFolder(tmp_path / "7")
    folder.write_spec(JobSpec("sft", Model(BASE, "a" * 40), Source("x.csv", "0" * 64, {}), target=Target(REPO)))
    return folder


def begin(run: RunFolder, patience_s: float = 5) -> None:
    attempt = run.current_attempt("fetch")
    reserve(run, EventLog(attempt.folder, attempt.run, attempt.name), patience_s)


def warnings(run: RunFolder) -> list[str]:
    number = run.last_number("fetch")
    return [event.data["text"] for event in events_of(run, f"fetch-{number}") if event.kind == "warning"]


def claim_of(run: RunFolder) -> dict[str, str]:
    claim: dict[str, str] = json.loads((run.path / CLAIM).read_text())
    return claim


def test_a_run_gets_its_private_repo_before_anything_is_trained(run: RunFolder, api: HfApi) -> None:
    begin(run)
    info = api.model_info(REPO)
    assert info.private is True
    assert claim_of(run) == {"repo": REPO, "marker": info.sha}
    assert [commit.title for commit in api.list_repo_commits(REPO)] == ["Made for run 7", "initial commit"]
    assert warnings(run) == []


def test_a_run_that_begins_twice_has_one_repo(run: RunFolder, twin: Twin, api: HfApi) -> None:
    twin.fail("POST /api/repos/create", after=True)
    begin(run)
    begin(run)
    assert claim_of(run)["repo"] == REPO
    assert [info.id for info in api.list_models(author="local")] == [REPO]
    assert len(api.list_repo_commits(REPO)) == 2


def test_a_run_knows_its_repo_again_when_it_is_pushed_by_a_later_version(run: RunFolder, api: HfApi) -> None:
    """What the events say to people may change; what they say to the bot stays."""
    begin(run)
    (asked,) = (event.data for event in events_of(run, "fetch-1") if event.data.get("claim"))
    assert (asked["claim"], asked["repo"]) == ("asked", REPO)


def test_a_name_that_is_taken_is_said_at_the_beginning_and_left_alone(run: RunFolder, api: HfApi) -> None:
    api.create_repo(REPO)
    before = api.model_info(REPO).sha
    begin(run)
    assert warnings(run) == [f"There is a repo {REPO} already, so the model goes to {REPO}-2."]
    assert api.model_info(REPO).sha == before
    assert release(run.path)
    assert api.model_info(REPO).sha == before


def test_a_repo_that_is_asked_for_by_name_is_that_one_or_none(run: RunFolder, twin: Twin, api: HfApi) -> None:
    run.write_spec(replace(run.read_spec(), target=Target(REPO, is_exact=True)))
    api.create_repo(REPO)
    with pytest.raises(Refusal, match="did not make"):
        begin(run)
    run.write_spec(replace(run.read_spec(), target=Target(REPO, is_exact=True, is_pull_request=True)))
    begin(run)
    assert not (run.path / CLAIM).exists()
    run.write_spec(replace(run.read_spec(), target=Target("local/none", is_exact=True, is_pull_request=True)))
    with pytest.raises(Refusal, match="local/none"):
        begin(run)


def test_a_run_that_stays_here_asks_the_hub_nothing(run: RunFolder, twin: Twin) -> None:
    run.write_spec(replace(run.read_spec(), target=Target()))
    begin(run)
    assert twin.seen == []


@pytest.mark.parametrize(("token", "words"), [("hf_wrong", "does not know"), ("hf_reader", "may only read")])
def test_a_token_that_cannot_push_ends_the_run_before_its_training(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(Refusal, match=words):
        begin(run)


def test_a_hub_that_is_away_does_not_stop_the_training(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    begin(run, patience_s=0)
    assert "once the model is trained" in warnings(run)[0]
    assert not (run.path / CLAIM).exists()


def test_a_repo_that_became_public_gets_no_byte(run: RunFolder, twin: Twin) -> None:
    told = json.dumps({"id": REPO, "sha": "0" * 40, "private": False, "siblings": []})
    twin.fail(f"GET /api/models/{REPO}$", 200, body=told, headers={"Content-Type": "application/json"})
    with pytest.raises(Refusal, match="public"):
        begin(run)
    assert twin.count("/commit/") == 0


def test_the_repo_of_a_run_without_a_model_goes_away_again(run: RunFolder, twin: Twin, api: HfApi) -> None:
    begin(run)
    twin.fail("DELETE /api/repos", 503)
    done = engine("release", str(run.path), "--json", environment=twin.environment(run.path.parent / "home"))
    assert (done.returncode, done.stdout) == (0, '{"released": true}\n'), done.stderr
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)
    assert not (run.path / CLAIM).exists()
    assert release(run.path)


def test_a_repo_that_somebody_wrote_to_stays(run: RunFolder, api: HfApi) -> None:
    begin(run)
    api.upload_file(path_or_fileobj=b"mine now", path_in_repo="notes.txt", repo_id=REPO)
    assert release(run.path)
    assert "notes.txt" in api.list_repo_files(REPO)


def test_what_cannot_be_removed_now_is_removed_later(
    run: RunFolder, twin: Twin, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(run)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not release(run.path, 0)
    monkeypatch.setenv("HF_ENDPOINT", twin.url)
    assert release(run.path, 0)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)


def test_the_model_takes_the_place_of_the_note(
    run: RunFolder, twin: Twin, api: HfApi, trained: Trained, bases: dict[str, Path]
) -> None:
    sha = put_base(twin, bases["causal"])
    done = trained("sft")
    run.write_spec(replace(done.read_spec(), model=Model(BASE, sha), target=Target(REPO)))
    run.model.symlink_to(bases["causal"])
    begin(run)
    (run.attempts / "train-1").symlink_to(done.attempts / "train-1")
    assert work(run.path), last(run, "push-1")
    assert [commit.title for commit in api.list_repo_commits(REPO)] == [
        *("Model of run 7", "Made for run 7", "initial commit"),
    ]
    assert "being trained" not in Path(api.hf_hub_download(REPO, "README.md", local_dir=run.path)).read_text()
    assert not (run.path / CLAIM).exists()


def test_a_model_that_went_elsewhere_leaves_no_empty_repo(
    run: RunFolder, twin: Twin, api: HfApi, trained: Trained, bases: dict[str, Path]
) -> None:
    sha = put_base(twin, bases["causal"])
    done = trained("sft")
    run.write_spec(replace(done.read_spec(), model=Model(BASE, sha), target=Target(REPO)))
    run.model.symlink_to(bases["causal"])
    begin(run)
    (run.attempts / "train-1").symlink_to(done.attempts / "train-1")
    assert work(run.path, "local/elsewhere"), last(run, "push-1")
    assert sorted(info.id for info in api.list_models(author="local")) == [BASE, "local/elsewhere"]


def test_rights_are_told_on_the_command_line(twin: Twin, tmp_path: Path) -> None:
    environment = twin.environment(tmp_path / "home")
    done = engine("rights", "local", "--json", environment=environment)
    assert json.loads(done.stdout) == {"owner": "local", "namespace": "local", "doubt": ""}
    done = engine("rights", "acme", "--json", environment=environment)
    assert done.returncode == 1
    assert json.loads(done.stdout)["refusal"]["field"] == "namespace"


@pytest.mark.parametrize(("chosen", "found"), [("off", False), ("manual", "manual")])
def test_a_public_repo_is_gated_where_the_operator_wants_that(
    run: RunFolder, twin: Twin, api: HfApi, monkeypatch: pytest.MonkeyPatch, chosen: str, found: object
) -> None:
    run.write_spec(replace(run.read_spec(), target=Target(REPO, is_private=False)))
    monkeypatch.setenv("HF_GATED", chosen)
    begin(run)
    info = api.model_info(REPO)
    assert (info.private, info.gated) == (False, found)
