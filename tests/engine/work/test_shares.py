"""Nobody has more runs at work than a share: a person, and a channel, whoever asks in it."""

from dataclasses import replace

from engine.jobs import Status
from engine.work.elsewhere.places import Share
from tests.engine.work.house import SPEC, House


async def begun(house: House, share: Share, *asked: tuple[str, str]) -> list[bool]:
    """Which runs of those requesters and channels are at work after a tick, with three slots."""
    house.slots = 3
    house.restart()
    house.scheduler.share = share
    for requester, channel in asked:
        await house.queue(replace(SPEC, requester=requester, channel=channel))
    await house.tick()
    return [(await house.run(str(number + 1))).status is Status.running for number in range(len(asked))]


async def test_a_channel_has_no_more_runs_at_work_than_its_share(house: House) -> None:
    asked = (("ann", "C1"), ("bob", "C1"), ("cat", "C2"))
    assert await begun(house, Share(of_channel=1), *asked) == [True, False, True]


async def test_a_person_has_no_more_runs_at_work_than_a_share_in_any_channel(house: House) -> None:
    asked = (("ann", "C1"), ("ann", "C2"), ("cat", "C2"))
    assert await begun(house, Share(of_person=1), *asked) == [True, False, True]


async def test_runs_of_no_channel_share_none(house: House) -> None:
    assert await begun(house, Share(of_channel=1), ("ann", ""), ("bob", "")) == [True, True]
