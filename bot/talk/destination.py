"""Where the model of a run will go, made sure of before anything is trained."""

from datetime import UTC, datetime

from bot import children
from bot.talk.context import Context
from engine.hub import names
from engine.jobs import Target
from engine.refusal import Refusal

RIGHTS_S = 20.0
KNOWN_S = 600.0
"""How long an answer of the Hub about our token is believed."""


def target(context: Context, file: str, method: str) -> Target:
    """The repo that a run on that file will get, unless it is taken by then; none where nothing is pushed."""
    if not context.settings.can_push:
        return Target()
    day = datetime.fromtimestamp(context.clock(), UTC).date()
    return Target(names.repo_name(context.settings.hf_namespace, file, method, day))


async def check(context: Context) -> str:
    """Ask the Hub whether we may push; a doubt in words, or empty. Raises Refusal for what has to be mended first.

    That the Hub cannot be reached is only a doubt: the training may begin meanwhile.
    """
    settings = context.settings
    if not settings.can_push or context.clock() - context.known.get(settings.hf_namespace, -KNOWN_S) < KNOWN_S:
        return ""
    try:
        words = ("rights", settings.hf_namespace)
        await children.ask(*words, timeout_s=RIGHTS_S, environment=settings.hub_environment())
    except Refusal as refusal:
        if refusal.field in ("token", "namespace"):
            raise
        return f"{refusal.text} A run may begin all the same; its model waits here until it can be pushed."
    context.known[settings.hf_namespace] = context.clock()
    return ""
