"""A twin of Slack, with people in it."""

from collections.abc import AsyncIterator

import pytest

from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin, twin


@pytest.fixture
async def there() -> AsyncIterator[Twin]:
    async with twin() as running:
        yield running


@pytest.fixture
def hands(there: Twin) -> Hands:
    return Hands(there)
