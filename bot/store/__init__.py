"""What was said: inbox, drafts, threads, outbox, and which run belongs to which thread.

Functions take a connection, so that several steps, of the engine's store too, can share one transaction.
"""

from bot.store.drafts import Draft, add_draft, draft, draft_id, take_draft
from bot.store.inbox import answered, cursor, receive, save_cursor, unanswered
from bot.store.outbox import Letter, give_up, is_due, postpone, said, say, sent, unsent
from bot.store.tables import cursors, drafts, inbox, metadata, outbox, pending, thread_files, watches
from bot.store.threads import ThreadFile, add_file, files, set_pending, take_pending
from bot.store.watches import Watch, told, watch, watch_of, watched

__all__ = [
    "Draft",
    "Letter",
    "ThreadFile",
    "Watch",
    "add_draft",
    "add_file",
    "answered",
    "cursor",
    "cursors",
    "draft",
    "draft_id",
    "drafts",
    "files",
    "give_up",
    "inbox",
    "is_due",
    "metadata",
    "outbox",
    "pending",
    "postpone",
    "receive",
    "said",
    "save_cursor",
    "say",
    "sent",
    "set_pending",
    "take_draft",
    "take_pending",
    "thread_files",
    "told",
    "unanswered",
    "unsent",
    "watch",
    "watch_of",
    "watched",
    "watches",
]
