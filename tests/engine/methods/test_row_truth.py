"""Rows used, cut and dropped are those that the preview announced: counted in the loop, by the real tokenizer.

Each method trains for real on files with rows that are too long and rows of which nothing is left, from CSV and from
JSONL, by a lora and whole, with held-out rows and without, by a template and plain; its loss falls and it loads.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.commands.preview import Wish, make_preview
from engine.data.checks import check
from engine.data.trainer_rows import write_trainer_rows
from engine.data.types import NEEDS, Preview
from engine.events import Event, read_events
from engine.folder import RunFolder
from engine.work.config import Order
from engine.work.start import spec_from
from engine.work.train import train
from tests.engine.data.tables import write_csv, write_jsonl

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the training libraries, about their own next versions
]

ROWS, LENGTH = 24, 48
LONG_ASK, LONG_ANSWER, SAME = 5, 11, 17
"""Rows with a question beyond `max_length`, with such an answer, and with two answers that differ beyond it."""
PLAIN_METHODS = ("clm", "mlm")
WAYS = (
    ("csv", "lora", "valid", "template"),
    ("jsonl", "lora", "none", "plain"),
    ("jsonl", "full", "valid", "plain"),
    ("csv", "full", "none", "template"),
)
"""Every two of {csv, jsonl} × {lora, full} × {valid, none} × {template, plain} meet."""


def row(method: str, number: int) -> Mapping[str, str]:
    ask = f"hello {number}" + " hello" * (120 if number == LONG_ASK else 0)
    same = " nice" * (120 if number == SAME else 0)
    good = f"nice to meet you{same} {number}" + " you" * (120 if number == LONG_ANSWER else 0)
    bad = f"go away{same} {number}" if number != SAME else f"nice to meet you{same} again"
    match method:
        case "reward":
            return {"text": f"human: {ask} bot: {good}", "rejected_text": f"human: {ask} bot: {bad}"}
        case "dpo" | "orpo":
            return {"prompt": ask, "text": good, "rejected_text": bad}
        case "kto":
            is_good = number % 2 == 0
            return {"prompt": ask, "text": good if is_good else bad, "label": str(is_good).lower()}
        case _:
            return {"text": f"human: {ask} bot: {good}"}


def write(path: Path, rows: list[Mapping[str, str]]) -> Path:
    return write_jsonl(path, rows) if path.suffix == ".jsonl" else write_csv(path, rows)


def words(method: str, lora: str, valid: str, template: str) -> Iterator[str]:
    yield from (f"max_length={LENGTH}", "epochs=6", "learning_rate=5e-3", "batch_size=4", "gradient_accumulation=1")
    yield f"lora={'on' if lora == 'lora' else 'off'}"
    yield f"valid={'20%' if valid == 'valid' else 'off'}"
    if method not in PLAIN_METHODS:
        yield f"template={'auto' if template == 'template' else 'none'}"


def announced_and_done(method: str, path: Path, given: tuple[str, ...], model: Path, run: RunFolder) -> Preview:
    """What the preview says of the file, and a training of it by the same spec in `run`."""
    run.data.mkdir(parents=True)
    check(path, method=method, arrow=run.source("train"))
    made = make_preview(Wish(path, method, str(model), given, None, as_json=True))
    run.write_spec(spec_from(Order(path, method, str(model)), made))
    run.model.symlink_to(model)
    write_trainer_rows(run, run.read_spec(), has_template=method != "mlm")
    assert train(run.path)
    return made


def counted(events: list[Event], sign: str) -> int:
    """The number that a warning begins with."""
    said = [event.data["text"] for event in events if event.kind == "warning" and sign in event.data["text"]]
    return int(said[0].split()[0]) if said else 0


@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pytest.mark.parametrize("method", NEEDS)
def test_the_loop_takes_the_rows_that_were_announced(
    method: str, way: tuple[str, str, str, str], causal: Path, masked: Path, tmp_path: Path
) -> None:
    suffix, *chosen = way
    path = write(tmp_path / f"rows.{suffix}", [row(method, number) for number in range(1, ROWS + 1)])
    run = RunFolder(tmp_path / "run")
    made = announced_and_done(method, path, tuple(words(method, *chosen)), masked if method == "mlm" else causal, run)
    events = read_events(run.attempts / "train-1/events.jsonl")
    assert events[-1].kind == "finished"
    assert made.rows_used + made.rows_dropped == ROWS
    assert (made.rows_held_out > 0) == (chosen[1] == "valid")
    dropped = counted(events, "were left out")
    assert events[-1].data["rows"] + dropped == ROWS - made.rows_held_out
    if chosen[1] == "none":
        assert (events[-1].data["rows"], dropped) == (made.rows_used, made.rows_dropped)
        assert counted(events, "were cut") == made.rows_truncated
        assert made.rows_truncated + made.rows_dropped > 0 or method in PLAIN_METHODS
    losses = [event.data["loss"] for event in events if event.kind == "step"]
    assert sum(losses[-4:]) < sum(losses[:4])
    weights = "adapter_model" if chosen[0] == "lora" else "model"
    assert (run.attempts / f"train-1/output/{weights}.safetensors").exists()
