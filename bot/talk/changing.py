"""A draft's settings, changed by the form behind its button."""

from collections.abc import Mapping
from dataclasses import replace

from bot import store
from bot.chat import Incoming, Press
from bot.talk import finetune
from bot.talk.commands import Plan, parse
from bot.talk.context import Context
from bot.wording import help as help_words
from bot.wording import plan as words
from engine.plan import parameters
from engine.refusal import Refusal


async def settings(context: Context, incoming: Incoming, draft_id: str) -> None:
    """Plan a draft anew as the form behind its button says; what was left as it was stays the bot's to choose."""
    values = incoming.what.values if isinstance(incoming.what, Press) else {}
    draft = await context.database.read(store.draft, draft_id, incoming.place)
    if draft is None:
        if not await context.database.read(store.draft, store.draft_id(incoming.key), incoming.place):
            await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))
        return
    now = {name: words.value(value) for name, value in draft.spec.parameters.items()}
    named = {name: text.strip() for name, text in values.items() if name in words.ASKED and text.strip()}
    changed = {name: text for name, text in named.items() if text != now.get(name)}
    others = parse(f"{draft.request.method} {values.get(words.OTHERS, '')}")
    if not isinstance(others, Plan):
        raise Refusal("Others are written as name=value, as in valid=10% seed=7.", words.OTHERS)
    await finetune.plan(context, incoming, merged(draft.request, changed, others), draft)


def merged(before: Plan, changed: Mapping[str, str], others: Plan) -> Plan:
    """The request with what was changed. Raises Refusal for a value that cannot be."""
    parameters.parse(changed, before.method)
    return replace(
        before,
        options={**before.options, **changed, **others.options},
        columns={**before.columns, **others.columns},
        model=others.model or before.model,
        repo=others.repo or before.repo,
        push=others.push if others.push != "on" else before.push,
    )
