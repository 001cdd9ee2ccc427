"""How often Slack is asked who and where: once for each, so that many files at once do not use up what may be asked."""

import asyncio
import time
from collections import Counter

import pytest

from adapters.chat.slack.chat import SlackChat
from bot.chat import Gone, Message, Person, Place, TryLater
from tests.adapters.slack import lines
from tests.adapters.slack.ears import ears
from tests.contract.chat import eventually
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def calls(there: Twin) -> Counter[str]:
    return Counter(method for method, _ in there.at.calls)


def later_thread(there: Twin) -> Place:
    """A thread that was begun after the bot was."""
    said = there.at.add("C1", {"user": "U1", "text": "a thread", "ts": f"{time.time() + 60:.6f}"})
    return Place(f"T1/C1/{said['ts']}")


async def test_who_somebody_is_is_asked_once_however_much_they_do_at_once(there: Twin) -> None:
    people = lines.chat(there).people
    asked = await asyncio.gather(*(people.person("U1") for _ in range(30)), *(people.person("U2") for _ in range(30)))
    assert set(asked) == {Person("U1", "ann"), Person("U2", "bob")}
    assert calls(there)["users.info"] == 2


async def test_what_a_channel_is_is_asked_once_while_the_bot_is_in_it(there: Twin) -> None:
    chat = lines.chat(there)
    assert set(await asyncio.gather(*(chat.is_private(Place("T1/C1")) for _ in range(30)))) == {False}
    assert await chat.people.is_in("C1") and calls(there)["conversations.info"] == 1
    assert not await chat.people.is_in("C3")
    there.at.channels["C3"].members.add("U0BOT")
    assert await chat.people.is_in("C3")


async def test_the_groups_of_many_people_are_one_question(there: Twin) -> None:
    chat = lines.chat(there)
    found = await asyncio.gather(*(chat.groups(Person(user, user)) for user in ("U1", "U2") * 20))
    assert set(found) == {frozenset({"everyone", "ml-team"}), frozenset({"everyone"})}
    assert calls(there)["usergroups.list"] == 1


async def test_who_somebody_is_is_asked_anew_after_a_while_and_holds_while_slack_is_away(there: Twin) -> None:
    chat = lines.chat(there)
    chat.api.pace.clock = clock = Clock()
    assert not (await chat.people.person("U2")).is_guest
    clock.now += 3601
    there.at.faults["users.info"].append("user_not_found")
    assert not (await chat.people.person("U2")).is_guest
    there.at.facts["U2"] = {"is_restricted": True}
    assert (await chat.people.person("U2")).is_guest
    assert (await chat.people.person("U9")).is_guest, "nobody is let in whom Slack does not know"


async def test_a_look_up_that_nobody_waits_for_any_more_ends_with_the_bot(there: Twin) -> None:
    people = lines.chat(there).people
    never = asyncio.Event()
    asking = asyncio.create_task(people.once.ask("x", never.wait))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert list(people.once.under_way) == ["x"]
    await people.once.end()
    assert people.once.under_way == {}


# ---- what was said already


async def test_an_older_thread_is_read_once_for_all_that_is_said_there(there: Twin, hands: Hands) -> None:
    place = Place(f"T1/C1/{hands.says('U1', 'C1', 'a thread')}")
    before = await lines.chat(there).post(place, Message("a", "said before"))
    there.at.calls.clear()
    chat = lines.chat(there)
    posted = [await chat.post(place, Message(key, "x")) for key in ("a", "b", "c")]
    assert posted[0] == before and len(set(posted)) == 3
    assert calls(there)["conversations.replies"] == 1


async def test_a_thread_that_was_begun_after_the_bot_is_not_read(there: Twin) -> None:
    chat = lines.chat(there)
    await chat.post(later_thread(there), Message("a", "x"))
    await chat.post(later_thread(there), Message("b", "x"))
    assert (calls(there)["conversations.replies"], calls(there)["conversations.history"]) == (0, 0)


async def test_a_hundred_files_at_once_are_answered_without_looking_back(there: Twin, hands: Hands) -> None:
    """The first thing that happens after the bot began to listen: an answer and a second word in each thread."""
    chat = lines.chat(there)
    chat.api.pace.clock = there.rates.clock = clock = Clock()
    chat.posted.begin()
    places = [later_thread(there) for _ in range(100)]
    for place in places:
        for word in ("checking", "report"):
            while True:
                try:
                    await chat.post(place, Message(f"{place.id}/{word}", word))
                    break
                except TryLater as wait:
                    clock.now += wait.seconds
    assert calls(there) == {"chat.postMessage": 200} and there.at.refused == []
    assert clock.now - 1000.0 <= 200.0, "one message a second, which is what Slack takes in a channel"


async def test_from_when_it_listens_what_happens_is_its_own(there: Twin) -> None:
    chat = lines.chat(there)
    assert chat.posted.began is None
    async with ears(chat):
        await eventually(lambda: chat.posted.began is not None)


async def test_a_bot_that_stood_by_for_long_looks_back_when_it_takes_over(there: Twin, hands: Hands) -> None:
    place = Place(f"T1/C1/{hands.says('U1', 'C1', 'a thread')}")
    standby = lines.chat(there)
    standby.api.pace.clock = clock = Clock()
    said = await lines.chat(there).post(place, Message("a", "said by the other"))
    clock.now += 10_000
    assert await standby.post(place, Message("a", "said by the other")) == said


async def test_what_only_waited_for_its_turn_is_not_looked_for(there: Twin) -> None:
    chat = lines.chat(there)
    chat.posted.look_back_s = 0.0
    chat.api.pace.clock = there.rates.clock = clock = Clock()
    place = later_thread(there)
    for number in range(20):
        message = Message(f"k{number}", "x")
        try:
            await chat.post(place, message)
        except TryLater as wait:
            clock.now += wait.seconds
            await chat.post(place, message)
    there.at.faults["chat.postMessage"].append("429:1")
    clock.now += 10
    with pytest.raises(TryLater):
        await chat.post(place, Message("last", "x"))
    clock.now += 10
    await chat.post(place, Message("last", "x"))
    assert calls(there)["conversations.replies"] == 0
    assert len(there.at.messages["C1"]) == 22


# ---- what is said at a response_url


async def whispers(chat: SlackChat, url: str, times: int) -> int:
    """How many were taken."""
    taken = 0
    for _ in range(times):
        try:
            await chat.api.whisper(url, "for you")
        except Gone:
            return taken
        taken += 1
    return taken


async def test_a_response_url_is_answered_five_times_and_by_one_person_seen(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    assert await whispers(chat, there.at.response_url("U1", "C3"), 7) == 5
    assert [shown.text for shown in hands.sees("U1")] == ["for you"] * 5
    assert hands.sees("U2") == []


@pytest.mark.parametrize(
    "url", ["https://evil.example/x", "http://hooks.slack.com/x", "https://slack.com.evil.example/x"]
)
async def test_nothing_is_said_at_an_address_that_is_not_slacks(there: Twin, url: str) -> None:
    assert await whispers(lines.chat(there), url, 1) == 0
