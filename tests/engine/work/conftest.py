"""A house with one upload in it, for the tests of the scheduler."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import store
from tests.engine.work.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    rows = tmp_path / "uploads" / ("a" * 64)
    rows.mkdir(parents=True)
    (rows / "rows.arrow").write_text("rows")
    house = House(tmp_path)
    await house.database.write(store.metadata.create_all)
    yield house
    house.database.close()
