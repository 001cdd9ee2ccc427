"""Where the model of a run will go, made sure of before anything is trained."""

import math
from datetime import UTC, datetime

from bot import children
from bot.settings import Settings
from bot.talk.commands import Plan
from bot.talk.context import Context
from engine.hub import names
from engine.jobs import Target
from engine.refusal import Refusal

RIGHTS_S = 20.0
START_MINUTES = 3
"""Minutes that are paid for before and after the training: the image, the rows, the model."""
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


def executor(context: Context, request: Plan) -> str:
    """Where it will train; empty is the usual executor. Raises Refusal for one that the operator does not allow."""
    allowed = context.settings.executors
    if request.where and request.where not in allowed:
        raise Refusal(f"on={request.where} cannot be: runs train on {' or '.join(allowed)} here.", "on")
    return request.where


def price(context: Context, request: Plan, seconds: float) -> str:
    """What the run will cost where it trains, as a sentence; empty where nobody asks for money."""
    where = request.where or context.settings.executors[0]
    slots = [slot for slot in context.slots() if slot.executor in ("", where)]
    if not slots or not slots[0].usd_an_hour:
        return ""
    cost = math.ceil(seconds / 60 + START_MINUTES) / 60 * slots[0].usd_an_hour
    where_ = f"{where} ({slots[0].name}, {slots[0].usd_an_hour:.2f} USD an hour)"
    return f"It trains on {where_} and costs about {max(cost, 0.01):.2f} USD."


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
        answer = await children.ask(*words, timeout_s=RIGHTS_S, environment=settings.hub_environment())
    except Refusal as refusal:
        if refusal.field in ("token", "namespace"):
            raise
        return f"{refusal.text} A run may begin all the same; its model waits here until it can be pushed."
    doubt = str(answer.values.get("doubt", "")) if wanted.is_private else ""
    if not doubt:
        context.known[namespace] = context.clock()
    return doubt
