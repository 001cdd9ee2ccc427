"""What a chat adapter owes the bot. Each adapter's tests subclass `ChatContract` and say how to reach its platform.

Everything is seen from the outside: what people see, what the platform was told, what the handler got.
"""

import abc
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from pathlib import Path

import pytest

from bot.chat import (
    Button,
    Chat,
    Command,
    Denied,
    Field,
    Gone,
    Incoming,
    Message,
    MessageId,
    Person,
    Place,
    Press,
    TryLater,
    Upload,
)
from engine.refusal import Refusal

DEADLINE_S = 60.0


class Platform(abc.ABC):
    """The platform's side, as people have it before their eyes and under their hands."""

    ann: Person
    bob: Person
    place: Place
    gone: Place
    """A place that was deleted, or never was."""

    @abc.abstractmethod
    def adapter(self) -> Chat:
        """A new adapter object, as after a restart of the bot."""

    @abc.abstractmethod
    async def does(self, what: Command | Press | Upload) -> str:
        """Ann does this in `place`; the key that it will have."""

    @abc.abstractmethod
    def seen_by(self, person: Person) -> list[Message]:
        """The messages that this person now sees, in order."""

    @abc.abstractmethod
    def acknowledged(self) -> list[str]:
        """The keys of what the platform was told has arrived."""

    @abc.abstractmethod
    def refusals(self) -> list[str]:
        """The texts of the refusals that people were shown."""

    @abc.abstractmethod
    def file(self, content: bytes) -> Upload:
        """A file that lies on the platform."""

    @abc.abstractmethod
    def closed_file(self) -> Upload:
        """A file that the bot may not read."""

    async def fills_in(self, button: Button, values: Mapping[str, str]) -> bool:
        """Ann fills in the form behind a button in `place`; False for a platform whose own tests play that."""
        del button, values
        return False

    async def chats(self, words: str) -> bool:
        """Ann says something in `place` to her team, not to the bot; False where the bot is told of no such thing."""
        del words
        return False

    def asks_to_wait(self, seconds: float) -> bool:
        """The platform refuses the next call for so long; False for one that never does."""
        return False


