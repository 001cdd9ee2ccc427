"""Each method by every pair of {lora, full} × {with, without held-out rows} × {turns by a template, plain texts}.

The pairs with the rows that `rows_for` gives are in `test_methods`, those of files without held-out rows in
`test_tables`; what is left of the pairs needs two trainings a method, on rows of the other form.
"""

from pathlib import Path

import pytest

from engine.data.types import NEEDS
from engine.events import read_events
from engine.work.train import train
from tests.engine.methods.conftest import assistant, user
from tests.mini import Row, make_run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the libraries, about their next versions


def other_rows(method: str) -> list[Row]:
    return [other_row(method, number) for number in range(16)]


def other_row(method: str, number: int) -> Row:
    """A row of the form that `row_for` does not give: plain texts for what has turns there, and turns for the rest."""
    hello, nice, bad = f"hello {number}", " nice to meet you", f" go away {number}"
    match method:
        case "sft":
            return {"text": f"human: {hello} bot:{nice}"}
        case "clm" | "mlm":
            return {"messages": [user(hello), assistant(nice.strip())]}
        case "reward":
            return {"chosen": f"{hello}{nice}", "rejected": f"{hello}{bad}"}
        case "kto":
            return {"prompt": hello, "completion": nice if number % 2 else bad, "label": bool(number % 2)}
        case "dpo":
            return {"prompt": hello, "chosen": nice, "rejected": bad}
        case _:
            prompt = [user(hello)]
            return {"prompt": prompt, "chosen": [assistant(nice.strip())], "rejected": [assistant(bad.strip())]}


@pytest.mark.parametrize(
    ("is_lora", "held_out"), [(True, 4), (False, 0)], ids=["lora, held out", "full, none held out"]
)
@pytest.mark.parametrize("method", NEEDS)
def test_a_pair_of_choices_trains_every_row_and_its_model_loads(
    method: str, is_lora: bool, held_out: int, causal: Path, encoder: Path, tmp_path: Path
) -> None:
    base, rows = encoder if method == "mlm" else causal, other_rows(method)
    settings = {"epochs": 3, "learning_rate": 5e-3, "batch_size": 4, "lora": is_lora}
    run = make_run(tmp_path / "run", method, base, rows, rows[:held_out], **settings)
    assert train(run.path)  # which loads what it saved, and asks it
    events = read_events(run.attempts / "train-1" / "events.jsonl")
    losses = [event.data["loss"] for event in events if event.kind == "step"]
    assert len(losses) == 12 and sum(losses[-4:]) < sum(losses[:4])
    assert events[-1].data["rows"] == len(rows)
    assert (run.attempts / "train-1/output/adapter_model.safetensors").exists() is is_lora
    assert bool(set(events[-1].data["metrics"]) - {"train_loss"}) is bool(held_out)
