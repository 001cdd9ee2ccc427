"""Where the model of a run will go, made sure of before anything is trained."""

from datetime import UTC, datetime

from bot import children
from bot.settings import Settings
from bot.talk.commands import Plan
from bot.talk.context import Context
from engine.hub import names
from engine.jobs import Target
from engine.refusal import Refusal

RIGHTS_S = 20.0
KNOWN_S = 600.0
"""How long an answer of the Hub about our token is believed."""


def target(context: Context, request: Plan, file: str) -> Target:
    """Where the model of a run on that file will go; nowhere where nothing is pushed.

    Raises Refusal for a repo that is named and cannot be, or lies where the operator lets nobody push.
    """
    settings = context.settings
    if not settings.can_push or request.push == "off":
        return Target()
    if request.repo:
        return Target(named(settings, request.repo), settings.hf_private, True, request.push == "pr")
    day = datetime.fromtimestamp(context.clock(), UTC).date()
    return Target(names.repo_name(settings.namespaces[0], file, request.method, day), settings.hf_private)


def named(settings: Settings, word: str) -> str:
    """The repo that somebody asked for."""
    repo = names.check(word if "/" in word else f"{settings.namespaces[0]}/{word}")
    if repo.split("/")[0] not in settings.namespaces:
        raise Refusal(f"Models go to {' or '.join(settings.namespaces)} here, so not to {repo}.", "repo")
    return repo


async def check(context: Context, wanted: Target) -> str:
    """Ask the Hub whether we may push; a doubt in words, or empty. Raises Refusal for what has to be mended first.

    That the Hub cannot be reached is only a doubt: the training may begin meanwhile.
    """
    settings, namespace = context.settings, wanted.repo.split("/")[0]
    if not namespace or context.clock() - context.known.get(namespace, -KNOWN_S) < KNOWN_S:
        return ""
    try:
        words = ("rights", namespace)
        await children.ask(*words, timeout_s=RIGHTS_S, environment=settings.hub_environment())
    except Refusal as refusal:
        if refusal.field in ("token", "namespace"):
            raise
        return f"{refusal.text} A run may begin all the same; its model waits here until it can be pushed."
    context.known[namespace] = context.clock()
    return ""
