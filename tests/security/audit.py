"""`make security`: ruff's rules, S among them, a scan for secrets, the lock, and known holes of what is installed.

Exit code 0 only when all four were done and found nothing; 3 where the advisory feed did not answer: NOT AUDITED.
AUDIT_FEED names another feed than PyPI's, an address that speaks OSV's protocol, as https://api.osv.dev/v1/query does.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
AUDIT_S = 300
NOT_AUDITED = 3
NO_FEED = re.compile(
    r"ConnectionError|Max retries|ServiceError|Name or service|timed out|Connection refused|ProxyError"
    r"|not found on PyPI and could not"
)
SECRETS = {
    "a Slack token": re.compile(r"xox[abp]-\d{9,}-[\w-]{20,}|xapp-1-A[A-Z0-9]{8,}-\d{9,}-[0-9a-f]{32,}"),
    "a Hub token": re.compile(r"\bhf_[A-Za-z0-9]{34}\b"),
    "a Discord token": re.compile(r"\b[MN][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{200,}"),
    "a key of AWS": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
}
HARMLESS = re.compile(r"(.)\1{7}|EXAMPLE|abcdefgh|12345678|canary", re.IGNORECASE)
"""Made-up secrets of tests look made up."""


def secrets_in(text: str) -> Iterator[str]:
    """What kinds of real-looking secrets stand in a text; never the secret itself."""
    for kind, pattern in SECRETS.items():
        if any(not HARMLESS.search(found[0]) for found in pattern.finditer(text)):
            yield kind


def scanned(root: Path) -> list[str]:
    """A sentence for each secret in a file that git knows."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout  # noqa: S607
    found = []
    for name in names.decode().split("\0"):
        path = root / name
        if name and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            found += [f"{name} holds {kind}" for kind in secrets_in(text)]
    return found


def locked(text: str) -> dict[str, tuple[str, int]]:
    """Name → version and number of hashes, as requirements.lock says."""
    found = {}
    for block in re.split(r"(?m)^(?=[\w])", text):
        if head := re.match(r"([\w.-]+)==([\w.+]+)", block):
            found[str(canonicalize_name(head[1]))] = (head[2], block.count("--hash=sha256:"))
    return found


def constrained(text: str) -> dict[str, str]:
    pairs = (line.split("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))
    return {str(canonicalize_name(name)): version.split(";")[0].strip() for name, version in pairs}


def needed(pyproject: Mapping[str, object]) -> set[str]:
    """The names of everything that the bot and training depend on directly, torch apart."""
    project: Mapping[str, object] = pyproject["project"]  # type: ignore[assignment]  # the file's own shape
    direct: Sequence[str] = project["dependencies"]  # type: ignore[assignment]
    extras: Mapping[str, Sequence[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    names = {str(canonicalize_name(Requirement(line).name)) for line in (*direct, *extras["train"])}
    return names - {"torch"}


def lock_faults(lock: Mapping[str, tuple[str, int]], chosen: Mapping[str, str], wanted: set[str]) -> list[str]:
    """What the lock lacks, and where it says other than constraints.txt."""
    faults = [f"{name} is not locked" for name in sorted(wanted - set(lock))]
    faults += [f"{name} is locked without a hash" for name, (_, hashes) in lock.items() if not hashes]
    return faults + [
        f"{name} is {version} in requirements.lock and {chosen[name]} in constraints.txt"
        for name, (version, _) in lock.items()
        if name in chosen and chosen[name] != version
    ]


def verdict(code: int, said: str) -> tuple[int, str]:
    """Of pip-audit's exit code and words: our own exit code, and a line."""
    if code == 0:
        return 0, "pip-audit: no known holes"
    if NO_FEED.search(said):
        return NOT_AUDITED, "NOT AUDITED: the advisory feed did not answer, so known holes were not looked for"
    return 1, said.strip()


def audited(lock: Path, feed: str = "") -> tuple[int, str]:
    command = [str(BIN / "pip-audit"), "--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    command += ["-r", str(lock), *(["-s", "osv", "--osv-url", feed] if feed else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=AUDIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return verdict(1, f"timed out or missing: {type(error).__name__} ConnectionError")
    return verdict(done.returncode, done.stdout + done.stderr)


def style() -> tuple[int, str]:
    done = subprocess.run(
        [str(BIN / "ruff"), "check", "bot", "engine", "adapters"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.returncode, "ruff S: nothing" if not done.returncode else done.stdout


def main() -> int:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = locked((ROOT / "requirements.lock").read_text())
    faults = lock_faults(lock, constrained((ROOT / "constraints.txt").read_text()), needed(pyproject))
    secrets = scanned(ROOT)
    results = [
        style(),
        (1, "\n".join(secrets)) if secrets else (0, "secret scan: nothing"),
        (1, "\n".join(faults)) if faults else (0, f"lock: {len(lock)} packages, each with its hashes"),
        audited(ROOT / "requirements.lock", os.environ.get("AUDIT_FEED", "")),
    ]
    for _, line in results:
        sys.stdout.write(f"{line}\n")
    return overall([code for code, _ in results])


def overall(codes: Sequence[int]) -> int:
    """What failed outweighs what was not done; a code of a program that is neither counts as failed."""
    if any(code not in (0, NOT_AUDITED) for code in codes):
        return 1
    return NOT_AUDITED if NOT_AUDITED in codes else 0


def startup_files() -> set[str]:
    """The .pth files of this environment, each of which runs at every start of Python."""
    return {path.name for path in Path(str(metadata.distribution("pip").locate_file(""))).glob("*.pth")}


if __name__ == "__main__":
    raise SystemExit(main())
