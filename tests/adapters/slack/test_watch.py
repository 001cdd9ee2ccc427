"""A socket that died in silence is opened anew, and what was missed is read back."""

import asyncio

from adapters.chat.slack.connect import OUTAGE_S, WATCH_S, watch
from tests.adapters.slack import lines
from tests.contract.chat import eventually
from tests.twins.slack.server import Twin


class Silent:
    """A Socket Mode client that says nothing of its end; it comes back when it is told to connect anew."""

    def __init__(self) -> None:
        self.is_up, self.looks, self.connects = False, 0, 0

    async def is_connected(self) -> bool:
        self.looks += 1
        return self.is_up

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        self.connects += 1
        self.is_up = force


async def test_a_socket_that_is_down_for_long_is_opened_anew_and_what_was_missed_is_read(there: Twin) -> None:
    client, missed = Silent(), []

    async def read_back() -> None:
        missed.append(client.looks)

    watching = asyncio.create_task(watch(client, lines.chat(there).api, read_back, every_s=0.0))
    try:
        await eventually(lambda: bool(missed))
        assert client.connects == 1
        assert missed == [OUTAGE_S / WATCH_S + 1]
        assert "auth.test" in [method for method, _ in there.at.calls]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_socket_that_is_up_is_left_alone(there: Twin) -> None:
    client, missed = Silent(), []
    client.is_up = True

    async def read_back() -> None:
        missed.append(client.looks)

    watching = asyncio.create_task(watch(client, lines.chat(there).api, read_back, every_s=0.0))
    try:
        await eventually(lambda: client.looks > 20)
        assert (client.connects, missed) == (0, [])
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
