"""Slack and its people for the bot's benchmark, in a process of their own: signed requests over HTTP, and the answers.

One person mentions the bot in the threads of many channels. One delivery in ten is made twice, as Slack does when an
acknowledgement was lost on its way.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.twins.slack.delivery import encoded
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin, twin
from tests.twins.slack.workspace import APP, BOT, TEAM, Channel, Payload

CHANNELS = 100
PER_S, REPEATED = 50, 10
WAIT_S = 300.0
ROWS = b"prompt,text\n" + b"".join(b"What is %d?,It is a number.\n" % number for number in range(200))


def play(pipe: Connection, port: int) -> None:
    """Until the other side closes the pipe: `(what, how many)` in, a dict of figures out."""
    asyncio.run(_play(pipe, port))


async def _play(pipe: Connection, port: int) -> None:
    async with twin() as there:
        there.delivery.http_url = f"http://127.0.0.1:{port}/slack/events"
        for number in range(CHANNELS):
            there.at.channels[f"C9{number}"] = Channel(f"C9{number}", f"ml-{number}", {"U1", BOT})
        pipe.send((there.at.base, there.at.bot_token, there.at.signing_secret))
        while True:
            try:
                what, many = await asyncio.to_thread(pipe.recv)
            except EOFError:
                return
            pipe.send(await {"events": events, "uploads": uploads, "status": status}[what](there, many))


def event(there: Twin, channel: str, text: str) -> Payload:
    said = there.at.add(channel, {"user": "U1", "text": text})
    what = {**said, "channel": channel, "channel_type": "channel", "event_ts": said["ts"]}
    head = {"token": "verification", "team_id": TEAM, "api_app_id": APP, "type": "event_callback"}
    mine = [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}]
    return {**head, "event": what, "event_id": there.at.number("Ev"), "event_time": 0, "authorizations": mine}


def answers(there: Twin) -> Counter[str]:
    """How many times the bot spoke in each thread, by its root."""
    said = (message for messages in there.at.messages.values() for message in messages)
    return Counter(message["thread_ts"] for message in said if message.get("thread_ts") and message["user"] == BOT)


def reports(there: Twin) -> Counter[str]:
    """As `answers`, of the reports on files only."""
    said = (message for messages in there.at.messages.values() for message in messages)
    mine = (m for m in said if m.get("thread_ts") and m["user"] == BOT and "is ready for" in m["text"])
    return Counter(message["thread_ts"] for message in mine)


async def deliver(there: Twin, payload: Payload, took: list[float]) -> None:
    body, kind = encoded(payload)
    start = time.monotonic()
    answer = await there.delivery.request(body, kind, {})
    took.append(time.monotonic() - start if answer is not None else float("inf"))


async def events(there: Twin, seconds: int) -> dict[str, Any]:
    """Mentions at a steady rate; `took` is the seconds until each delivery was acknowledged."""
    took: list[float] = []
    for number in range(PER_S):  # a bot that has just started is slower for the first of them
        await deliver(there, event(there, f"C9{number % CHANNELS}", f"<@{BOT}> help"), [])
    roots, tasks, began = [], [], time.monotonic()
    for number in range(PER_S * seconds):
        payload = event(there, f"C9{number % CHANNELS}", f"<@{BOT}> help")
        roots.append(payload["event"]["ts"])
        times = 2 if number % REPEATED == 0 else 1
        tasks += [asyncio.create_task(deliver(there, payload, took)) for _ in range(times)]
        await asyncio.sleep(max(0.0, began + (number + 1) / PER_S - time.monotonic()))
    await asyncio.gather(*tasks)
    answered_s = await until_answered(there, roots)
    found = answers(there)
    return {
        "took": took,
        "events": len(roots),
        "lost": sum(not found[root] for root in roots),
        "doubled": sum(found[root] > 1 for root in roots),
        "last_answer_s": answered_s,
    }


async def until_answered(there: Twin, roots: list[str], counted: Callable[[Twin], Counter[str]] = answers) -> float:
    """Seconds until each has an answer, or WAIT_S."""
    began = time.monotonic()
    while time.monotonic() - began < WAIT_S:
        found = counted(there)
        if all(found[root] for root in roots):
            break
        await asyncio.sleep(0.2)
    return round(time.monotonic() - began, 1)


async def uploads(there: Twin, many: int) -> dict[str, Any]:
    """So many files at once, each in a channel of its own; answered is what has its report."""
    hands = Hands(there)
    roots = [hands.drops("U1", f"C9{number % CHANNELS}", f"rows-{number}.csv", ROWS) for number in range(many)]
    seconds = await until_answered(there, roots, reports)
    found = reports(there)
    return {"uploads": many, "uploads_unanswered": sum(not found[root] for root in roots), "uploads_s": seconds}


async def status(there: Twin, many: int) -> dict[str, Any]:
    """One after the other; `status` is the seconds from the mention to the answer in the thread."""
    took = []
    for number in range(-5, many):  # the first ones come upon the database that was just filled, still in its log
        start = time.monotonic()
        payload = event(there, f"C9{number % CHANNELS}", f"<@{BOT}> status {abs(number) + 1}")
        await deliver(there, payload, [])
        while not any(
            m.get("thread_ts") == payload["event"]["ts"] for m in there.at.messages[payload["event"]["channel"]][-3:]
        ):
            if time.monotonic() - start > WAIT_S:
                break
            await asyncio.sleep(0.002)
        took.append(time.monotonic() - start)
    return {"status": took[5:]}
