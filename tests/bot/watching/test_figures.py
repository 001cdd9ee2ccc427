"""The figures of /metrics are those of what happened."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest

import engine.store
from bot.chat import Message, Place, TryLater
from bot.outbox import Outbox
from bot.watching import figures
from engine.executor import Handle
from engine.jobs import Attempt
from tests.bot.team.room import START, room


def figure(line: str) -> float:
    """The value of a sample, as it is scraped; 0 where there is none yet."""
    found = [each.rpartition(" ")[2] for each in generate_latest().decode().splitlines() if each.startswith(line)]
    return float(found[0]) if found else 0.0


async def test_runs_queue_and_attempts_are_counted_as_the_database_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "LAG_S", 0.01)
    here = room(tmp_path)
    database = here.context.database
    for _ in range(2):
        await here.starts()
    await database.write(engine.store.add_attempt, Attempt("1", "train", 1, tmp_path), Handle("local", "a"), START)
    (tried,) = await database.read(engine.store.attempts, "1")
    await database.write(engine.store.end_attempt, tried, START + 90)
    await figures.measure(database)
    assert figure('threadtune_runs{status="queued"}') == 2 == figure("threadtune_queue ")
    assert figure('threadtune_attempt_seconds{kind="train"}') == 90
    assert figure("threadtune_loop_lag_seconds ") >= 0
    database.close()


async def test_a_429_of_the_platform_is_counted(tmp_path: Path) -> None:
    here = room(tmp_path)
    before = figure('threadtune_platform_calls_total{call="post",outcome="try_later"}')
    here.server.failures = [TryLater(1)]
    await here.context.say(Place("C1/1"), Message("k", "hello"))
    await Outbox(here.context.database, here.context.chat).tick()
    assert figure('threadtune_platform_calls_total{call="post",outcome="try_later"}') == before + 1
    here.context.database.close()


async def test_the_memory_of_each_gpu_is_read_from_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, 512'\necho '1, 1024'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await figures.gpu_memory() == {"0": 512 << 20, "1": 1024 << 20}
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await figures.gpu_memory() == {}
