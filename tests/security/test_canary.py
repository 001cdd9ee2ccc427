"""A token that is known by its letters goes through a whole run: it is nowhere that it should not be."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bot import log
from bot.redact import GONE
from bot.settings import Settings
from engine.events import read_events
from engine.work.identity import FOLDER_VARIABLE, environments
from tests.e2e.house import THREAD, House, house, hub, settings, trainers
from tests.security.sweep import files, forms, processes, sweep

CANARY = "hf_cAnArY8dQ2xYv5LmTzR7wKpB3sNfHjG"
FACTS = "text\n" + "".join(f'"human: what is item {n}? bot: item {n} is number {n}."\n' for n in range(16))


@pytest.fixture
def chosen(tmp_path: Path) -> Iterator[Settings]:
    """The settings of a bot whose Hub knows the canary as a write token of `local`."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "people.json").write_text(json.dumps({CANARY: {"name": "local", "role": "write"}}))
    with hub(tmp_path) as (endpoint, _):
        yield settings(tmp_path, endpoint, CANARY)


@pytest.mark.parametrize("how", forms(CANARY))
def test_the_sweep_finds_a_planted_canary_in_every_encoding_and_place(tmp_path: Path, how: str) -> None:
    planted = b"before " + forms(CANARY)[how] + b" after"
    (tmp_path / "log.txt").write_bytes(planted)
    assert sweep(CANARY, {"logs": files(tmp_path)}) != []
    assert sweep(CANARY, {"chat": [("a message", planted)]}) != []
    assert sweep(CANARY, {"logs": files(tmp_path, but=["log.txt"])}) == []


def test_the_sweep_finds_a_canary_in_a_process_and_in_a_name(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "print('here', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"WORD": f"x{CANARY}x", "PATH": os.environ["PATH"]},
    )
    try:
        assert child.stdout and child.stdout.readline()  # until then it may still be on its way into the new program
        assert f"processes: {child.pid} environ (plain)" in sweep(CANARY, {"processes": processes([child.pid])})
    finally:
        child.communicate(b"\n")
    (tmp_path / CANARY).touch()
    assert sweep(CANARY, {"names": files(tmp_path)}) != []


async def test_a_run_leaves_its_token_nowhere(chosen: Settings, tmp_path: Path) -> None:
    lines = tmp_path / "bot.log"
    before = structlog.get_config()
    try:
        with lines.open("w") as stream:
            log.to(stream)
            async with house(chosen) as room:
                await told_of_a_pasted_token(room)
                await room.drops("facts.csv", FACTS)
                room.presses(await room.plans("sft max_steps=40 max_length=64 valid=4"), "Start")
                await training(chosen)
                assert sweep(CANARY, {"training": processes(of_training(chosen.runs))}) == []
                assert (await room.ends()).title == "Run 1 succeeded"
                await room.answered("logs 1")
                structlog.get_logger().warning("it was", token=CANARY)
                said = [(message.key, repr(message).encode()) for message in room.all()]
    finally:
        structlog.configure(**before)
    assert GONE in lines.read_text()
    places = {
        "the bot's log": [("bot.log", lines.read_bytes())],
        "chat": said,
        "database, runs and uploads": files(chosen.data),
        "cache": files(chosen.cache),
        "Hub": files(tmp_path / "hub", but=["people.json"]),
    }
    assert list(files(chosen.data)) and list(files(tmp_path / "hub")) and said
    assert sweep(CANARY, places) == []


async def told_of_a_pasted_token(room: House) -> None:
    answer = await room.answered(f"sft token={CANARY}", THREAD)
    assert "revoke" in answer.text and answer.only_for


async def training(chosen: Settings) -> None:
    """Return while the training is at work."""
    events = chosen.runs / "1" / "attempts" / "train-1" / "events.jsonl"
    async with asyncio.timeout(120):
        while not (trainers(chosen.runs) and any(event.kind == "step" for event in read_events(events))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def of_training(runs: Path) -> list[int]:
    """Everything that belongs to the training: its runner and the child."""
    folder = str((runs / "1" / "attempts" / "train-1").resolve())
    found = [pid for pid, variables in environments() if variables.get(FOLDER_VARIABLE) == folder]
    assert found
    return found
