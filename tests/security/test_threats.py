"""Threats that no other test bears: what a check's child can load, what lies on disk, what listens, what is logged.

The list of all threats, each with its defence and its test, stands in SECURITY.md.
"""

import ast
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from adapters.chat.discord import connect
from bot import children, log, store
from bot.chat import Incoming, Person, Place, Upload
from bot.migrate import upgrade
from bot.settings import Settings
from bot.talk.context import Context
from bot.talk.datasets import reports, uploads
from engine.database import Database
from engine.work.scheduler import Scheduler
from tests.bot.team.room import ANN, THREAD, Room, room
from tests.fakes.chat import FakeChat, Server

ROOT = Path(__file__).parents[2]
SOURCES = [path for name in ("bot", "engine", "adapters") for path in (ROOT / name).rglob("*.py")]
NAMES = ("../../etc/passwd\n-rf \u202egnp.csv", "x" * 400 + "$(touch pwned)\0.csv")


def test_t04_a_check_loads_no_reader_of_pickles_yaml_or_xml(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nhello\nyou\n")
    code = (
        "import sys; sys.argv = ['engine', 'check', sys.argv[1], '--json']\n"
        "from engine.__main__ import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('yaml', 'xml.etree.ElementTree', 'xml.sax', 'openpyxl') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "[]"


async def test_t11_a_file_lies_under_its_hash_whatever_its_name_is(tmp_path: Path) -> None:
    here = room(tmp_path / "data")
    for number, name in enumerate(NAMES):
        content = f"text\nrow {number}\nanother\n".encode()
        here.server.files[str(number)] = content
        incoming = Incoming(f"fake/{number}", THREAD, ANN, Upload(str(number), name, len(content)))
        await reports.file_dropped(here.context, incoming, Upload(str(number), name, len(content)))
    kept = [path.name for path in here.context.settings.uploads.iterdir()]
    assert len(kept) == len(NAMES) and all(re.fullmatch(r"[0-9a-f]{64}", name) for name in kept)
    files = {path.name for path in here.context.settings.uploads.rglob("*") if path.is_file()}
    assert files <= {"file", "rows.arrow", "report.json", "issues.txt", "changes.txt"}
    assert not list(tmp_path.rglob("pwned")) and not list((tmp_path / "data" / "arrivals").iterdir())
    here.context.database.close()


def test_t15_nothing_is_loaded_with_the_code_that_a_repo_brings() -> None:
    """Wherever the keyword stands it is False; and a model is loaded in no other way than by the functions below."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path


def test_t24_no_shell_is_ever_asked() -> None:
    """Children are started from lists; what people type is one argument of them, whatever it holds."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("os.system", "os.popen", "asyncio.create_subprocess_shell"), path
                assert not any(word.arg == "shell" for word in node.keywords), path


async def test_t24_and_t45_a_child_gets_what_was_typed_as_one_word_and_no_variable_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HF_DEBUG", "1")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-canary")
    assert "HF_DEBUG" not in children.KEPT and not any("TOKEN" in name for name in children.KEPT)
    (tmp_path / "a.csv").write_text("text\nhello\n")
    hostile = "; touch pwned; $(touch pwned).csv"
    answer = await children.ask("check", str(tmp_path / "a.csv"), "--name", hostile, timeout_s=120)
    assert answer.values["file"] == hostile and not (ROOT / "pwned").exists()


def test_t36_nothing_listens_beyond_this_machine_unless_the_operator_says_so() -> None:
    settings = Settings(_env_file=None)
    assert settings.http_host == "127.0.0.1"
    source = "\n".join(path.read_text() for path in SOURCES)
    assert "0.0.0.0" not in source  # noqa: S104  # it is what must not be there


def test_t37_the_database_holds_no_pickle_and_no_job_of_the_clock(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    upgrade(url)
    for table in sa.inspect(sa.create_engine(url)).get_table_names():
        for column in sa.inspect(sa.create_engine(url)).get_columns(table):
            assert not isinstance(column["type"], sa.LargeBinary | sa.PickleType), f"{table}.{column['name']}"
    assert not any(re.search(r"\b(import pickle|SQLAlchemyJobStore)\b", path.read_text()) for path in SOURCES)
    assert Scheduler.__module__ == "engine.work.scheduler"


def test_t39_a_gateway_that_fails_is_asked_more_and_more_seldom() -> None:
    assert list(connect.BACK_OFF_S) == sorted(connect.BACK_OFF_S) and connect.BACK_OFF_S[-1] >= 120
    quick = sum(wait < 86.4 for wait in connect.BACK_OFF_S)
    assert quick < 10, "a thousand attempts a day are one in 86 s"


def test_t41_a_name_with_a_line_break_is_one_record_of_the_log() -> None:
    stream = io.StringIO()
    log.to(stream)
    try:
        structlog.get_logger().warning("file", name='a\n{"event": "forged"}\x1b[31m')
    finally:
        log.to(sys.stderr)
        structlog.reset_defaults()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "file" and "\x1b" not in line


async def test_t31_somebody_who_floods_gets_four_runs_and_others_still_get_theirs(tmp_path: Path) -> None:
    here: Room = room(tmp_path / "data")
    for _ in range(50):
        await here.starts()
    bob = Person("U2", "bob")
    assert await here.starts(bob) is None
    assert (await here.run(5)).spec.requester == bob.id
    here.context.database.close()


async def test_t02_a_file_larger_than_the_limit_is_never_fetched(tmp_path: Path) -> None:
    chosen = Settings(_env_file=None, data=tmp_path, max_upload_mb=1)
    upgrade(chosen.database)
    context = Context(chosen, Database(chosen.database), FakeChat(Server()))
    incoming = Incoming("fake/1", Place("C1/1"), ANN, Upload("big", "big.csv", 2_000_000))
    await reports.file_dropped(context, incoming, Upload("big", "big.csv", 2_000_000))
    told = await context.database.read(store.said, "fake/1/report")
    assert told and "larger than 1 MB" in told.text
    assert not chosen.uploads.exists() and uploads.CHECK_S > 0
    context.database.close()


def test_t38_nothing_new_runs_at_the_start_of_python() -> None:
    """The .pth files of this environment: an editable install, and what tools of the build are known to bring."""
    known = re.compile(r"(__editable__|_?virtualenv|distutils-precedence|.*nspkg|.*coverage).*\.pth")
    found = [path.name for path in (Path(sys.prefix) / "lib").glob("python*/site-packages/*.pth")]
    assert [name for name in found if not known.fullmatch(name)] == []
