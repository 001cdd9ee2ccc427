"""Who may do what: asked again at each step, of the platform itself, since roles change.

Default: full members of the channels that the bot is in may check and start, end their own runs, and see what is in
their threads; guests and people of other organisations may nothing. Admins may everything.
"""

from bot.chat import Denied, Gone, Incoming, Person, TryLater
from bot.talk.context import Context
from bot.team.places import is_among
from bot.wording import team as words
from engine.jobs import Run
from engine.refusal import Refusal


async def check_may_talk(context: Context, incoming: Incoming) -> None:
    """Raises Refusal for guests, and in channels where the bot is not to work."""
    settings = context.settings
    if settings.people_are_local:
        return
    if incoming.person.is_guest:
        raise Refusal(
            "I work for full members only, not for guests or people of other organisations. If you are a full member, "
            "the platform did not tell me so in time: try it again."
        )
    channels = names_in(settings.channels)
    if channels and not is_among(incoming.place, {*channels, settings.team_channel}):
        raise Refusal("I do not work in this channel; CHANNELS, in my settings, says where I do.")


async def check_may_start(context: Context, person: Person) -> None:
    """Raises Refusal for somebody whom MAY_START leaves out."""
    allowed = context.settings.may_start
    if allowed and not await is_one_of(context, person, f"{allowed},{context.settings.admins}"):
        who = await named(context, f"{allowed},{context.settings.admins}")
        raise Refusal(f"Starting runs is for others here: for {who} (MAY_START, ADMINS). Ask one of them to start it.")


async def check_may_end(context: Context, person: Person, run: Run) -> None:
    """Raises Refusal for somebody who would end another's run and is neither an admin nor in MAY_END_OTHERS."""
    is_own = run.spec.requester == person.id
    others = f"{context.settings.may_end_others},{context.settings.admins}"
    if not is_own and not context.settings.people_are_local and not await is_one_of(context, person, others):
        who = await named(context, others)
        raise Refusal(
            f"Run {run.id} is somebody else's: whoever started it can end it, an admin (ADMINS), or whom "
            f"MAY_END_OTHERS names, which is {who} here."
        )


async def is_admin(context: Context, person: Person) -> bool:
    return context.settings.people_are_local or await is_one_of(context, person, context.settings.admins)


async def check_is_admin(context: Context, person: Person) -> None:
    if not await is_admin(context, person):
        who = await named(context, context.settings.admins)
        raise Refusal(f"That is for admins, which is {who} here (ADMINS, in the bot's settings).")


async def check_may_approve(context: Context, person: Person, run: Run) -> None:
    """Raises Refusal for who is no approver, and for who asked for the run: it takes a second person."""
    allowed = f"{context.settings.approvers},{context.settings.admins}"
    if not await is_one_of(context, person, allowed):
        who = await named(context, allowed)
        raise Refusal(f"Approving is for admins and for whom APPROVERS names, which is {who} here.")
    if run.spec.requester == person.id:
        raise Refusal("You asked for this run yourself; it takes a second person to approve it.")


async def approvers(context: Context, person: Person) -> list[str]:
    """What people call those who may approve a run of this person."""
    allowed = names_in(f"{context.settings.approvers},{context.settings.admins}")
    return await _called(context, allowed - {person.id})


async def named(context: Context, names: str) -> str:
    """Those of a setting, as people call them; `nobody` where it is empty."""
    return words.listed(await _called(context, names_in(names))) or "nobody"


async def _called(context: Context, ids: set[str]) -> list[str]:
    """A platform that tells no names keeps nobody from being refused."""
    try:
        return await context.chat.names(ids)
    except (Denied, Gone, TryLater):
        return sorted(ids)


async def is_one_of(context: Context, person: Person, names: str) -> bool:
    """Whether the comma-separated ids name this person or a group that they are in; no names name nobody."""
    allowed = names_in(names)
    return person.id in allowed or bool(allowed and allowed & await context.chat.groups(person))


def names_in(names: str) -> set[str]:
    return {name.strip() for name in names.split(",") if name.strip()}
