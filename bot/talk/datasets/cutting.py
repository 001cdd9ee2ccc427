"""Rows of a draft that are too long for its model, cut where a sentence or a turn ends, and planned anew."""

from dataclasses import replace

from bot import store
from bot.chat import Incoming
from bot.store import Draft
from bot.talk import finetune
from bot.talk.context import Context
from bot.talk.datasets import reports, uploads
from bot.wording import help as help_words
from engine.refusal import Refusal

READING = ("template", "marks", "unescape")
"""Parameters by which a row has other tokens."""


async def cut(context: Context, incoming: Incoming, draft_id: str) -> None:
    """Mend the draft's file with its own model and max_length, and plan the draft on the mended one."""
    draft = await context.database.read(store.draft, draft_id, incoming.place)
    if draft is None:
        if not await context.database.read(store.draft, store.draft_id(incoming.key), incoming.place):
            await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))
        return
    before = uploads.report_of(context, draft.request.file)
    found = await uploads.fixed(context, incoming, draft.request.file, "cut_over_long", words_of(draft))
    if found.sha256 == before.sha256:
        raise Refusal(
            "None of the long rows can be cut so: they are one sentence each, or their prompts alone are too long. "
            "Raise max_length, or shorten them.",
            "max_length",
        )
    await reports.say_mended(context, incoming, before, found)
    await finetune.plan(context, incoming, replace(draft.request, file=found.sha256), draft)


def words_of(draft: Draft) -> tuple[str, ...]:
    """How the draft reads its rows, as words for the engine."""
    spec, request = draft.spec, draft.request
    named = {name: request.options[name] for name in READING if name in request.options}
    named |= {"max_length": str(spec.parameters["max_length"]), **request.columns}
    words = (f"{name}={value}" for name, value in named.items())
    return (*words, "--method", spec.method, "--model", spec.model.folder or spec.model.id)