class ChatContract(abc.ABC):
    @pytest.fixture
    @abc.abstractmethod
    def platform(self, tmp_path: Path) -> Platform: ...

    async def test_a_message_is_posted_once_for_its_key(self, platform: Platform) -> None:
        chat = platform.adapter()
        first = await chat.post(platform.place, Message("k", "hello"))
        assert await chat.post(platform.place, Message("k", "hello")) == first
        assert [message.text for message in platform.seen_by(platform.ann)] == ["hello"]

    async def test_a_restarted_bot_does_not_post_again(self, platform: Platform) -> None:
        first = await platform.adapter().post(platform.place, Message("k", "hello"))
        assert await platform.adapter().post(platform.place, Message("k", "hello")) == first

    async def test_messages_with_other_keys_are_other_messages(self, platform: Platform) -> None:
        chat = platform.adapter()
        ids = {await chat.post(platform.place, Message(key, "same")) for key in ("a", "b")}
        assert len(ids) == 2

    async def test_an_edit_replaces_the_message_where_it_stands(self, platform: Platform) -> None:
        chat = platform.adapter()
        posted = await chat.post(platform.place, Message("k", "old"))
        await chat.post(platform.place, Message("later", "after"))
        await chat.edit(posted, Message("k", "new", buttons=(Button("Go", "go:1"),)))
        assert [message.text for message in platform.seen_by(platform.ann)] == ["new", "after"]

    async def test_a_place_that_is_gone_says_so(self, platform: Platform) -> None:
        with pytest.raises(Gone):
            await platform.adapter().post(platform.gone, Message("k", "hello"))

    async def test_a_message_that_is_gone_says_so(self, platform: Platform) -> None:
        with pytest.raises(Gone):
            await platform.adapter().edit(MessageId("no such message"), Message("k", "hello"))

    async def test_a_platform_that_asks_to_wait_says_for_how_long(self, platform: Platform) -> None:
        if not platform.asks_to_wait(7):
            pytest.skip(f"{type(platform).__name__}: asking the bot to wait is not played")
        chat = platform.adapter()
        with pytest.raises(TryLater) as wait:
            await chat.post(platform.place, Message("k", "hello"))
        assert wait.value.seconds >= 7

    async def test_the_threads_of_a_channel_lie_in_the_same_one(self, platform: Platform) -> None:
        chat, other_thread = platform.adapter(), Place(f"{platform.place.id}9")
        assert chat.channel(platform.place) == chat.channel(other_thread) != chat.channel(platform.gone)

    async def test_only_the_one_it_is_for_sees_a_private_message(self, platform: Platform) -> None:
        await platform.adapter().post(platform.place, Message("k", "a secret", only_for=platform.ann))
        assert any("a secret" in message.text for message in platform.seen_by(platform.ann))
        assert not any("a secret" in message.text for message in platform.seen_by(platform.bob))

    async def test_what_people_do_reaches_the_handler_as_it_was_done(self, platform: Platform) -> None:
        since = ""
        before: set[str] = set()
        for what in (Command("sft epochs=2"), Press("start:abc"), platform.file(b"text\nhi\n")):
            chat = platform.adapter()
            key = await platform.does(what)
            (incoming,) = await heard(chat, 1, since, before)
            before.add(incoming.key)
            since = chat.cursor()
            assert (incoming.key, incoming.what, incoming.person) == (key, what, platform.ann)

    async def test_a_form_comes_back_as_the_press_of_its_button(self, platform: Platform) -> None:
        """Through a modal, where the platform has those."""
        button = Button("Fill in", "fill:1", form=(Field("gap0", "Line 2"), Field("gap1", "Line 5", is_long=True)))
        chat = platform.adapter()
        await chat.post(platform.place, Message("k", "mend it", buttons=(button,)))
        if not await platform.fills_in(button, {"gap0": "new", "gap1": "two\nlines"}):
            pytest.skip(f"{type(platform).__name__}: forms are played in this platform's own tests")
        (incoming,) = await heard(chat, 1)
        assert incoming.what == Press("fill:1", {"gap0": "new", "gap1": "two\nlines"})

    async def test_nothing_is_acknowledged_before_it_is_stored(self, platform: Platform) -> None:
        stored = asyncio.Event()

        async def handler(incoming: Incoming) -> None:
            await stored.wait()

        key = await platform.does(Command("status"))
        async with listening(platform.adapter(), handler):
            await asyncio.sleep(0.05)
            assert key not in platform.acknowledged()
            stored.set()
            await eventually(lambda: key in platform.acknowledged())

    async def test_a_refusal_is_shown_to_the_person(self, platform: Platform) -> None:
        async def handler(incoming: Incoming) -> Refusal:
            return Refusal("did you mean dpo?", "method")

        await platform.does(Command("dop"))
        async with listening(platform.adapter(), handler):
            await eventually(lambda: any("did you mean dpo?" in text for text in platform.refusals()))

    async def test_what_happened_while_the_bot_was_away_is_delivered(self, platform: Platform) -> None:
        first = await platform.does(Command("status"))
        chat = platform.adapter()
        (incoming,) = await heard(chat, 1)
        missed = [await platform.does(Command("list")), await platform.does(Command("help"))]
        later = await heard(platform.adapter(), 2, chat.cursor(), {first})
        assert incoming.key == first
        assert [incoming.key for incoming in later] == missed

    async def test_what_people_say_to_each_other_in_its_thread_is_not_answered(self, platform: Platform) -> None:
        """The command that comes after it is the first thing that the bot is asked to do."""
        chat = platform.adapter()
        await chat.post(platform.place, Message("k", "hello"))
        if not await platform.chats("Shall we status quo it, or train on help pages next time?"):
            pytest.skip(f"{type(platform).__name__}: it tells the bot nothing else")
        key = await platform.does(Command("help"))
        (incoming,) = await heard(chat, 1)
        assert incoming.key == key
        assert [message.text for message in platform.seen_by(platform.bob)].count("hello") == 1

    async def test_a_thing_that_is_delivered_twice_has_the_same_key(self, platform: Platform) -> None:
        await platform.does(Command("status"))
        (first,) = await heard(platform.adapter(), 1)
        (again,) = await heard(platform.adapter(), 1)
        assert first.key == again.key

    async def test_a_file_arrives_byte_by_byte(self, platform: Platform, tmp_path: Path) -> None:
        content = bytes(range(256)) * 40
        await platform.adapter().download(platform.file(content), tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == content

    async def test_a_file_that_is_gone_says_so(self, platform: Platform, tmp_path: Path) -> None:
        with pytest.raises(Gone):
            await platform.adapter().download(Upload("no such file", "x.csv", 3), tmp_path / "file")

    async def test_a_file_that_the_bot_may_not_read_says_which_permission(
        self, platform: Platform, tmp_path: Path
    ) -> None:
        with pytest.raises(Denied) as denied:
            await platform.adapter().download(platform.closed_file(), tmp_path / "file")
        assert denied.value.permission

    async def test_somebody_is_called_by_name_and_who_is_not_known_by_the_id(self, platform: Platform) -> None:
        names = await platform.adapter().names({platform.ann.id, "nobody-of-that-name"})
        assert platform.ann.name in names and "nobody-of-that-name" in names

    async def test_people_are_in_groups(self, platform: Platform) -> None:
        assert await platform.adapter().groups(platform.ann)


Handle = Callable[[Incoming], Awaitable[Refusal | None]]


class listening:
    """The adapter listens while the block runs."""

    def __init__(self, chat: Chat, handler: Handle, since: str = "") -> None:
        self.chat, self.handler, self.since = chat, handler, since

    async def __aenter__(self) -> None:
        self.task = asyncio.ensure_future(self.chat.listen(self.handler, self.since))

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def heard(chat: Chat, count: int, since: str = "", before: Set[str] = frozenset()) -> list[Incoming]:
    """The next `count` things that the adapter delivers after `since`, without those of `before` that a platform
    delivers again, having had no answer to them."""
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        if incoming.key not in before:
            got.append(incoming)

    async with listening(chat, handler, since):
        await eventually(lambda: len(got) >= count)
        await asyncio.sleep(0)
    return got[:count]


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110  what is awaited lies on the other side of a real platform
            await asyncio.sleep(0.01)
