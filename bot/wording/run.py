"""What the bot says of a run: its one living message, its end, and the lists."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from bot.chat import Button, Chart, File, Message, Person, Table
from bot.wording import failure
from bot.wording.numbers import bar, count, duration, number, size, sparkline, turn
from bot.wording.plan import AS_YAML
from engine.jobs import Answer, Result, Run, Status
from engine.work.config import to_yaml

MAX_CELL = 200
OPEN = (Status.running, Status.queued, Status.waiting, Status.trained, Status.pushing)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
METRICS = {
    "eval_loss": "held-out loss",
    "eval_perplexity": "perplexity",
    "eval_reward_accuracy": "preferred rightly",
    "eval_reward_margin": "margin",
    "eval_log_odds_margin": "log-odds margin",
    "eval_masked_accuracy": "masks filled rightly",
}
"""The metrics that people are told, and in which words; the others are in the model card."""


def name(run: Run) -> str:
    return f"Run {run.id}"


def live(run: Run, position: int, now: float, wait_s: float | None = None) -> Message:
    """The one message that is edited in place while a run lives; `position` and `wait_s` as in `turn`."""
    return Message(
        f"run/{run.id}/live",
        "\n".join(_state(run, position, wait_s)),
        title=f"{name(run)} · {_phase(run)}",
        fields=tuple(_facts(run, now)),
        buttons=()
        if run.status.is_over or run.cancel
        else (*failure.push_again(run), Button("Cancel", f"cancel:{run.id}", "danger")),
    )


def kept(run: Run, person: Person) -> Message | None:
    """Said once where a model waits here in place of going to the Hub; None where none does."""
    if run.status is not Status.trained or not (run.held_at or run.due_at):
        return None
    if run.held_at:
        text = f"{subject(run)}\n{run.reason}\nOnce that is mended, push it again; nothing is trained anew."
        key, title = f"run/{run.id}/held/{run.held_at:.0f}", "trained, but not pushed"
    else:
        text = (
            f"{subject(run)}\nThe Hub cannot be reached for now. The trained model is kept here, and I push it by "
            "myself as soon as the Hub is back."
        )
        key, title = f"run/{run.id}/away", "trained, and waits for the Hub"
    mentions = (person,) if run.held_at else ()
    return Message(key, text, title=f"{name(run)} is {title}", buttons=failure.push_again(run), mentions=mentions)


def subject(run: Run) -> str:
    return f"{run.spec.method} on {run.spec.train.name} with {run.spec.model.id}"


def _phase(run: Run) -> str:
    if run.status in (Status.running, Status.pushing) and run.cancel:
        return "cancelling"
    return run.progress.phase or run.status.value if run.status == Status.running else run.status.value


def _state(run: Run, position: int, wait_s: float | None) -> Iterable[str]:
    yield subject(run)
    if run.status == Status.queued:
        yield turn(position, wait_s)
    if run.of:
        yield f"It goes back to run {run.of}."
    if run.reason:
        yield run.reason
    if run.held_at and not run.status.is_over:
        yield f"Once that is mended: `/finetune push {run.id}`."
    if run.due_at and not run.status.is_over:
        yield f"It is pushed once the Hub is back; `/finetune push {run.id}` tries at once."
    yield from run.progress.notices
    if run.again and not run.status.is_over:
        yield f"{run.again} It is started again."


def _facts(run: Run, now: float) -> Iterable[tuple[str, str]]:
    progress = run.progress
    if progress.total_bytes and not run.status.is_over:
        yield "Bytes", f"{size(progress.done_bytes)} of {size(progress.total_bytes)}"
    if progress.steps and not run.status.is_over:
        yield "Step", f"{bar(progress.step, progress.steps)} {progress.step:,} of {progress.steps:,}"
    if progress.loss is not None:
        yield "Loss", f"{number(progress.loss)} {sparkline(progress.losses)}".strip()
    if run.status is Status.running and "eval_loss" in run.result.metrics:
        yield "Held-out loss", number(run.result.metrics["eval_loss"])
    if run.status is Status.running and progress.learning_rate is not None:
        yield "Learning rate", number(progress.learning_rate)
    if run.status is Status.running and progress.grad_norm is not None:
        yield "Gradient norm", number(progress.grad_norm)
    if progress.tokens_per_s:
        yield "Speed", f"{progress.tokens_per_s:,.0f} tokens/s"
    if progress.memory_gb:
        yield "Memory", f"{number(progress.memory_gb)} GB at most"
    if progress.left_s and not run.status.is_over:
        yield "Left", duration(progress.left_s)
    if run.status.is_over and run.started_at:
        yield "Took", duration(run.ended_at - run.started_at)


def final(run: Run, person: Person, plot: Path | None, config: Path | None = None) -> Message:
    """The one message at the end: it mentions who asked, says what came of it, and brings the effective settings."""
    settings = (File(f"run-{run.id}.yaml", config),) if config else ()
    key = f"run/{run.id}/final"
    if run.status != Status.succeeded:
        return Message(
            key,
            f"{subject(run)}\n{run.reason}",
            title=f"{name(run)} {run.status.value}",
            buttons=failure.buttons(run),
            files=settings,
            mentions=(person,),
        )
    result = run.result
    return Message(
        key,
        "\n".join((subject(run), *_where(run))),
        title=f"{name(run)} succeeded",
        fields=(
            *_metrics(result),
            ("Took", f"{duration(run.ended_at - run.started_at)}, {duration(result.train_s)} of it training"),
        ),
        table=_answers(result),
        code=result.snippet,
        buttons=(Button("Try it", f"ask:{run.id}"),),
        files=(*((File(_picture(run), plot),) if plot else ()), *settings),
        mentions=(person,),
        chart=_chart(run),
    )


def _chart(run: Run) -> Chart | None:
    """The loss over the steps: the points that were kept stand at even distances."""
    losses, steps = run.progress.losses, run.progress.steps
    if len(losses) < 2:
        return None
    points = tuple((str(round((n + 1) * steps / len(losses))), loss) for n, loss in enumerate(losses))
    return Chart("Loss by step", points, _picture(run))


def _picture(run: Run) -> str:
    return f"run-{run.id}-loss.png"


def for_readers_elsewhere(run: Run) -> Run:
    """The run without what only opens on the bot's own machine: the page on a local Hub, and code that asks there."""
    if urlsplit(run.result.url).hostname not in LOOPBACK:
        return run
    return replace(run, result=replace(run.result, url="", snippet=""))


