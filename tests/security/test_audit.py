"""`make security` does what it says, and without a feed it says that nothing was audited, and does not pass."""

import http.server
import json
import re
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.security import audit

ROOT = Path(__file__).parents[2]


def test_without_an_advisory_feed_it_is_not_audited_and_not_passed() -> None:
    for says in (
        "requests.exceptions.ConnectionError: Max retries exceeded",
        "ERROR: Dependency not found on PyPI and could not be audited: accelerate (1.15.0)",
    ):
        code, said = audit.verdict(1, says)
        assert code == audit.NOT_AUDITED and said.startswith("NOT AUDITED")


def test_a_known_hole_fails_and_is_told() -> None:
    code, said = audit.verdict(1, "jinja2 3.1.2 CVE-2025-27516 3.1.6")
    assert code == 1 and "CVE-2025-27516" in said
    assert audit.verdict(0, "No known vulnerabilities found")[0] == 0


HOLE = {
    "id": "PYSEC-2025-9",
    "modified": "2025-03-06T00:00:00Z",
    "aliases": ["CVE-2025-27516"],
    "details": "The sandbox can be left.",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


class Feed(http.server.BaseHTTPRequestHandler):
    """An advisory feed on loopback that speaks OSV's protocol; it has `holes` by package, or answers only `status`."""

    holes: ClassVar[dict[str, object]] = {}
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hole = self.holes.get(asked["package"]["name"])
        body = json.dumps({"vulns": [hole]} if hole else {}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def feed() -> Iterator[tuple[type[Feed], str]]:
    class Answers(Feed):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Answers, f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Two packages of the lock, as they stand there."""
    blocks = re.split(r"(?m)^(?=[\w])", (ROOT / "requirements.lock").read_text())
    chosen = tmp_path / "requirements.lock"
    chosen.write_text("".join(block for block in blocks if block.startswith(("jinja2==", "idna=="))))
    assert len(audit.locked(chosen.read_text())) == 2
    return chosen


def test_with_a_feed_what_has_no_hole_passes_and_what_has_one_fails_by_name(
    feed: tuple[type[Feed], str], lock: Path
) -> None:
    answers, address = feed
    assert audit.audited(lock, address) == (0, "pip-audit: no known holes")
    answers.holes = {"jinja2": HOLE}
    code, said = audit.audited(lock, address)
    assert code == 1 and "jinja2" in said and "PYSEC-2025-9" in said and "idna" not in said


@pytest.mark.parametrize("trouble", ["away", "out of order"])
def test_a_feed_that_is_away_or_out_of_order_is_not_an_audit(
    feed: tuple[type[Feed], str], lock: Path, trouble: str
) -> None:
    answers, address = feed
    answers.status = 503
    code, said = audit.audited(lock, address if trouble == "out of order" else "http://127.0.0.1:9/v1/query")
    assert (code, said.split(":")[0]) == (audit.NOT_AUDITED, "NOT AUDITED")


def test_what_was_not_audited_does_not_pass_and_hides_nothing_that_failed() -> None:
    assert audit.overall([0, 0, 0, 0]) == 0
    assert audit.overall([0, 0, 0, audit.NOT_AUDITED]) == audit.NOT_AUDITED
    assert audit.overall([0, 1, 0, audit.NOT_AUDITED]) == audit.overall([2, 0, 0, 0]) == 1


def test_no_file_of_the_project_holds_a_secret() -> None:
    assert audit.scanned(ROOT) == []


def test_the_scan_finds_real_looking_secrets_and_never_repeats_them() -> None:
    token = "hf_" + "aQ9zLmP3xR7tKwB2vN8yJ4sH6dF1gC5eTu"
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpQIBAAKCAQEAvX9\n" * 20
    found = list(audit.secrets_in(f"token = {token}\n{key}"))
    assert found == ["a Hub token", "a private key"]
    assert list(audit.secrets_in("hf_" + "x" * 34)) == []


def test_the_lock_has_everything_with_hashes_at_the_versions_that_were_tested() -> None:
    lock = audit.locked((ROOT / "requirements.lock").read_text())
    chosen = audit.constrained((ROOT / "constraints.txt").read_text())
    wanted = audit.needed(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    assert audit.lock_faults(lock, chosen, wanted) == []


def test_a_lock_that_lacks_a_package_a_hash_or_a_version_is_refused() -> None:
    lock = audit.locked("a==1.0 \\\n    --hash=sha256:00\nb==2.0\n")
    faults = audit.lock_faults(lock, {"a": "1.1"}, {"a", "b", "c"})
    assert faults == [
        "c is not locked",
        "b is locked without a hash",
        "a is 1.0 in requirements.lock and 1.1 in constraints.txt",
    ]


def test_packages_that_would_load_code_by_themselves_are_never_installed() -> None:
    """`kernels` lets a base model's config load code; deepspeed, mlflow and pickle databases are not wanted either."""
    lock = audit.locked((ROOT / "requirements.lock").read_text())
    assert not {"kernels", "mlflow", "vllm", "apscheduler-pickle"} & set(lock)
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://", text), "every package comes from the index that pip is told"
