"""The card of a run that failed: the buttons that start a mended one, or show what has to be mended first."""

from collections.abc import Iterator
from pathlib import Path

from bot.chat import Button, File, Message
from bot.wording.numbers import count, number
from bot.wording.report import short
from engine.jobs import Run, Status
from engine.plan.mending import Mend, mends


def buttons(run: Run) -> tuple[Button, ...]:
    """At most two; each starts the mended run at once, except where rows or model have to be chosen first."""
    if run.status is Status.failed and run.trouble in ("data", "model") and run.done != "train":
        return tuple(_choices(run))
    if run.done == "train":
        return push_again(run)
    made = mends(run)
    starts = [
        Button(_label(run, mend), f"mend:{run.id}:{mend.name}", "primary" if mend is made[0] else "") for mend in made
    ]
    if run.status is Status.failed and run.trouble == "nan":
        starts.append(Button("Show that step's rows", f"rows:{run.id}"))
    if run.status is Status.cancelled and run.progress.saved_step and run.done != "train":
        starts.append(Button(f"Go on from step {run.progress.saved_step:,}", f"resume:{run.id}"))
    return tuple(starts)


def push_again(run: Run) -> tuple[Button, ...]:
    """The button that pushes a model that waits here."""
    waits = run.held_at or run.due_at or (run.status in (Status.failed, Status.cancelled) and run.done == "train")
    is_due = waits and run.spec.target.repo
    return (Button("Push again", f"push:{run.id}", "primary"),) if is_due else ()


def rejected(key: str, run: str, rows: int, file: Path) -> Message:
    """The rows that a training could not use."""
    text = f"{count(rows, 'row')} of run {run}, each with its number in the file and why it stands here."
    return Message(key, text, files=(File(f"run-{run}-rows.jsonl", file),))


def _choices(run: Run) -> Iterator[Button]:
    source = run.spec.train
    if run.trouble == "data":
        yield Button("Show the rows", f"rows:{run.id}", "primary")
        yield Button("Plan it anew", f"plan:{short(source.sha256)}:{run.spec.method}")
    else:
        yield Button("Plan it with the usual model", f"plan:{short(source.sha256)}:{run.spec.method}", "primary")


def _label(run: Run, mend: Mend) -> str:
    where = f", from step {run.progress.saved_step:,}" if mend.resumes else ""
    match mend.name:
        case "half":
            values = mend.changes
            return f"Start with batches of {values['batch_size']} × {values['gradient_accumulation']}{where}"
        case "int4":
            return "Start with the base in 4 bits"
        case "short":
            return f"Start with rows of {mend.changes['max_length']:,} tokens at most"
        case "rate":
            return f"Start with learning_rate {number(float(mend.changes['learning_rate']))}{where}"
        case "resume":
            return f"Go on{where.removeprefix(',')}"
        case _:
            return "Start it again"
