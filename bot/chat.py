"""PORT: a chat platform, and the values that pass through it.

Adapters implement it; `tests/contract` says what they owe.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, Protocol

from engine.refusal import Refusal

MessageId = NewType("MessageId", str)
"""What a platform calls a message that was posted; opaque."""


@dataclass(frozen=True)
class Place:
    """A thread, a channel, or a person's direct messages; only its adapter can read `id`."""

    id: str


@dataclass(frozen=True)
class Person:
    """`is_guest` is somebody who is no full member: a guest, or of another organisation."""

    id: str
    name: str
    is_guest: bool = False


@dataclass(frozen=True)
class Upload:
    """A file that somebody attached. Its bytes stay on the platform until `Chat.download`; `size` is in bytes."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Command:
    """The words after `/finetune`, as typed; forms of a platform are turned into the same words."""

    text: str


@dataclass(frozen=True)
class Press:
    """Somebody pressed the button that carries `action`; `values` is what its form came back with, by field."""

    action: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Incoming:
    """One thing that somebody did. `key` is the same when a platform delivers it twice."""

    key: str
    place: Place
    person: Person
    what: Command | Press | Upload


@dataclass(frozen=True)
class Field:
    """A line of a form, filled with `value` at first; `choices` make it a select, `is_long` a box for several lines."""

    name: str
    label: str
    value: str = ""
    choices: tuple[str, ...] = ()
    is_long: bool = False


@dataclass(frozen=True)
class Button:
    """`style` is `primary`, `danger` or empty. With `form` (at most five fields), pressing it opens that form first."""

    label: str
    action: str
    style: str = ""
    form: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class File:
    """A file to attach: the name that people see, and where its bytes lie."""

    name: str
    path: Path


@dataclass(frozen=True)
class Chart:
    """A line of points, each with its label. Where a platform draws none, the message's file `picture` shows it."""

    title: str
    points: tuple[tuple[str, float], ...]
    picture: str = ""


@dataclass(frozen=True)
class Message:
    """What the bot says. Plain text throughout: each adapter escapes it, so nothing in it can ping, link or format.

    `key` names the message for ever: posting it again, after a crash or a lost answer, posts nothing new.
    `fields` are short facts (name, value); `code` is a block shown as it stands, in a fixed-width font;
    with `only_for`, only that person sees it; `is_silent` asks the platform to notify nobody.
    """

    key: str
    text: str
    title: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    code: str = ""
    buttons: tuple[Button, ...] = ()
    files: tuple[File, ...] = ()
    mentions: tuple[Person, ...] = ()
    only_for: Person | None = None
    is_silent: bool = False
    chart: Chart | None = None


class Gone(Exception):
    """The place or the message is no longer there: deleted, archived, or the bot was removed."""


class Denied(Exception):
    """The platform does not let the bot do this; `permission` is what it lacks, in the platform's word."""

    def __init__(self, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


class Lapsed(Refusal):
    """The platform no longer takes the bot's token: nothing is heard or said until the operator puts in another."""


class TryLater(Exception):
    """The platform asks to wait `seconds` before the same call."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"try again in {seconds:g} s")
        self.seconds = seconds


Handler = Callable[[Incoming], Awaitable[Refusal | None]]
"""Returns once the incoming thing is safely stored; only then does the adapter acknowledge it.
A Refusal means that nothing was stored: the adapter shows it to the person, at its field where there is one."""


class Chat(Protocol):
    pace_s: float
    """The shortest time between two edits of one message."""

    async def listen(self, handler: Handler, since: str) -> None:
        """Deliver what people do, beginning with what happened after `since` (a cursor of this adapter, empty
        at first), until the adapter ends or the task is cancelled. May raise Refusal, or later Lapsed."""

    def cursor(self) -> str:
        """Where `listen` stands: everything up to here was handed over. Stored by the bot."""

    async def post(self, place: Place, message: Message) -> MessageId:
        """Post once per `message.key`: a second call returns the first one's id. May raise Gone, Denied, TryLater."""

    async def edit(self, posted: MessageId, message: Message) -> None:
        """Replace a message by `message`. May raise Gone, Denied, TryLater."""

    async def download(self, upload: Upload, target: Path) -> None:
        """Write the upload's bytes to `target`. May raise Gone, Denied, TryLater."""

    async def groups(self, person: Person) -> frozenset[str]:
        """The roles or user groups that the person is in."""

    async def names(self, ids: Collection[str]) -> list[str]:
        """What people call these people and groups, sorted; one that is not known stands as its id. Plain text."""

    def channel(self, place: Place) -> str:
        """The channel that a place lies in, the same for all its threads; direct messages are one as well."""

    async def is_private(self, place: Place) -> bool:
        """Whether only some of the platform's members can read there; a place that is not known is private."""
