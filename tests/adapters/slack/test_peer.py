"""The adapter before a Slack that nobody here wrote: npm emulate 0.12.2."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.chat.slack.api import Refused
from adapters.chat.slack.chat import SlackChat
from adapters.chat.slack.settings import SlackSettings
from adapters.chat.slack.surfaces import fields
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
from tests.adapters.slack.ears import ears
from tests.adapters.slack.lines import free_port
from tests.contract.chat import eventually
from tests.twins.slack import emulated
from tests.twins.slack.emulated import Peer

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


async def in_thread(peer: Peer, channel: str, ts: str) -> list[dict[str, object]]:
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
