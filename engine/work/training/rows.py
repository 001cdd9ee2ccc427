"""The rows of a run's folder, as tokens (`engine.data.encoding` says how), for the trainers.

Tokenised here and not by the trainers: they drop rows without a word, and disagree on where an answer begins.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from engine.data.encoding import IGNORED, Encoded, Row
from engine.folder import REJECTED
from engine.work.speed.kept import kept
from engine.work.training.task import Failure, Task

MOST_LEFT = 1_000
"""Rows that are listed: more would say no more."""


def read_rows(path: Path) -> list[Row]:
    """The rows of an Arrow stream file. Raises Failure where there is none."""
    import pyarrow as pa

    if not path.exists():
        raise Failure("data", f"The rows are missing: there is no {path.name} in the run's folder. Start it again.")
    with pa.memory_map(str(path)) as source:
        rows: list[Row] = pa.ipc.open_stream(source).read_all().to_pylist()
    return rows


def read_held_out(task: Task) -> list[Row]:
    """The rows to measure on; none where the run holds none out."""
    path = task.folder.rows("valid")
    return read_rows(path) if path.exists() else []


def encode_all(task: Task, rows: Iterable[Row], encode: Callable[[Row], Encoded | None]) -> list[Encoded]:
    """`encode` of each row; a row of which nothing is left to learn is dropped. Both cut and dropped rows are told."""
    encoded = kept(task, task.folder.rows("train"), lambda: [encode(row) for row in rows])
    used = [item for item in encoded if item is not None]
    leave_out(task, {item["row"] for item in used})
    check_any(used)
    cut = sum(bool(item["is_cut"]) for item in used)
    if cut:
        task.report("warning", text=f"{cut} rows are longer than {task.whole('max_length')} tokens and were cut.")
    if len(used) < len(encoded):
        task.report("warning", text=f"{len(encoded) - len(used)} rows were left out: nothing in them can be learned.")
    return used


def leave_out(task: Task, used: set[int]) -> None:
    """Leave a list of the rows of which nothing is learned, if there are any."""
    why = f"nothing of it is left to learn within max_length={task.whole('max_length')}"
    left = [row for row in read_rows(task.folder.rows("train")) if row["row"] not in used]
    leave_rows(task, left, why)


def leave_step(task: Task, step: int, numbers: set[int]) -> None:
    """Leave a list of the rows of a step whose loss is no number."""
    rows = (row for row in read_rows(task.folder.rows("train")) if row["row"] in numbers)
    leave_rows(task, rows, f"it was learned in step {step}, whose loss is no number")


def leave_rows(task: Task, rows: Iterable[Row], why: str) -> None:
    """Write rows with their number in the file into the attempt's folder, for whoever asks what was wrong with them."""
    lines = [json.dumps({"row": row["row"], "why": why, **row}, ensure_ascii=False) for row in islice(rows, MOST_LEFT)]
    if lines and os.environ.get("RANK", "0") == "0":
        (task.attempt.folder / REJECTED).write_text("\n".join(lines) + "\n", encoding="utf-8")


def encode_held_out(rows: Iterable[Row], encode: Callable[[Row], Encoded | None]) -> list[Encoded]:
    return [item for item in map(encode, rows) if item is not None]


def to_dataset(encoded: Sequence[Encoded], names: Sequence[str]) -> Any:
    """The named columns as a dataset in memory; `length` is the tokens of a row, for batches of like lengths."""
    from datasets import Dataset

    columns = {name: [item[name] for item in encoded] for name in names}
    if "row" in encoded[0]:
        columns["row"] = [item["row"] for item in encoded]
    ids = [name for name in names if name.endswith("_ids")]
    lengths = [sum(len(item[name]) for name in ids) for item in encoded]
    return Dataset.from_dict({**columns, "length": lengths})


def rehearse(trainer: Any, batch: int) -> None:
    """Collate one batch before anything is measured or trained. Raises Failure where nothing in it would be learned."""
    rows = [trainer.train_dataset[index] for index in range(min(batch, len(trainer.train_dataset)))]
    made = trainer.data_collator(rows)
    learned = [made[name] != IGNORED for name in ("labels", "chosen_labels") if name in made]
    learned += [made[name] == 1 for name in ("completion_mask",) if name in made]
    if learned and not any(bool(mask.any()) for mask in learned):
        raise Failure(
            "data",
            "Nothing in the first batch would be learned: every label is masked. The rows hold no answer within "
            "max_length, or the template marks none.",
        )


def to_packed(encoded: Sequence[Encoded], names: Sequence[str], max_length: int) -> Any:
    """Short rows put together in rows of at most `max_length` tokens; `rows` says of each token whose it is."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    columns = {name: [item[name] for item in encoded] for name in names}
    owners = [[item["row"]] * len(item[names[0]]) for item in encoded]
    return pack_dataset(Dataset.from_dict({**columns, "rows": owners}), max_length, "bfd")


def check_any(encoded: Sequence[Encoded]) -> None:
    if not encoded:
        raise Failure("data", "No row has anything to learn: they are empty, or max_length cuts all that is learned.")