def _where(run: Run) -> Iterable[str]:
    result = run.result
    if not result.repo:
        yield f"The model stays on this server, in runs/{run.id} of the bot's data folder."
        yield f"`/finetune push {run.id}` brings it to the Hub, once HF_TOKEN and HF_NAMESPACE are set there."
        return
    if not result.url:
        yield f"The model is {result.repo} on the Hub of the bot's own machine, and can be opened there."
        return
    yield f"The model is at {result.url}"
    if result.is_private:
        yield "Private: members of the namespace can open it, and the code below needs their HF_TOKEN."
    else:
        yield "Public: anybody can open it."


def _metrics(result: Result) -> Iterable[tuple[str, str]]:
    for key, words in METRICS.items():
        if key in result.metrics:
            base = result.metrics.get(f"base_{key}")
            before = f"{_said(key, base)} → " if base is not None else ""
            yield words.capitalize(), before + _said(key, result.metrics[key])


def _said(key: str, value: float) -> str:
    return f"{value:.0%}" if key.endswith("accuracy") else number(value)


def _answers(result: Result) -> Table | None:
    if not result.answers:
        return None
    rows = tuple((_cut(a.prompt), _cut(a.base), _cut(a.tuned)) for a in result.answers)
    title = "The same held-out prompts" if result.are_answers_held_out else "The same prompts, from the training rows"
    return Table(("Prompt", "Before", "After"), rows, title)


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_CELL else flat[:MAX_CELL] + " …"


