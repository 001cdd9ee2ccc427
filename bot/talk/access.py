"""Who may do what: asked again at each step, of the platform itself, since roles change."""

from bot.chat import Person
from bot.talk.context import Context
from engine.jobs import Run
from engine.refusal import Refusal


async def check_may_start(context: Context, person: Person) -> None:
    """Raises Refusal for somebody whom MAY_START leaves out."""
    if not await _is_among(context, person, context.settings.may_start):
        raise Refusal("Starting runs is for others here: MAY_START, in the bot's settings, says for whom.")


async def check_may_end(context: Context, person: Person, run: Run) -> None:
    """Raises Refusal for somebody who would end another's run and whom MAY_END_OTHERS leaves out."""
    is_own = run.spec.requester == person.id
    if not is_own and not await _is_among(context, person, context.settings.may_end_others):
        raise Refusal(f"Run {run.id} is somebody else's; whoever started it can end it, or whom MAY_END_OTHERS names.")


async def _is_among(context: Context, person: Person, names: str) -> bool:
    """Whether the comma-separated ids name this person or a group that they are in; no names at all mean everybody."""
    allowed = {name.strip() for name in names.split(",") if name.strip()}
    return not allowed or person.id in allowed or bool(allowed & await context.chat.groups(person))
