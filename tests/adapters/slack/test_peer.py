"""The adapter before a Slack that nobody here wrote: npm emulate 0.12.2."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adapters.chat.slack.api import Refused
from adapters.chat.slack.chat import SlackChat
from adapters.chat.slack.settings import SlackSettings
from adapters.chat.slack.surfaces import fields
from bot.app import make
from bot.chat import (
    Button,
    Command,
    Denied,
    Field,
    File,
    Gone,
    Message,
    MessageId,
    Person,
    Place,
    Table,
    Upload,
)
from bot.settings import Settings
from tests.adapters.slack.ears import ears
from tests.adapters.slack.lines import free_port
from tests.adapters.slack.room import FACTS, LOOK_S, SMALL, chosen
from tests.contract.chat import eventually
from tests.e2e.house import hub
from tests.twins.slack import emulated, limits
from tests.twins.slack.bridge import Bridge, bridge
from tests.twins.slack.delivery import Delivery, encoded
from tests.twins.slack.emulated import Peer
from tests.twins.slack.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with emulated.peer(free_port(), free_port()) as there:
        yield there


def adapter(peer: Peer, token: str = emulated.BOT) -> SlackChat:
    return SlackChat(
        SlackSettings(
            _env_file=None,
            bot_token=SecretStr(token),
            app_token=SecretStr(""),
            signing_secret=SecretStr(emulated.SECRET),
            port=peer.listener,
            api_url=f"{peer.base}/api/",
        ).checked()
    )


async def thread(peer: Peer, channel: str) -> tuple[Place, str]:
    said = await peer.call("chat.postMessage", channel=channel, text="a thread")
    return Place(f"T/{channel}/{said['ts']}"), str(said["ts"])


async def in_thread(peer: Peer, channel: str, ts: str) -> list[dict[str, Any]]:
    return list((await peer.call("conversations.replies", channel=channel, ts=ts))["messages"])


async def test_a_message_is_posted_once_edited_in_place_and_found_after_a_restart(peer: Peer) -> None:
    channel = await peer.channel()
    place, ts = await thread(peer, channel)
    message = Message("k", "hello", "A title", (("Rows", "3"),), Table(("Line",), (("12",),)))
    posted = await adapter(peer).post(place, message)
    assert await adapter(peer).post(place, message) == posted
    await adapter(peer).edit(posted, Message("k", "changed", buttons=(Button("Start", "start:1"),)))
    said = await in_thread(peer, channel, ts)
    assert [one["text"] for one in said] == ["a thread", "changed"]
    assert "Start" in str(said[1]["blocks"]) and "A title" not in str(said[1]["blocks"])


async def test_what_is_gone_is_said_to_be_gone(peer: Peer) -> None:
    channel = await peer.channel()
    with pytest.raises(Gone):
        await adapter(peer).post(Place("T/C404"), Message("k", "x"))
    with pytest.raises(Gone):
        await adapter(peer).edit(MessageId(f"{channel}/1.1"), Message("k", "x"))


async def test_a_token_without_the_scope_names_the_scope(peer: Peer) -> None:
    chat = adapter(peer, emulated.NARROW)
    chat.posted.look_back_s = (
        0.0  # no look back at what a bot before it may have said, for which it has no scope either
    )
    with pytest.raises(Denied, match="chat:write"):
        await chat.post(Place(f"T/{await peer.channel()}"), Message("k", "x"))


async def test_a_dropped_file_is_heard_of_and_its_bytes_arrive(peer: Peer, tmp_path: Path) -> None:
    channel, content = await peer.channel(), b"prompt,text\n" + b"a,b\n" * 5000
    chat = adapter(peer)
    async with ears(chat) as those:
        await eventually(lambda: chat.people.bot is not None)
        file = await peer.drop(channel, "pairs.csv", content)
        (incoming,) = await those.hears(1)
    assert incoming.what == Upload(file, "pairs.csv", len(content))
    assert isinstance(incoming.what, Upload)
    await chat.download(incoming.what, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == content


async def test_words_to_the_bot_are_heard_and_its_own_words_are_not(peer: Peer) -> None:
    channel = await peer.channel()
    chat = adapter(peer)
    async with ears(chat) as those:
        await eventually(lambda: chat.people.bot is not None)
        place, ts = await thread(peer, channel)
        await chat.post(place, Message("k", "<@U0BOT> help"))
        await peer.call("chat.postMessage", channel=channel, text="<@U0BOT> list", thread_ts=ts)
        (incoming,) = await those.hears(1)
    assert (incoming.what, incoming.place.id.rpartition("/")[2]) == (Command("list"), ts)
    assert incoming.person.name.lower() == "ann"


async def test_a_file_of_the_bot_stands_in_the_thread_once(peer: Peer, tmp_path: Path) -> None:
    channel = await peer.channel()
    place, ts = await thread(peer, channel)
    (tmp_path / "loss.png").write_bytes(b"png")
    message = Message("k", "done", files=(File("loss.png", tmp_path / "loss.png"),))
    for _ in range(2):
        await adapter(peer).post(place, message)
    assert str(await in_thread(peer, channel, ts)).count("'loss.png'") >= 1
    assert len([one for one in await in_thread(peer, channel, ts) if one.get("files")]) == 1


async def test_a_form_opens_for_a_trigger_once(peer: Peer) -> None:
    chat = adapter(peer)
    button = Button("Ask", "ask:1", form=(Field("question", "Your question", is_long=True),))
    view = fields.view(button, "T/C1")
    user = (await peer.call("auth.test"))["user_id"]
    trigger = (await peer.call("views.generateTriggerId", emulated.BOT, user_id=user))["trigger_id"]
    assert (await chat.api.call("views.open", trigger_id=trigger, view=view))["view"]["callback_id"] == fields.CALLBACK
    with pytest.raises(Refused, match="exchanged_trigger_id"):
        await chat.api.call("views.open", trigger_id=trigger, view=view)


async def test_private_words_direct_messages_and_the_home_tab_are_taken(peer: Peer) -> None:
    channel = await peer.channel()
    user = (await peer.call("auth.test"))["user_id"]
    chat = adapter(peer)
    place, _ = await thread(peer, channel)
    assert await chat.post(place, Message("private", "for you", only_for=Person(user, "ann")))
    direct = await chat.post(Place(f"@{user}"), Message("direct", "hello"))
    assert direct.startswith("D")
    assert await chat.post(Place(f"T/~{user}/list"), Message("home", "No runs yet."))


# ---- the whole bot


class Line:
    """How the peer's events, and presses, which it has none of, come to the bot: by signed requests, or by a socket."""

    def __init__(self, peer: Peer, over: Bridge | None) -> None:
        self.peer, self.over = peer, over
        url = f"http://127.0.0.1:{peer.listener}/slack/events"
        self.http = Delivery(Workspace(signing_secret=emulated.SECRET), url)

    def adapter(self) -> SlackChat:
        if self.over is None:
            return adapter(self.peer)
        app_token, url = SecretStr(self.over.delivery.at.app_token), f"{self.over.base}/api/"
        token = SecretStr(emulated.BOT)
        return SlackChat(SlackSettings(_env_file=None, bot_token=token, app_token=app_token, api_url=url).checked())

    async def is_up(self) -> bool:
        return bool(self.over.delivery.sockets) if self.over else await is_open(self.peer.listener)

    async def delivers(self, told: dict[str, Any]) -> None:
        if self.over:
            self.over.delivery.send(told)
        else:
            assert await self.http.request(*encoded(told), {}) is not None


