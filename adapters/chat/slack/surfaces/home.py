"""The app's own surfaces: its Home tab, and its first words in a channel.

A person's Home tab is a place like another: three questions are asked there whenever it is opened, and the latest
answer to each stands in it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from adapters.chat.slack import blocks
from adapters.chat.slack.api import Api
from adapters.chat.slack.blocks import plain
from adapters.chat.slack.reading import Bot, Payload, Where
from bot.chat import Command, Incoming, Message, MessageId, Person, Place
from engine.data.types import NEEDS

if TYPE_CHECKING:
    from adapters.chat.slack.chat import SlackChat
    from adapters.chat.slack.receive import Receiver

OPEN_FORM = "open-form"
COMMAND = "say:"
PARTS = {"list": "Your runs", "queue": "The queue", "models": "The team's models"}
"""What is asked for the Home tab, and the heading that its answer stands under."""
MARK = "~"
MAX_BLOCKS = 100
WELCOME = (
    "I fine-tune language models here. Drop a CSV or JSONL in this channel and I answer in its thread: every mistake "
    "with its line, or a preview of what the model would see. `/finetune` opens a form, `/finetune example dpo` shows "
    "what a dataset looks like, `/finetune help` the rest."
)
ELSEWHERE = ("in this channel", "in a channel that I am in, or here")


def place(team: str, user: str, part: str) -> Place:
    return Place(f"{team}/{MARK}{user}/{part}")


def part_of(place_: Place) -> tuple[str, str] | None:
    """Whose Home tab a place is, and which part of it."""
    _, _, rest = place_.id.partition("/")
    user, _, part = rest.removeprefix(MARK).partition("/")
    return (user, part) if rest.startswith(MARK) else None


class Homes:
    """What stands in the Home tabs that were opened; a tab is asked for anew each time, so that nothing is kept."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.said: dict[str, dict[str, Message]] = defaultdict(dict)

    async def post(self, user: str, part: str, message: Message) -> MessageId:
        self.said[user][part] = message
        await self.publish(user)
        return MessageId(f"{MARK}{user}/{part}")

    async def edit(self, posted: MessageId, message: Message) -> None:
        user, _, part = posted.removeprefix(MARK).partition("/")
        await self.post(user, part, message)

    async def publish(self, user: str) -> None:
        shown = _home(self.said[user])[:MAX_BLOCKS]
        await self.api.call("views.publish", user_id=user, view={"type": "home", "blocks": shown})


async def opened(receiver: "Receiver", event: Payload) -> None:
    """At once what is known already, then the answers to the three questions."""
    user = event["user"]
    await receiver.quietly(receiver.chat.homes.publish(user))
    person: Person = await receiver.chat.people.person(user)
    key = f"slack/home/{user}/{event.get('event_ts', '')}"
    asked = (Incoming(f"{key}/{p}", place(receiver.me.team, user, p), person, Command(p)) for p in PARTS)
    await receiver.hand_over(*asked)


def _home(said: dict[str, Message]) -> list[dict[str, Any]]:
    methods = "\n".join(f"{method}: {', '.join(needs)}" for method, needs in NEEDS.items())
    return [
        {"type": "header", "text": plain("threadtune", 150)},
        {"type": "rich_text", "elements": list(blocks.listed(Message("", WELCOME.replace(*ELSEWHERE))))},
        {
            "type": "actions",
            "elements": [
                {"type": "button", "action_id": OPEN_FORM, "text": plain("Fine-tune a file", 75), "style": "primary"},
                _says("Help", "help"),
            ],
        },
        *(block for part, heading in PARTS.items() if part in said for block in _part(heading, said[part])),
        {"type": "divider"},
        {"type": "section", "text": plain("The columns that each method reads\n" + methods, 3000)},
    ]


def _part(heading: str, message: Message) -> Iterable[dict[str, Any]]:
    yield {"type": "divider"}
    yield {"type": "header", "text": plain(heading, 150)}
    yield {"type": "rich_text", "elements": list(blocks.listed(message))}


def _says(label: str, command: str) -> dict[str, Any]:
    """A button that says `/finetune command`, answered in the person's direct messages."""
    return {"type": "button", "action_id": f"say-{command}", "text": plain(label, 75), "value": COMMAND + command}


async def command(receiver: "Receiver", body: Payload, words: str) -> None:
    person = await receiver.person(body)
    direct = Where(await receiver.chat.people.direct(person.id))
    await receiver.hand_over(
        Incoming(f"slack/{body['trigger_id']}", direct.place(receiver.me.team), person, Command(words))
    )


async def welcome(chat: "SlackChat", me: Bot, channel: str) -> None:
    await chat.post(Where(channel).place(me.team), Message(f"slack/{channel}/welcome", WELCOME))
