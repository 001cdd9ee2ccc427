"""Every line of the log about a run bears its number, so that all that was done for it can be read together."""

import io
import json
import logging
from pathlib import Path

import structlog

from bot import log
from tests.engine.work.conftest import house
from tests.engine.work.house import House

__all__ = ["house"]


async def test_each_step_of_a_run_is_logged_with_its_number_and_attempt(house: House, tmp_path: Path) -> None:
    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    stream = io.StringIO()
    log.to(stream)
    try:
        await house.until_training()
        await house.finish("train-1")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["run"] for line in lines} == {"1"}
    assert [(line["event"], line["attempt"]) for line in lines] == [
        ("attempt submitted", "fetch-1"),
        ("attempt ended", "fetch-1"),
        ("attempt submitted", "train-1"),
        ("attempt ended", "train-1"),
        ("attempt submitted", "push-1"),
    ]