class Sight:
    """What the bot says in one thread of the peer; presses are sent as Slack sends them."""

    def __init__(self, line: Line, channel: str, thread: str) -> None:
        self.line, self.channel, self.thread = line, channel, thread

    async def sees(self, words: str, button: str = "") -> dict[str, Any]:
        async with asyncio.timeout(LOOK_S):
            while True:
                for said in await in_thread(self.line.peer, self.channel, self.thread):
                    blocks = said.get("blocks") or []
                    if words in limits.texts(blocks) and (not button or button in buttons_of(blocks)):
                        return said
                await asyncio.sleep(0.5)

    async def presses(self, said: dict[str, Any], label: str, user: str) -> None:
        action = {"type": "button", "action_id": "press-0", "block_id": "b", "value": buttons_of(said["blocks"])[label]}
        told = {
            "type": "block_actions", "user": {"id": user, "name": "ann"}, "trigger_id": f"1.{said['ts']}.{label}",
            "container": {"type": "message", "message_ts": said["ts"], "channel_id": self.channel},
            "channel": {"id": self.channel, "name": "ml"}, "message": said, "actions": [action], "api_app_id": "A0APP",
            "team": {"id": "T000000001", "domain": "peer"}, "token": "verification",
        }  # fmt: skip
        await self.line.delivers(told)


