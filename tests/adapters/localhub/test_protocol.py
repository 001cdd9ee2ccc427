"""What the local Hub owes to askers that are no client of it: browsers, half uploads, other machines' names."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from adapters.localhub.pages import render
from engine.hub.client import connect
from tests.twins.hub import Twin, hub_twin

REPO = "local/tiny"
README = """---
license: mit
base_model: org/base
---
# Tiny <script>alert(1)</script>

![Loss](loss.png) ![far](https://example.com/x.png) [bad](javascript:alert(1))

```python
print("loaded")
```
"""
PNG = b"\x89PNG\r\n\x1a\n\0rest"


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    with hub_twin(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def api(twin: Twin) -> HfApi:
    api = connect(twin.token, twin.url, 10)
    api.create_repo(REPO, private=True)
    files = {"README.md": README.encode(), "loss.png": PNG, "a.html": b"<script>1</script>", "b.bin": b"0123456789"}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    api.create_commit(REPO, operations, commit_message="files")
    return api


@pytest.fixture
def browser(twin: Twin) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=twin.url, follow_redirects=True, timeout=10) as client:
        yield client


def key_of(twin: Twin) -> str:
    from adapters.localhub.tokens import Tokens

    return Tokens(twin.data).page_key


def test_pages_show_private_repos_only_with_the_key(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    assert "1 private" not in browser.get("/").text and "is a private repo" in browser.get("/").text
    assert browser.get(f"/{REPO}").status_code == 404
    assert browser.get("/-/enter", params={"key": "wrong"}).status_code == 403
    listed = browser.get("/-/enter", params={"key": key_of(twin)}).text
    assert REPO in listed and "from org/base" in listed
    assert browser.get(f"/{REPO}").status_code == 200
    assert twin.token not in listed


def test_the_link_goes_on_to_a_page_of_this_hub_and_nowhere_else(
    api: HfApi, twin: Twin, browser: httpx2.Client
) -> None:
    def leads(to: str) -> str:
        asked = {"key": key_of(twin), "to": to}
        return browser.get("/-/enter", params=asked, follow_redirects=False).headers["Location"]

    assert leads(f"/{REPO}") == f"/{REPO}"
    for elsewhere in ("//evil.example", "https://evil.example/x", "/a/../../b", "/\\evil.example", "/-/enter"):
        assert leads(elsewhere) == "/"


def test_models_that_were_trained_here_stand_before_those_that_came_along(
    api: HfApi, twin: Twin, browser: httpx2.Client
) -> None:
    api.create_repo("embedded/base", private=False)
    listed = browser.get("/-/enter", params={"key": key_of(twin)}).text
    places = [listed.index(text) for text in ("Trained here", REPO, "Base models that come along", "embedded/base")]
    assert places == sorted(places)


def test_a_repo_page_tells_its_history_with_its_tags(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    api.create_tag(REPO, tag="run-1")
    browser.get("/-/enter", params={"key": key_of(twin)})
    told = browser.get(f"/{REPO}").text.partition("History</h2>")[2]
    assert re.search(r">files</a><span class=\"badge\">run-1</span>", told)
    assert "initial commit" in told


def test_a_repo_page_shows_card_files_and_snippet_and_runs_nothing(
    api: HfApi, twin: Twin, browser: httpx2.Client
) -> None:
    browser.get("/-/enter", params={"key": key_of(twin)})
    page = browser.get(f"/{REPO}")
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
    assert "javascript:" not in re.sub(r"<p>.*?</p>", "", page.text)
    assert re.search(r'<img src="/local/tiny/resolve/[0-9a-f]{40}/loss.png" alt="Loss"', page.text)
    assert hashlib.sha256(PNG).hexdigest() in page.text
    assert f"HF_ENDPOINT={twin.url}" in page.text and "print(&quot;loaded&quot;)" in page.text
    assert "private" in page.text
    assert "default-src &#x27;none&#x27;" in page.headers["Content-Security-Policy"].replace("'", "&#x27;")


def test_the_cookie_of_the_pages_cannot_change_anything(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    browser.get("/-/enter", params={"key": key_of(twin)})
    made = browser.post("/api/repos/create", json={"name": "x", "organization": "local"})
    assert made.status_code == 401
    gone = browser.request("DELETE", "/api/repos/delete", json={"name": "tiny", "organization": "local"})
    assert gone.status_code == 401
    assert api.model_info(REPO).id == REPO


def test_a_file_of_a_repo_is_never_a_page(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    browser.get("/-/enter", params={"key": key_of(twin)})
    answer = browser.get(f"/{REPO}/resolve/main/a.html")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert browser.get(f"/{REPO}/resolve/main/loss.png").headers["Content-Type"] == "image/png"


def test_a_file_answers_with_its_hash_its_commit_and_ranges(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    headers = {"Authorization": f"Bearer {twin.token}"}
    head = browser.head(f"/{REPO}/resolve/main/b.bin", headers=headers)
    assert head.headers["ETag"] == f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    assert head.headers["X-Repo-Commit"] == api.model_info(REPO).sha
    assert head.headers["Content-Length"] == "10"
    part = browser.get(f"/{REPO}/resolve/main/b.bin", headers={**headers, "Range": "bytes=3-5"})
    assert (part.status_code, part.content) == (206, b"345")
    absent = browser.get(f"/{REPO}/resolve/main/none", headers=headers)
    assert (absent.status_code, absent.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert absent.headers["X-Repo-Commit"] == head.headers["X-Repo-Commit"]


def test_an_upload_that_is_not_what_was_announced_is_thrown_away(
    api: HfApi, twin: Twin, browser: httpx2.Client
) -> None:
    headers = {"Authorization": f"Bearer {twin.token}"}
    oid = hashlib.sha256(b"right").hexdigest()
    asked = {"operation": "upload", "objects": [{"oid": oid, "size": 5}]}
    answer = browser.post(f"/{REPO}.git/info/lfs/objects/batch", headers=headers, json=asked).json()
    href = answer["objects"][0]["actions"]["upload"]["href"]
    assert browser.put(href, content=b"wrong").status_code == 400
    assert browser.put(href, content=b"right and more").status_code == 400
    assert browser.put(href.replace("mark=", "mark=0"), content=b"right").status_code == 403
    assert browser.put(href, content=b"right").status_code == 200
    verify = answer["objects"][0]["actions"]["verify"]["href"]
    assert browser.post(verify, headers=headers, json={"oid": oid, "size": 5}).status_code == 200
    assert not list((twin.data / "incoming").iterdir())


def test_a_page_elsewhere_cannot_reach_it_by_its_own_name(twin: Twin, browser: httpx2.Client) -> None:
    assert browser.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert browser.get("/", headers={"Host": "localhost"}).status_code == 200


def test_nonsense_is_answered_with_400(api: HfApi, twin: Twin, browser: httpx2.Client) -> None:
    headers = {"Authorization": f"Bearer {twin.token}"}
    for content in (b"no json", b"[]", b'{"key":"file","value":{}}'):
        answer = browser.post(f"/api/models/{REPO}/commit/main", headers=headers, content=content)
        assert answer.status_code == 400, answer.text
    assert browser.post("/api/repos/create", headers=headers, json={"name": "../x"}).status_code == 400


def test_a_card_keeps_its_tables_and_loses_its_html() -> None:
    text = render("| a | b |\n|---|---|\n| 1 | 2 |\n\n<img src=x onerror=alert(1)>", "/x/")
    assert "<td>1</td>" in text
    assert "<img" not in text