def card(run: Run, person: Person) -> Message:
    """For the team's channel: one card for each run that ended."""
    lines = [f"{subject(run)}, asked for by {person.name}", run.reason if run.reason else ""]
    link = [run.result.url or run.result.repo]
    return Message(
        f"run/{run.id}/card",
        "\n".join(filter(None, (*lines, *link))),
        title=f"{name(run)} {run.status.value}",
        fields=tuple(_metrics(run.result)),
    )


def listing(key: str, runs: Sequence[Run]) -> Message:
    if not runs:
        return Message(key, "No runs yet. Drop a CSV or JSONL here to begin.")
    rows = tuple((run.id, run.status.value, run.spec.method, run.spec.train.name, _short(run)) for run in runs)
    return Message(
        key,
        f"The last {count(len(runs), 'run')}.",
        table=Table(("Run", "State", "Method", "Data", "Where it stands"), rows),
    )


def queue(
    key: str, runs: Sequence[Run], seen: Collection[str], waits: Mapping[str, float], held: Mapping[str, str]
) -> Message:
    """`seen` are the runs that may be named here; `waits` the seconds until a queued one starts, if known; `held` why
    one may not start yet."""
    if not runs:
        return Message(key, "Nothing runs and nothing waits.")
    counts = Counter(run.status for run in runs)
    counted = [f"{counts[status]} {status}" for status in OPEN if counts[status]]
    rows = tuple(
        (run.id, run.status.value, subject(run), _when(run, waits, held))
        if run.id in seen
        else ("", run.status.value, "a run of another place", _when(run, waits, held))
        for run in runs
    )
    return Message(key, ", ".join(counted) + ".", table=Table(("Run", "State", "What", "When"), rows))


def _when(run: Run, waits: Mapping[str, float], held: Mapping[str, str]) -> str:
    if run.status is Status.queued:
        if wait_s := waits.get(run.id):
            return f"starts in about {duration(wait_s)}"
        return held.get(run.id) or ("next" if wait_s is not None else "not known yet")
    left_s = run.progress.left_s
    return f"about {duration(left_s)} left" if left_s else run.reason[:MAX_CELL]


def _short(run: Run) -> str:
    if run.result.repo:
        return run.result.url or run.result.repo
    if run.progress.steps and not run.status.is_over:
        return f"step {run.progress.step} of {run.progress.steps}"
    return run.reason[:MAX_CELL]


def unknown(key: str, run: str) -> Message:
    return Message(key, f"There is no run {run}. `/finetune list` shows the runs.")


def cancelling(key: str, run: Run) -> Message:
    words = "I am ending it." if not run.status.is_over else f"It had {run.status.value} already."
    return Message(key, f"{name(run)}: {words}")


def revoked(run: Run, person: Person, why: str) -> Message:
    text = f"It is cancelled: {person.name} may no longer start runs. {why}"
    return Message(f"run/{run.id}/revoked", text, title=name(run))


def queued_again(key: str, run: Run) -> Message:
    words = "goes on from the last checkpoint of" if run.resumes else "repeats"
    what = "pushes the model of" if run.done == "train" else words
    settings = "" if run.done == "train" else f"{AS_YAML}\n{to_yaml(run.spec).strip()}"
    return Message(key, f"Run {run.id} {what} run {run.of}.", code=settings)


def pushing_again(key: str, run: Run) -> Message:
    return Message(key, f"{name(run)}: I push its model again.")


def logs(key: str, run: str, tail: str, file: Path | None) -> Message:
    files = (File(f"run-{run}-log.txt", file),) if file else ()
    return Message(
        key, f"The last lines of run {run}." if tail else f"Run {run} has no log yet.", code=tail, files=files
    )


def answer_rows(answers: Sequence[Answer]) -> list[dict[str, str]]:
    return [{"prompt": a.prompt, "expected": a.expected, "base": a.base, "tuned": a.tuned} for a in answers]
