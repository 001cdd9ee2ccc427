"""Files that are dropped in a channel where not every file is meant for the bot (SLACK_DROPS)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from adapters.chat.slack.reading import Payload, is_direct, pressed_at, upload
from adapters.chat.slack.surfaces.forms import ENDINGS
from bot.chat import Button, Command, Incoming, Message, Upload

if TYPE_CHECKING:
    from adapters.chat.slack.chat import SlackChat
    from adapters.chat.slack.receive import Receiver

TAKE = "take-file~"


def sorted_out(drops: str, things: Iterable[Incoming], channel: str) -> tuple[list[Incoming], list[Incoming]]:
    """What is done at once, and the files that the bot asks about first. A file beside words to the bot, or in a
    direct message, is meant for it."""
    all_ = list(things)
    is_meant = is_direct(channel) or any(isinstance(one.what, Command) for one in all_)
    if drops == "auto" or is_meant:
        return all_, []
    asked = [one for one in all_ if isinstance(one.what, Upload) and one.what.name.lower().endswith(ENDINGS)]
    return [], asked if drops == "ask" else []


async def ask(chat: "SlackChat", incoming: Incoming) -> None:
    """One line in the file's thread, with the button that has it checked."""
    button = Button("Check it", TAKE + incoming.key, "primary")
    name = incoming.what.name if isinstance(incoming.what, Upload) else "it"
    await chat.post(incoming.place, Message(f"{incoming.key}/ask", f"Is {name} training data?", buttons=(button,)))


async def taken(receiver: "Receiver", body: Payload, value: str) -> None:
    """The file, as if it had been taken when it was dropped: pressed twice, it is one thing."""
    key = value.removeprefix(TAKE)
    info = (await receiver.chat.api.call("files.info", file=key.rpartition("/")[2]))["file"]
    place = pressed_at(body).place(receiver.me.team)
    await receiver.do(Incoming(key, place, await receiver.person(body), upload(info)))
