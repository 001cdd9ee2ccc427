"""The fake owes what the real ones owe; otherwise tests with it prove nothing."""

from pathlib import Path

import pytest

from engine.executor import Handle
from tests.contract.executor import ExecutorContract, Stage
from tests.fakes.executor import Child, FakeExecutor


class TestFakeExecutor(ExecutorContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        children: dict[Handle, Child] = {}
        return Stage(tmp_path / "runs", lambda: FakeExecutor(children=children))
