"""What was said: inbox, drafts, threads, outbox, and which run belongs to which thread.

Functions take a connection, so that several steps, of the engine's store too, can share one transaction.
"""

from bot.store.drafts import Draft, add_draft, draft, draft_id, take_draft
from bot.store.inbox import answered, cursor, forget_answered, receive, save_cursor, unanswered
from bot.store.outbox import Letter, give_up, is_due, postpone, said, say, sent, unsent
from bot.store.schedules import (
    Schedule,
    active_schedules,
    add_fire,
    add_schedule,
    fires,
    save_schedule,
    schedule,
    schedules,
)
from bot.store.tables import cursors, drafts, inbox, metadata, outbox, pending, thread_files, watches
from bot.store.team import (
    Approval,
    Deed,
    add_approval,
    add_deed,
    is_awaited,
    latest_deeds,
    subscribe,
    subscribers,
    subscriptions_of,
    take_approval,
    unsubscribe,
)
from bot.store.threads import ThreadFile, add_file, files, remove_file, set_pending, take_pending
from bot.store.watches import Watch, told, watch, watch_of, watched

__all__ = [
    "Approval",
    "Deed",
    "Draft",
    "Letter",
    "Schedule",
    "ThreadFile",
    "Watch",
    "active_schedules",
    "add_approval",
    "add_deed",
    "add_draft",
    "add_file",
    "add_fire",
    "add_schedule",
    "answered",
    "cursor",
    "cursors",
    "draft",
    "draft_id",
    "drafts",
    "files",
    "fires",
    "forget_answered",
    "give_up",
    "inbox",
    "is_awaited",
    "is_due",
    "latest_deeds",
    "metadata",
    "outbox",
    "pending",
    "postpone",
    "receive",
    "remove_file",
    "said",
    "save_cursor",
    "save_schedule",
    "say",
    "schedule",
    "schedules",
    "sent",
    "set_pending",
    "subscribe",
    "subscribers",
    "subscriptions_of",
    "take_approval",
    "take_draft",
    "take_pending",
    "thread_files",
    "told",
    "unanswered",
    "unsent",
    "unsubscribe",
    "watch",
    "watch_of",
    "watched",
    "watches",
]
