"""The app's own surfaces: its Home tab, and its first words in a channel."""

from typing import TYPE_CHECKING, Any

from adapters.chat.slack.api import Api
from adapters.chat.slack.blocks import plain
from adapters.chat.slack.reading import Bot, Payload, Where
from bot.chat import Command, Incoming, Message
from engine.data.types import NEEDS

if TYPE_CHECKING:
    from adapters.chat.slack.chat import SlackChat
    from adapters.chat.slack.receive import Receiver

OPEN_FORM = "open-form"
COMMAND = "say:"
WELCOME = (
    "I fine-tune language models here. Drop a CSV or JSONL in this channel and I answer in its thread: every mistake "
    "with its line, or a preview of what the model would see. `/finetune` opens a form, `/finetune example dpo` shows "
    "what a dataset looks like, `/finetune help` the rest."
)


async def publish(api: Api, user: str) -> None:
    await api.call("views.publish", user_id=user, view={"type": "home", "blocks": _home()})


def _home() -> list[dict[str, Any]]:
    methods = "\n".join(f"{method}: {', '.join(needs)}" for method, needs in NEEDS.items())
    return [
        {"type": "header", "text": plain("threadtune", 150)},
        {
            "type": "section",
            "text": plain(WELCOME.replace("in this channel", "in a channel that I am in, or here"), 3000),
        },
        {
            "type": "actions",
            "elements": [
                {"type": "button", "action_id": OPEN_FORM, "text": plain("Fine-tune a file", 75), "style": "primary"},
                _says("Runs", "list"),
                _says("Help", "help"),
            ],
        },
        {"type": "divider"},
        {"type": "section", "text": plain("The columns that each method reads\n" + methods, 3000)},
    ]


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
