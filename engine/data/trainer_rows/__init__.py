"""THE place where a file's row becomes a trainer's row (`rows`), and where a run's rows are written (`writing`)."""

from engine.data.trainer_rows.rows import (
    PLAIN_METHODS,
    TrainerRow,
    has_template_for,
    is_conversational,
    joined,
    keeps_marks,
    open_ended,
    trainer_row,
)
from engine.data.trainer_rows.writing import read_source, write_trainer_rows

__all__ = [
    "PLAIN_METHODS",
    "TrainerRow",
    "has_template_for",
    "is_conversational",
    "joined",
    "keeps_marks",
    "open_ended",
    "read_source",
    "trainer_row",
    "write_trainer_rows",
]
