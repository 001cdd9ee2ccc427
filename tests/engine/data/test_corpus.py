"""Files that were broken on purpose, from a folder that the environment variable CORPUS names.

Its `manifest.tsv` says of each what has to become of it: reject, accept (with these rows), or either.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.types import Report
from tests.engine.data.tables import read_jsonl

CORPUS = Path(os.environ.get("CORPUS", ""))
IS_THERE = bool(os.environ.get("CORPUS")) and (CORPUS / "manifest.tsv").exists()
NOWHERE = {"unreadable", "not_text", "bad_archive", "empty_file", "too_large"}
"""Faults of a file as a whole, which stand in no line."""
SAMPLE = 40
MEMORY_MB = 512

Case = dict[str, str]
pytestmark = pytest.mark.skipif(not IS_THERE, reason="CORPUS names no folder with a manifest.tsv")


def uploads() -> list[Case]:
    if not IS_THERE:
        return [{"path": "none", "expected": "either", "truth": ""}]
    with (CORPUS / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row for row in rows if row["layer"] == "upload"]


def by_path(case: Case) -> str:
    return case["path"]


def judge(case: Case, report: Report, rows: list[dict[str, object]]) -> None:
    is_accepted = any(fit.usable for fit in report.methods.values())
    errors = [issue for issue in report.issues if issue.severity == "error"]
    assert all(len(issue.message) <= 300 and issue.message.isprintable() for issue in report.issues)
    if case["expected"] == "reject":
        assert not is_accepted and errors
        assert any(issue.line is not None for issue in errors) or errors[0].code in NOWHERE
    if case["expected"] == "accept":
        assert is_accepted and not errors
    if case["truth"] and is_accepted:
        assert rows == json.loads((CORPUS / case["truth"]).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("case", uploads(), ids=by_path)
def test_an_upload_becomes_what_it_has_to(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    report = check(CORPUS / case["path"], rows=out, arrow=tmp_path / "rows.arrow")
    judge(case, report, read_jsonl(out) if out.exists() else [])


@pytest.mark.parametrize("case", uploads()[:: max(1, len(uploads()) // SAMPLE)][:SAMPLE], ids=by_path)
def test_the_command_ends_in_words(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "engine", "check", str(CORPUS / case["path"]), "--json", "--rows", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    is_accepted = any(fit["usable"] for fit in answer["methods"].values())
    assert (done.returncode == 0) == is_accepted and done.returncode in (0, 1, 2)
    if case["expected"] != "either":
        assert is_accepted == (case["expected"] == "accept")
    if case["truth"] and is_accepted:
        assert read_jsonl(out) == json.loads((CORPUS / case["truth"]).read_text(encoding="utf-8"))


def test_the_whole_corpus_takes_little_memory(tmp_path: Path) -> None:
    """The hungriest cases one after the other in one process."""
    paths = [str(CORPUS / case["path"]) for case in sorted(uploads(), key=lambda case: -int(case["bytes"]))[:20]]
    script = (
        "import re, sys\nfrom pathlib import Path\nfrom engine.data.checks import check\n"
        "for path in sys.argv[1:]: check(Path(path))\n"
        # Not getrusage: its maximum is handed down from whoever started this process.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MEMORY_MB
