"""`make security` does what it says, and without a feed it says that nothing was audited, and does not pass."""

import re
import tomllib
from pathlib import Path

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
