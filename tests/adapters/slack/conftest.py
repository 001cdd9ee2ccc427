"""A twin of Slack, with people in it."""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator

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


@pytest.fixture(autouse=True)
def no_connection_is_left_to_other_tests() -> Iterator[None]:
    """Where `listen` is cancelled within milliseconds of its start, a loopback connection is now and then left to the
    garbage collector; it is collected here, so that it fails no test that has nothing to do with it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
