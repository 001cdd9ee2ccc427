"""The runner around a child, with real processes that behave badly."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.folder import ATTEMPT_VARIABLE
from engine.work.identity import FOLDER_VARIABLE, environments, identify, processes_of, start_ticks
from engine.work.runner import Log, Stop
from tests.fakes.children import Reports

ROOT = Path(__file__).parents[3]
CHILDREN = ROOT / "tests" / "fakes" / "children.py"
PATIENCE_S = 90.0


class Runner:
    """A runner process around a play of `tests.fakes.children`."""

    def __init__(self, run_folder: Path, play: str, grace_s: float) -> None:
        self.folder = run_folder / "attempts" / "train-1"
        self.folder.mkdir(parents=True, exist_ok=True)
        (run_folder / "play").write_text(play)
        child = [sys.executable, str(CHILDREN), "train", str(run_folder)]
        self.argv = [sys.executable, "-m", "engine.work.runner", str(self.folder), str(grace_s), "--", *child]
        marks = {ATTEMPT_VARIABLE: "1/train-1", FOLDER_VARIABLE: str(self.folder)}
        self.process = subprocess.Popen(self.argv, cwd=ROOT, env={**os.environ, **marks}, stdin=subprocess.PIPE)

    def json(self, name: str) -> Any:
        path = self.folder / name
        wait_for(path.exists)
        return json.loads(path.read_text())

    def kinds(self) -> list[str]:
        path = self.folder / "events.jsonl"
        return [json.loads(line)["kind"] for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, kind: str) -> None:
        wait_for(lambda: kind in self.kinds())

    def wait(self) -> Any:
        """Its exit record."""
        self.process.communicate(timeout=PATIENCE_S)
        return self.json("exit.json")


def wait_for(question: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


class Runners:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Runner] = []

    def __call__(self, play: str, grace_s: float = 5.0) -> Runner:
        self.started.append(Runner(self.folder, play, grace_s))
        return self.started[-1]


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runners]:
    runners = Runners(tmp_path / "1")
    yield runners
    for one in runners.started:
        for pid in processes_of(one.folder):
            os.kill(pid, 9)
        one.process.communicate(timeout=PATIENCE_S)


def test_a_child_that_does_its_work_leaves_a_record(runner: Runners) -> None:
    one = runner("reports")
    record = one.wait()
    assert (record["code"], record["was_stopped"]) == (0, False)
    assert one.kinds() == ["started", "step", "step", "step", "finished"]
    assert set(one.json("runner.json")) == {"host", "boot_id", "pid", "start_ticks"}


def test_the_runner_says_who_it_is_while_it_runs(runner: Runners) -> None:
    one = runner("works")
    one.wait_for("step")
    record = one.json("runner.json")
    assert record["pid"] == one.process.pid
    assert record["start_ticks"] == start_ticks(one.process.pid)
    assert os.getsid(one.process.pid) == one.process.pid
    assert processes_of(one.folder)


def test_a_second_runner_on_the_same_attempt_does_nothing(runner: Runners) -> None:
    first, second = runner("works"), runner("works")
    first.wait_for("step")
    wait_for(lambda: first.process.poll() is not None or second.process.poll() is not None)
    (first.folder / "stop").write_text("save")
    first.process.wait(PATIENCE_S)
    second.process.wait(PATIENCE_S)
    assert first.kinds().count("started") == 1
    third = runner("works")
    third.process.wait(PATIENCE_S)
    assert third.kinds().count("started") == 1


def test_a_runner_that_does_not_get_the_lock_does_nothing(tmp_path: Path) -> None:
    with (tmp_path / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv = [sys.executable, "-m", "engine.work.runner", str(tmp_path), "--", "/bin/true"]
        subprocess.run(argv, cwd=ROOT, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["runner.lock"]


def names_and_parents(folder: Path) -> list[tuple[str, int]]:
    stats = [(Path("/proc") / str(pid) / "stat").read_text() for pid in processes_of(folder)]
    return [(stat[stat.index("(") + 1 : stat.rindex(")")], int(stat.rpartition(")")[2].split()[1])) for stat in stats]


def test_orphans_of_the_child_belong_to_the_runner(runner: Runners) -> None:
    one = runner("has_an_orphan")
    one.wait_for("step")
    wait_for(lambda: ("sleep", one.process.pid) in names_and_parents(one.folder))


def test_a_child_that_hears_the_wish_ends_by_itself(runner: Runners) -> None:
    one = runner("works")
    one.wait_for("step")
    (one.folder / "stop").write_text("save")
    record = one.wait()
    assert (record["code"], record["was_stopped"]) == (0, True)
    assert one.kinds()[-1] == "stopped"


def test_a_child_that_ignores_the_wish_and_the_signal_is_killed(runner: Runners) -> None:
    one = runner("ignores_the_wish", grace_s=0.2)
    one.wait_for("started")
    (one.folder / "stop").write_text("save")
    record = one.wait()
    assert (record["code"], record["was_stopped"]) == (-9, True)


def test_ending_the_runner_lets_the_child_save(runner: Runners) -> None:
    one = runner("works")
    one.wait_for("step")
    one.process.terminate()
    assert one.wait()["was_stopped"]
    assert one.kinds()[-1] == "stopped"


def test_a_child_that_is_killed_leaves_the_signal(runner: Runners) -> None:
    assert runner("is_killed").wait()["code"] == -9


def test_a_child_that_leaves_early_leaves_its_code_and_no_last_word(runner: Runners) -> None:
    one = runner("leaves_early")
    assert one.wait()["code"] == 0
    assert one.kinds() == ["started"]


def test_a_grandchild_in_a_session_of_its_own_is_swept(runner: Runners) -> None:
    one = runner("leaves_a_grandchild")
    assert one.wait()["code"] == 0
    assert processes_of(one.folder) == []


def test_killing_the_runner_takes_the_child_with_it(runner: Runners) -> None:
    one = runner("works")
    one.wait_for("step")
    child = one.json("heartbeat.json")["pid"]
    one.process.kill()
    wait_for(lambda: start_ticks(child) is None)
    assert not (one.folder / "exit.json").exists()


def test_a_child_that_prints_a_lot_fills_no_disk_and_its_last_words_stay(runner: Runners) -> None:
    one = runner("prints_a_lot")
    assert one.wait()["code"] == 0
    log = (one.folder / "log.txt").read_bytes()
    assert len(log) < 9 << 20
    assert log.startswith(b"[earlier lines were left out]\n")
    assert log.endswith(b"line 299999 of very many that nobody reads\n") or log.endswith(b"the last words\n")


def test_the_heartbeat_tells_the_memory_of_the_child(runner: Runners) -> None:
    one = runner("allocates")
    one.wait_for("step")
    wait_for(lambda: one.json("heartbeat.json")["rss_bytes"] > 64 << 20)
    assert one.json("heartbeat.json")["pid"] != one.process.pid


def test_a_program_that_is_not_there_leaves_a_record_and_a_line_in_the_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "engine.work.runner", str(tmp_path / "a"), "--", "/no/such/program"]
    subprocess.run(argv, cwd=ROOT, check=True)
    assert json.loads((tmp_path / "a" / "exit.json").read_text())["code"] == 127
    assert "/no/such/program cannot be started" in (tmp_path / "a" / "log.txt").read_text()


def test_the_runner_needs_only_the_standard_library() -> None:
    code = "import sys, engine.work.runner; print([n for n in ('msgspec', 'typer', 'asyncio') if n in sys.modules])"
    argv = [sys.executable, "-c", code]
    assert subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_log_keeps_its_end(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.txt", limit=100)
    for number in range(50):
        log.write(f"line {number}\n".encode())
    text = (tmp_path / "log.txt").read_text()
    assert text.endswith("line 48\nline 49\n")
    assert len(text) <= 100 + len("line 49\n")
    log.file.close()


def test_each_signal_is_due_once_and_in_its_turn(tmp_path: Path) -> None:
    stop = Stop(tmp_path / "stop", grace_s=30.0)
    assert stop.due_signal(0.0) == 0
    stop.file.write_text("save")
    assert [stop.due_signal(now) for now in (100.0, 129.0, 130.0, 131.0, 140.0, 141.0)] == [0, 0, 15, 0, 9, 0]


def test_who_wants_to_keep_nothing_waits_less(tmp_path: Path) -> None:
    stop = Stop(tmp_path / "stop", grace_s=30.0)
    stop.file.write_text("save")
    assert stop.due_signal(100.0) == 0
    stop.file.write_text("drop")
    assert [stop.due_signal(now) for now in (104.0, 105.0, 110.0)] == [0, 15, 9]


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen(["/bin/true"])
    who = identify(os.getpid())
    wait_for(lambda: start_ticks(child.pid) is None)
    child.wait()
    assert who.is_alive


def test_a_process_with_a_strange_name_is_read_rightly(tmp_path: Path) -> None:
    strange = tmp_path / "a) Z 1 (b"
    strange.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(strange), "60"])
    wait_for(lambda: (Path("/proc") / str(child.pid) / "comm").read_text().startswith("a) Z"))
    assert identify(child.pid).is_alive
    child.kill()
    child.wait()


def test_the_marks_of_children_are_those_that_the_fakes_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ATTEMPT_VARIABLE, "7/train-2")
    assert (Reports(tmp_path).run, Reports(tmp_path).attempt) == ("7", "train-2")
    assert os.getpid() not in dict(environments())
