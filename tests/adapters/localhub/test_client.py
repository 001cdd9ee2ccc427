"""What the unmodified client expects of a Hub, asked of the local one over a real socket."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from engine.hub.client import connect, status
from tests.mini import make_causal
from tests.twins.hub import Twin, hub_twin

REPO = "local/tiny"
CARD = "---\nlicense: mit\nlibrary_name: transformers\ntags: [one, two]\n---\n# Tiny\n"
OTHERS = {
    "hf_reader": {"name": "reader", "role": "read"},
    "hf_bob": {"name": "bob", "role": "write", "orgs": ["acme"]},
    "hf_ann": {"name": "ann", "role": "read", "gated": [REPO]},
}


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    data = tmp_path / "hub"
    data.mkdir()
    (data / "people.json").write_text(json.dumps(OTHERS))
    with hub_twin(data) as found:
        yield found


@pytest.fixture
def api(twin: Twin) -> HfApi:
    return connect(twin.token, twin.url, 10)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = make_causal(tmp_path / "model", ["a tiny model for tests"] * 4)
    (folder / "README.md").write_text(CARD)
    return folder


def status_of(call: object, *args: object, **more: object) -> int:
    with pytest.raises(HfHubHTTPError) as caught:
        call(*args, **more)  # type: ignore[operator]  # a method of the client
    return status(caught.value)


def test_the_token_says_who_it_is(api: HfApi) -> None:
    me = api.whoami()
    assert me["name"] == "local"
    assert me["auth"]["accessToken"]["role"] == "write"
    assert [org["name"] for org in me["orgs"]] == ["embedded"]


def test_a_wrong_token_is_told_so(twin: Twin) -> None:
    assert status_of(connect("hf_wrong", twin.url).whoami) == 401


def test_the_token_lies_in_a_file_for_its_owner_only(twin: Twin) -> None:
    assert (twin.data / "token").read_text() == twin.token
    assert (twin.data / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_private", [True, False])
def test_a_repo_is_made_as_private_as_asked(api: HfApi, is_private: bool) -> None:
    api.create_repo(REPO, private=is_private)
    assert api.model_info(REPO).private is is_private


def test_a_repo_that_exists_is_not_made_twice(api: HfApi) -> None:
    api.create_repo(REPO, private=True)
    assert status_of(api.create_repo, REPO) == 409
    assert api.create_repo(REPO, private=False, exist_ok=True).repo_id == REPO
    assert api.model_info(REPO).private is True


def test_only_owners_and_writers_may_make_repos(twin: Twin, api: HfApi) -> None:
    assert status_of(api.create_repo, "acme/x") == 403
    assert status_of(connect("hf_reader", twin.url).create_repo, "reader/x") == 403
    assert connect("hf_bob", twin.url).create_repo("acme/x").repo_id == "acme/x"


def test_a_stranger_reads_public_repos_only(twin: Twin, api: HfApi, model: Path) -> None:
    api.create_repo(REPO, private=True)
    api.upload_folder(repo_id=REPO, folder_path=model)
    stranger = connect(None, twin.url)
    with pytest.raises(RepositoryNotFoundError):
        stranger.model_info(REPO)
    with pytest.raises(RepositoryNotFoundError):
        connect("hf_bob", twin.url).model_info(REPO)
    api.update_repo_settings(REPO, private=False)
    assert stranger.model_info(REPO).id == REPO
    assert [found.id for found in stranger.list_models(author="local")] == [REPO]


def test_a_folder_is_uploaded_in_one_commit_and_read_back(api: HfApi, model: Path, tmp_path: Path) -> None:
    api.create_repo(REPO, private=True)
    made = api.upload_folder(repo_id=REPO, folder_path=model, commit_message="the model")
    info = api.model_info(REPO, files_metadata=True)
    assert info.sha == made.oid
    assert info.safetensors is not None and info.safetensors.total > 1000
    assert info.card_data is not None and info.card_data.license == "mit"
    assert {"one", "two", "license:mit", "safetensors"} <= set(info.tags or [])
    weights = next(file for file in info.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert weights.lfs.sha256 == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    folder = Path(api.snapshot_download(REPO, cache_dir=tmp_path / "cache"))
    assert {path.name for path in folder.iterdir()} == {path.name for path in model.iterdir()} | {".gitattributes"}
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert [commit.title for commit in api.list_repo_commits(REPO)] == ["the model", "initial commit"]


def test_the_same_upload_again_makes_no_commit(api: HfApi, model: Path) -> None:
    api.create_repo(REPO)
    first = api.upload_folder(repo_id=REPO, folder_path=model)
    assert api.upload_folder(repo_id=REPO, folder_path=model).oid == first.oid
    assert len(api.list_repo_commits(REPO)) == 2


def test_a_stale_parent_is_refused(api: HfApi) -> None:
    api.create_repo(REPO)
    old = api.model_info(REPO).sha
    api.create_commit(REPO, [CommitOperationAdd("a.txt", b"a")], commit_message="a", parent_commit=old)
    late = [CommitOperationAdd("b.txt", b"b")]
    assert status_of(api.create_commit, REPO, late, commit_message="b", parent_commit=old) == 412
    assert "b.txt" not in api.list_repo_files(REPO)


def test_files_can_be_changed_and_deleted(api: HfApi) -> None:
    api.create_repo(REPO)
    api.create_commit(
        REPO, [CommitOperationAdd("x/a.txt", b"1"), CommitOperationAdd("b.txt", b"2")], commit_message="1"
    )
    api.create_commit(REPO, [CommitOperationDelete("x/", is_folder=True)], commit_message="2")
    assert api.list_repo_files(REPO) == [".gitattributes", "b.txt"]


def test_a_path_cannot_lead_out_of_a_repo(api: HfApi, twin: Twin) -> None:
    api.create_repo(REPO)
    bad = CommitOperationAdd("ok.txt", b"x")
    bad.path_in_repo = "../../token"
    assert status_of(api.create_commit, REPO, [bad], commit_message="x") == 400
    assert (twin.data / "token").read_text() == twin.token


def test_a_token_in_a_file_is_refused(api: HfApi, twin: Twin) -> None:
    api.create_repo(REPO)
    leak = CommitOperationAdd("notes.txt", f"my token is {twin.token}".encode())
    with pytest.raises(BadRequestError, match="secrets"):
        api.create_commit(REPO, [leak], commit_message="x")


def test_branches_and_tags_name_commits(api: HfApi) -> None:
    api.create_repo(REPO)
    made = api.create_commit(REPO, [CommitOperationAdd("a.txt", b"a")], commit_message="a")
    api.create_tag(REPO, tag="v1", revision=made.oid)
    api.create_branch(REPO, branch="next", revision="v1")
    api.create_commit(REPO, [CommitOperationAdd("b.txt", b"b")], commit_message="b", revision="next")
    refs = api.list_repo_refs(REPO)
    assert {tag.name: tag.target_commit for tag in refs.tags} == {"v1": made.oid}
    assert {branch.name for branch in refs.branches} == {"main", "next"}
    assert api.file_exists(REPO, "b.txt", revision="next")
    assert not api.file_exists(REPO, "b.txt")
    assert status_of(api.create_tag, REPO, tag="v1") == 409
    api.delete_tag(REPO, tag="v1")
    api.delete_branch(REPO, branch="next")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="v1")


def test_a_commit_can_be_a_pull_request(api: HfApi) -> None:
    api.create_repo(REPO)
    made = api.create_commit(REPO, [CommitOperationAdd("a.txt", b"a")], commit_message="a", create_pr=True)
    assert made.pr_revision == "refs/pr/1"
    assert api.file_exists(REPO, "a.txt", revision="refs/pr/1")
    assert not api.file_exists(REPO, "a.txt")


def test_a_pull_request_is_opened_filled_and_merged(api: HfApi, tmp_path: Path) -> None:
    api.create_repo(REPO)
    pull = api.create_pull_request(REPO, title="A better card", description="It says more.")
    assert (pull.num, pull.title, pull.status, pull.git_reference) == (1, "A better card", "open", "refs/pr/1")
    api.upload_file(path_or_fileobj=b"a", path_in_repo="a.txt", repo_id=REPO, revision="refs/pr/1")
    assert not api.file_exists(REPO, "a.txt")
    api.merge_pull_request(REPO, 1)
    assert api.file_exists(REPO, "a.txt")
    assert api.get_discussion_details(REPO, 1).status == "merged"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt").write_text("b")
    made = api.upload_folder(repo_id=REPO, folder_path=tmp_path / "more", create_pr=True)
    assert made.pr_url and made.pr_url.endswith("/discussions/2")
    api.upload_file(path_or_fileobj=b"c", path_in_repo="c.txt", repo_id=REPO)
    with pytest.raises(HfHubHTTPError) as refused:
        api.merge_pull_request(REPO, 2)
    assert status(refused.value) == 409 and not api.file_exists(REPO, "b.txt")


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("license: [", "YAML"),
        ("license: mine", "license"),
        ("base_model: /tmp/model", "base_model"),
        ("tags: 3", "tags"),
        ("model-index: [{}]", "model-index"),
    ],
)
def test_a_bad_card_is_refused_before_anything_is_uploaded(api: HfApi, twin: Twin, front: str, words: str) -> None:
    api.create_repo(REPO)
    card = CommitOperationAdd("README.md", f"---\n{front}\n---\n".encode())
    with pytest.raises(ValueError, match=words):
        api.create_commit(REPO, [card], commit_message="card")
    assert twin.count("preupload") == 0


def test_absent_things_are_told_apart(api: HfApi, tmp_path: Path) -> None:
    api.create_repo(REPO)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(REPO, "absent.txt", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(REPO, "a.txt", revision="nowhere", cache_dir=tmp_path)
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download("local/absent", "a.txt", cache_dir=tmp_path)


def test_a_gated_repo_is_seen_by_all_and_read_by_some(api: HfApi, twin: Twin, tmp_path: Path) -> None:
    api.create_repo(REPO)
    api.create_commit(REPO, [CommitOperationAdd("a.txt", b"a")], commit_message="a")
    api.update_repo_settings(REPO, gated="auto")
    bob, ann = connect("hf_bob", twin.url), connect("hf_ann", twin.url)
    assert bob.model_info(REPO).gated == "auto"
    with pytest.raises(GatedRepoError):
        bob.hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / "bob")
    with pytest.raises(GatedRepoError):
        connect(None, twin.url).hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / "none")
    assert Path(ann.hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / "ann")).read_text() == "a"


def test_datasets_are_kept_beside_models(api: HfApi, tmp_path: Path) -> None:
    api.create_repo(REPO, repo_type="dataset", private=True)
    row = CommitOperationAdd("train.jsonl", b'{"text": "a"}\n')
    api.create_commit(REPO, [row], commit_message="rows", repo_type="dataset")
    folder = api.snapshot_download(REPO, repo_type="dataset", cache_dir=tmp_path)
    assert (Path(folder) / "train.jsonl").read_text() == '{"text": "a"}\n'
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)


def test_everything_is_there_after_a_restart(tmp_path: Path, model: Path) -> None:
    with hub_twin(tmp_path / "hub") as first:
        api = connect(first.token, first.url)
        api.create_repo(REPO, private=True)
        sha = api.upload_folder(repo_id=REPO, folder_path=model).oid
    with hub_twin(tmp_path / "hub") as second:
        again = connect(second.token, second.url)
        assert again.model_info(REPO).sha == sha
        folder = Path(again.snapshot_download(REPO, cache_dir=tmp_path / "cache"))
        assert (folder / "config.json").read_bytes() == (model / "config.json").read_bytes()


XET = """
from huggingface_hub import HfApi
from huggingface_hub.utils._runtime import is_xet_available
assert is_xet_available()
api = HfApi()
api.create_repo("local/tiny", private=True)
api.upload_folder(repo_id="local/tiny", folder_path="model", commit_message="by xet")
print(api.snapshot_download("local/tiny"))
"""


def test_a_client_that_speaks_xet_is_understood(twin: Twin, api: HfApi, model: Path, tmp_path: Path) -> None:
    (model / "model-2.safetensors").write_bytes(os.urandom(3_000_000))
    environment = {"PATH": os.environ["PATH"], **twin.environment(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", XET],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert twin.count("GET .*/xet-write-token/main") >= 1 and twin.count("lfs/objects/batch") == 0
    folder = Path(done.stdout.strip())
    for path in model.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    told = {file.rfilename: file.lfs for file in api.model_info(REPO, files_metadata=True).siblings or []}
    lfs = told["model-2.safetensors"]
    assert lfs is not None and lfs.sha256 == hashlib.sha256((model / "model-2.safetensors").read_bytes()).hexdigest()


def test_a_repo_can_be_deleted(api: HfApi) -> None:
    api.create_repo(REPO)
    api.delete_repo(REPO)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)


def test_what_no_repo_has_any_more_is_swept_after_a_day(api: HfApi, twin: Twin) -> None:
    for repo, content in ((REPO, b"only here"), ("local/other", b"there too")):
        api.create_repo(repo)
        api.create_commit(repo, [CommitOperationAdd("a.txt", content)], commit_message="a")
    api.create_commit(REPO, [CommitOperationAdd("b.txt", b"there too")], commit_message="b")
    for blob in twin.data.glob("blobs/*/*"):
        os.utime(blob, (0, 0))
    api.delete_repo(REPO)
    left = {blob.read_bytes() for blob in twin.data.glob("blobs/*/*")}
    assert b"there too" in left and b"only here" not in left


def test_two_hubs_over_one_folder_lose_no_change(twin: Twin, api: HfApi) -> None:
    api.create_repo(REPO)
    with hub_twin(twin.data) as other:
        for number in range(4):
            one = twin if number % 2 else other
            connect(twin.token, one.url).create_tag(REPO, tag=f"v{number}")
    assert {tag.name for tag in api.list_repo_refs(REPO).tags} == {"v0", "v1", "v2", "v3"}
