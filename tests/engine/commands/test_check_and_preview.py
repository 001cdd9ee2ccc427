"""`python -m engine check` and `preview` as people and the bot call them: exit codes, JSON, and no traceback."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.data.types import NEEDS
from tests.engine.data.tables import DPO, SFT, read_jsonl, write_csv, write_jsonl
from tests.mini import make_causal

REPORT = {
    "file", "sha256", "bytes", "format", "encoding", "delimiter", "rows", "columns", "type", "methods", "issues",
    "counts", "stats",
}  # fmt: skip
HEAVY = {"torch", "transformers", "datasets", "pandas", "trl", "peft"}


def engine(*words: object, **options: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload]
    assert "Traceback" not in done.stderr, done.stderr
    return done  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        (b"text\na\n", (), 0),
        (b"text\na\n", ("--method", "dpo"), 1),
        (b"text\na\n", ("--method", "llm-sft"), 0),
        (b"prompt,text\na,\n", (), 1),
        (b"question,answer,x\na,b,c\n", ("prompt=question", "text=answer"), 0),
        (b"\x89PNG\r\n", (), 2),
        (b"", (), 1),
    ],
)
def test_the_exit_code_says_whether_the_file_can_be_used(
    content: bytes, words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    done = engine("check", path, *words, "--json", "--name", "mine.csv")
    assert done.returncode == code
    answer = json.loads(done.stdout)
    assert set(answer) == REPORT and set(answer["methods"]) == set(NEEDS) and answer["file"] == "mine.csv"


@pytest.mark.parametrize("words", [("--method", "dop"), ("answer",), ("--colour", "red")])
def test_wrong_usage_is_said_to_be_wrong(words: tuple[str, ...], tmp_path: Path) -> None:
    done = engine("check", write_csv(tmp_path / "a.csv", DPO), *words)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        done = engine("check", path, "--json")
        assert done.returncode == 2
        assert [issue["code"] for issue in json.loads(done.stdout)["issues"]] == ["unreadable"]


def test_people_read_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,txt\na,b\n")
    done = engine("check", path)
    assert "Line 1: There is no column `text`; did you mean `txt`? Rename it." in done.stdout
    assert "Not usable as it stands." in done.stdout


def test_the_mended_file_is_written_with_a_line_per_change(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("prompt,txt\na,b\na,b\n")
    done = engine("check", path, "--fix", out, "--fixes", "rename_columns", "--json")
    assert "Line 1: the column `txt` is `text` now." in done.stderr
    assert out.read_text() == "prompt,text\na,b\na,b\n"
    assert json.loads(engine("check", path, "--fix", out, "--fixes", "magic", "--json").stdout)["refusal"]
    engine("check", path, "--fix", out)
    assert out.read_text() == "prompt,text\na,b\n"


def test_accepted_rows_are_written_exactly(tmp_path: Path) -> None:
    engine("check", write_csv(tmp_path / "a.csv", DPO), "--rows", tmp_path / "rows.jsonl")
    assert read_jsonl(tmp_path / "rows.jsonl") == list(DPO)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("model") / "mini", [row["text"] for row in SFT])


def test_a_preview_takes_a_file_or_what_a_check_left(model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = write_csv(home / "file", DPO)
    done = engine("check", path, "--name", "mine.csv", "--arrow", home / "rows.arrow", "--json")
    (home / "report.json").write_text(done.stdout)
    words = ("--method", "dpo", "--model", model, "epochs=2", "--json")
    of_folder = json.loads(engine("preview", home, *words).stdout)
    assert of_folder == json.loads(engine("preview", path, *words).stdout)
    assert of_folder["rows_used"] == len(DPO) and of_folder["parameters"]["epochs"]["value"] == 2
    with_valid = json.loads(engine("preview", home, *words, "--valid", path).stdout)
    assert with_valid["rows_held_out"] == len(DPO)
    assert "7 of 7 rows" in with_valid["warnings"][0] and "`file`" in with_valid["warnings"][0]
    other = write_jsonl(tmp_path / "b.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    refused = json.loads(engine("preview", home, *words, "--valid", other).stdout)
    assert refused["refusal"]["field"] == "valid"


def test_a_hostile_name_is_only_a_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", DPO)
    done = engine("check", path, "--name", "\x1b[31m@everyone\u202e" + "n" * 500)
    assert done.returncode == 0 and "\x1b" not in done.stdout and "\\u001b[31m@everyone" in done.stdout
    odd = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.rename(odd)
    assert json.loads(engine("check", odd, "--json").stdout)["file"] == "caf?.csv"


def test_a_check_with_a_model_counts_its_tokens(model: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [*DPO, {"prompt": "why", "text": "so " * 900, "rejected_text": "no " * 900}])
    answer = json.loads(engine("check", path, "--model", model, "--json").stdout)
    assert set(answer["stats"]["tokens"]) == {"sft", "clm", "reward", "dpo", "orpo"}
    assert answer["methods"]["dpo"]["rows_truncated"] == 1 and answer["stats"]["tokens"]["dpo"]["max"] > 1_000
    assert sum(answer["stats"]["histogram"]["dpo"].values()) == len(DPO) + 1
    for_dpo = json.loads(engine("check", path, "--model", model, "--method", "dpo", "--json").stdout)
    (long,) = (issue for issue in for_dpo["issues"] if issue["code"] == "over_long")
    assert (long["row"], long["line"]) == (len(DPO) + 1, len(DPO) + 2)
    assert long["message"].startswith(f"Line {len(DPO) + 2}: Row {len(DPO) + 1} has")
    assert for_dpo["counts"]["over_long"] == 1
    said = engine("check", path, "--fix", tmp_path / "out.csv", "--fixes", "cut_over_long")
    assert said.returncode == 1 and "add --model and --method" in said.stderr
    refused = engine("check", path, "--model", tmp_path / "nothing", "--json")
    assert refused.returncode == 1 and json.loads(refused.stdout)["refusal"]["field"] == "model"


def test_a_row_that_is_too_long_is_cut_where_a_sentence_ends(model: Path, tmp_path: Path) -> None:
    long = {"prompt": "why", "text": "It is so. " * 600, "rejected_text": "No, it is not so! " * 600}
    path, out = write_csv(tmp_path / "a.csv", [*DPO, long]), tmp_path / "out.csv"
    words = ("--model", model, "--method", "dpo")
    done = engine("check", path, *words, "--fix", out, "--fixes", "cut_over_long")
    assert done.returncode == 0 and f"Line {len(DPO) + 2}: `text` was cut after" in done.stderr
    before, after = (list(csv.DictReader(file.read_text().splitlines())) for file in (path, out))
    assert after[:-1] == before[:-1], "no other row changes"
    for column, end in (("text", "It is so."), ("rejected_text", "No, it is not so!")):
        assert before[-1][column].startswith(after[-1][column]) and after[-1][column].endswith(end)
    again = json.loads(engine("check", out, *words, "--json").stdout)
    assert "over_long" not in again["counts"]
    shown = json.loads(engine("preview", path, *words, "--json").stdout)
    length = shown["parameters"]["max_length"]["value"]
    assert shown["warnings"] == [f"Line {len(DPO) + 2} is cut at max_length={length}."]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--method", "reward"), "columns"),
        (("--method", "dop"), "method"),
        (("--method", "sft", "epochs=many"), "epochs"),
        (("--method", "sft", "text=nothing"), "columns"),
        (("--method", "mlm"), "model"),
    ],
)
def test_what_stands_against_a_run_is_a_refusal(
    words: tuple[str, ...], field: str, model: Path, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "a.csv", SFT)
    done = engine("preview", path, *words, "--model", model, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["refusal"]["field"] == field


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("limits.DATA_MB = 25", "more memory"),
        ("limits.SECONDS = 1", "takes too long"),
        ("limits.FILE_MB, limits.FILE_RATIO = 1, 0", "grows too large"),
    ],
)
def test_a_check_that_hits_its_limits_ends_in_words(limits: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = json.dumps({"text": "a" * 8_000_000 if "DATA" in limits else "short"}) + "\n"
    path.write_text(row * {"D": 2, "S": 1_000_000, "F": 100_000}[limits.removeprefix("limits.")[0]])
    script = (
        "import sys\nfrom pathlib import Path\nfrom engine.commands import limits\n"
        "from engine.commands.check import *\n"
        f"{limits}\nlimits.SECONDS_A_MB = 0\npath = Path(sys.argv[1])\n"
        "rows = path.with_suffix('.rows')\n"
        "raise SystemExit(check_and_print(Wish(path, 'mine', None, None, (), None, (), rows, None, True)))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert words in json.loads(done.stdout)["issues"][0]["message"]


def test_check_and_preview_load_nothing_heavy(model: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", DPO)
    script = (
        "import sys\nfrom engine.__main__ import app\n"
        "for words in (['check', sys.argv[1], '--arrow', sys.argv[3]],"
        " ['preview', sys.argv[1], '--method', 'dpo', '--model', sys.argv[2]]):\n"
        "    app(words, standalone_mode=False)\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    words = [sys.executable, "-c", script, str(path), str(model), str(tmp_path / "rows.arrow")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert {"engine.data.checks", "engine.data.preview", "tokenizers", "pyarrow"} <= loaded
    assert not loaded & HEAVY
