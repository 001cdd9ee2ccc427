"""Two runs side by side."""

from bot.chat import Incoming
from bot.talk.context import Context
from bot.talk.runs import shown
from bot.talk.trying import Compare
from bot.wording import ask as words


async def compare(context: Context, incoming: Incoming, request: Compare) -> None:
    left, right = [await shown.find(context, incoming, run) for run in request.runs]
    if left and right:
        key = f"{incoming.key}/answer"
        await context.say(incoming.place, words.compared(key, context.shown(left), context.shown(right)))