def buttons_of(blocks: list[dict[str, Any]]) -> dict[str, str]:
    found = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return {button["text"]["text"]: button["value"] for button in found}


@pytest.fixture(params=["http", "socket"])
async def line(peer: Peer, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    if request.param == "http":
        yield Line(peer, None)
        return
    async with bridge(peer.base, peer.listener) as over:
        yield Line(peer, over)


async def test_the_whole_bot_brings_a_dropped_file_to_a_model(peer: Peer, line: Line, tmp_path: Path) -> None:
    """Check, plan, Start, one living message, the end with its mention, the team's card; and a restart in between."""
    channel, team = await peer.channel(), await peer.channel("general")
    await peer.call("conversations.join", channel=team)
    for each in (channel, team):
        await peer.call("conversations.invite", channel=each, users="U0BOT")
    ann = (await peer.call("auth.test"))["user_id"]
    with hub(tmp_path / "hub") as endpoint:
        settings = chosen(tmp_path, endpoint).model_copy(update={"team_channel": team})
        async with serving(settings, line):
            file = await peer.drop(channel, "facts.csv", FACTS)
            sight = Sight(line, channel, await thread_of(peer, channel, file))
            await sight.sees("is ready for")
            await peer.call("chat.postMessage", channel=channel, text=f"<@U0BOT> sft {SMALL}", thread_ts=sight.thread)
            plan = await sight.sees("ready to start", "Start")
        async with serving(settings, line):
            await sight.presses(plan, "Start", ann)
            final = await sight.sees("Run 1 succeeded", "Try it")
            living = await sight.sees("Run 1 · succeeded")
            await eventually_said(peer, team, "Run 1 succeeded")
    said = await in_thread(peer, channel, sight.thread)
    assert f"<@{ann}>" in str(final["text"]) and len([one for one in said if f"<@{ann}>" in str(one["text"])]) == 1
    assert len([one for one in said if "Run 1 ·" in limits.texts(one.get("blocks") or [])]) == 1
    assert living["ts"] != final["ts"] and "edited" in living


async def thread_of(peer: Peer, channel: str, file: str) -> str:
    """The ts of the message that brought the file."""
    messages = (await peer.call("conversations.history", channel=channel))["messages"]
    return str(next(m["ts"] for m in messages if any(each["id"] == file for each in m.get("files") or ())))


async def eventually_said(peer: Peer, channel: str, words: str) -> None:
    async with asyncio.timeout(LOOK_S):
        while words not in str((await peer.call("conversations.history", channel=channel))["messages"]):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def serving(settings: Settings, line: Line) -> AsyncIterator[None]:
    """The bot serves while the block runs, from when it listens."""
    task = asyncio.create_task(make(settings, line.adapter()).serve())
    try:
        async with asyncio.timeout(LOOK_S):
            while not await line.is_up():
                assert not task.done(), task.result()
                await asyncio.sleep(0.05)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(LOOK_S):
            while await line.is_up():  # noqa: ASYNC110  so that nothing is sent to one that is going
                await asyncio.sleep(0.05)


async def is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
