"""What is true: uploads, runs, attempts, events. Each function takes a connection, so that a caller can put several
steps of both stores into one transaction.

Specs and runs are JSON of their dataclasses; what is searched for has a column of its own.
"""

from engine.store.files import StoredUpload, add_upload, upload
from engine.store.heard import add_events, events
from engine.store.jobs import (
    OPEN,
    add_run,
    ask_cancel,
    count_open,
    ended_runs,
    is_run_id,
    open_runs,
    queue_run,
    recent_runs,
    run,
    save_run,
    wake,
)
from engine.store.queue import in_turn, position, starts, turns
from engine.store.tables import attempts_table, events_table, metadata, runs, uploads
from engine.store.tried import Tried, add_attempt, attempts, end_attempt, open_attempts

__all__ = [
    "OPEN",
    "StoredUpload",
    "Tried",
    "add_attempt",
    "add_events",
    "add_run",
    "add_upload",
    "ask_cancel",
    "attempts",
    "attempts_table",
    "count_open",
    "end_attempt",
    "ended_runs",
    "events",
    "events_table",
    "in_turn",
    "is_run_id",
    "metadata",
    "open_attempts",
    "open_runs",
    "position",
    "queue_run",
    "recent_runs",
    "run",
    "runs",
    "save_run",
    "starts",
    "turns",
    "upload",
    "uploads",
    "wake",
]
