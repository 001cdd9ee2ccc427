"""What every part of the conversation works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bot import store
from bot.chat import Chat, Message, Person, Place
from bot.settings import Settings
from bot.wording.run import for_readers_elsewhere
from engine.database import Database
from engine.executor import Slot
from engine.jobs import JobSpec, Run


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    chat: Chat
    clock: Callable[[], float] = time.time
    slots: Callable[[], list[Slot]] = list
    """What room there is to train, on which executors, and at what price."""
    known: dict[str, float] = field(default_factory=dict)
    """Namespaces of the Hub that we may push to, each with the time at which the Hub said so."""

    def shown(self, run: Run) -> Run:
        """The run as the people of this chat may be told of it: a link to this machine opens for nobody elsewhere."""
        return run if self.settings.people_are_local else for_readers_elsewhere(run)

    def asked(self, spec: JobSpec, person: Person, place: Place) -> JobSpec:
        """The spec as that person asks for it in that place."""
        return replace(spec, requester=person.id, group=place.id, channel=self.chat.channel(place))

    async def say(self, place: Place, message: Message) -> None:
        """Put a message on its way; the outbox carries it."""
        await self.database.write(store.say, place, message)
