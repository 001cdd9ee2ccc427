"""The settings of a run as a file: what is attached to its thread trains the same again."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.types import NEEDS
from engine.jobs import JobSpec, Model, Source
from engine.plan.defaults import plain, settle
from engine.work.config import read_config, to_yaml
from tests.engine.plan.test_defaults import CPU, SMALL

COLUMNS = {"prompt": "question", "text": "answer"}


@pytest.mark.parametrize("method", NEEDS)
def test_the_attached_settings_are_read_back(method: str, tmp_path: Path) -> None:
    parameters = plain(settle(method, {}, rows=100, tokens_median=60, look=SMALL, slot=CPU))
    spec = JobSpec(method, Model("org/base", "a" * 40), Source("rows.csv", "0" * 64, COLUMNS), parameters=parameters)
    path = tmp_path / "run-7.yaml"
    path.write_text(to_yaml(spec))
    order = read_config(path)
    assert (order.method, order.model, order.data) == (method, f"org/base@{'a' * 40}", tmp_path / "rows.csv")
    assert (dict(order.columns), dict(order.parameters), order.valid) == (COLUMNS, parameters, None)


def test_a_second_file_stays_one(tmp_path: Path) -> None:
    spec = JobSpec(
        "sft", Model("org/base"), Source("rows.csv", "0" * 64, {}), parameters={"valid": "auto", "epochs": 2}
    )
    path = tmp_path / "run-7.yaml"
    path.write_text(to_yaml(replace(spec, valid=Source("held-out.csv", "1" * 64, {}))))
    order = read_config(path)
    assert order.valid == tmp_path / "held-out.csv"
    assert dict(order.parameters) == {"epochs": 2}
