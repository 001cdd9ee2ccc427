"""What the bot says while a model is tried, and of two runs side by side."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from bot.chat import Button, Field, Message, Table
from bot.wording.numbers import count, duration, number
from bot.wording.plan import value
from bot.wording.run import METRICS, name
from engine.jobs import Answer, Run
from engine.work.asking.questions import AT_WORK, Question

MAX_ANSWER = 900
MAX_CELL = 300
MAX_PUT = 2
"""Prompts of each of two runs that are put to both."""
HOW = {
    "mlm": "Write [MASK] where it should fill in a word.",
    "reward": "Each text gets a score: higher is better, by its taste.",
}


def asked(run: Run, question: Question) -> Message:
    """One message a question, edited as it goes on: waiting, loading, answered."""
    return loaded(run, question) if not question.text else answered(run, question)


def loaded(run: Run, question: Question) -> Message:
    """Somebody wants to try the model and has not asked yet."""
    says = {
        "waiting": "It is loaded as soon as there is room: trainings come first.",
        "loading": "I load it beside its base …",
        "ready": " ".join(filter(None, (how_to_ask(run), HOW.get(run.spec.method, "")))),
        "unloaded": f"It was unloaded. {question.reason} Ask, and it is loaded again.",
        "failed": question.reason,
    }
    buttons = {"ready": (ask_button((run,), "Ask"),), "unloaded": (ask_button((run,), "Try it again"),)}
    return Message(
        question.key, says[question.state], title=f"{name(run)}: try it", buttons=buttons.get(question.state, ())
    )


def how_to_ask(run: Run) -> str:
    return (
        f"Loaded. Ask here: mention me with your question, or `/finetune ask {run.id} your question`. "
        "The base model answers beside it. What was said here before is part of each question, where it was trained on "
        "conversations. After 5 minutes without a question it is unloaded."
    )


def ask_button(runs: Sequence[Run], label: str) -> Button:
    """A question to one run, or the same to two."""
    action = ":".join(["ask", *(run.id for run in runs)])
    return Button(label, action, form=(Field("question", "Your question", is_long=True),))


def answered(run: Run, question: Question) -> Message:
    text = f"“{cut(question.text, MAX_ANSWER)}”"
    says = {
        "waiting": "It waits for room: trainings come first. It is answered by itself.",
        "loading": "…",
        "failed": question.reason,
    }
    if question.state != "answered":
        return Message(question.key, f"{text}\n{says.get(question.state, '')}".strip(), title=f"{name(run)}, asked")
    row = (shown(question.base), shown(question.tuned))
    table = Table((f"Before ({run.spec.model.id})", f"After ({name(run).lower()})"), (row,))
    return Message(question.key, text, title=f"{name(run)}, asked", table=table)


def shown(answer: str) -> str:
    return cut(answer, MAX_ANSWER) or "(nothing)"


def cut(text: str, most: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[:most] + " …"


Pair = tuple[Run, Run]


def compared(key: str, left: Run, right: Run, asked: Sequence[Question] = ()) -> Message:
    """Two runs in one table: data, base, the settings that differ, metrics, and the prompts that both were asked.

    `asked` are the prompts that were put to both for this table, first all of the left run's.
    """
    both = (left, right)
    prompts = _asked(both, asked) if asked else _prompts(both)
    rows = tuple(chain(_facts(both), _settings(both), _metrics(both), prompts))
    can_ask = not asked and all(run.done in ("train", "push") for run in both)
    buttons = tuple(_ways_to_ask(both)) if can_ask else ()
    title, table = f"Runs {left.id} and {right.id}", Table(_columns(both), rows)
    return Message(key, _verdict(both, asked), title=title, table=table, buttons=buttons)


def _ways_to_ask(both: Pair) -> Iterable[Button]:
    left, right = both
    if same_prompts(left, right) and not common(left.result.answers, right.result.answers):
        yield Button("Put the same prompts to both", f"both:{left.id}:{right.id}", "primary")
    yield ask_button(both, "Ask both")


def same_prompts(left: Run, right: Run) -> tuple[str, ...]:
    """Prompts of either run that both can be asked: some of the one, then as many of the other. Runs that answer
    differently, as a reward model and one that writes do, have none."""
    if HOW.get(left.spec.method) != HOW.get(right.spec.method):
        return ()
    own = [answer.prompt for run in (left, right) for answer in run.result.answers[:MAX_PUT]]
    return tuple(dict.fromkeys(own))


def _asked(both: Pair, asked: Sequence[Question]) -> Iterable[tuple[str, ...]]:
    """A row for each prompt that was put to both; what is not answered yet says how it stands."""
    by_run = [{question.text: question for question in asked if question.run == run.id} for run in both]
    for text in by_run[0]:
        yield f"“{cut(text, MAX_CELL)}”", *(_stands(answers.get(text)) for answers in by_run)


def _stands(question: Question | None) -> str:
    if question is None:
        return "–"
    says = {"waiting": "it waits for room …", "loading": "…", "failed": question.reason}
    return says.get(question.state) or cut(question.tuned, MAX_CELL) or "(nothing)"


def _columns(both: Pair) -> tuple[str, str, str]:
    return "", name(both[0]), name(both[1])


def _facts(both: Pair) -> Iterable[tuple[str, ...]]:
    yield "State", *(run.status.value for run in both)
    yield "Method", *(run.spec.method for run in both)
    yield "Data", *(f"{run.spec.train.name} ({run.spec.train.sha256[:8]})" for run in both)
    if any(run.spec.valid for run in both):
        yield "Held out", *(run.spec.valid.name if run.spec.valid else "a part of the data" for run in both)
    yield "Base", *(run.spec.model.id for run in both)
    yield "Model", *(run.result.repo or "kept here" for run in both)
    yield "Training took", *(duration(run.result.train_s) if run.result.train_s else "–" for run in both)


def _settings(both: Pair) -> Iterable[tuple[str, ...]]:
    """What differs, in the order of the first run's table; equal settings are left out."""
    left, right = (run.spec.parameters for run in both)
    for setting in dict.fromkeys([*left, *right]):
        if left.get(setting) != right.get(setting):
            yield setting, _said(left, setting), _said(right, setting)


def _said(settings: Mapping[str, str | int | float | bool], setting: str) -> str:
    return value(settings[setting]) if setting in settings else "–"


def _metrics(both: Pair) -> Iterable[tuple[str, ...]]:
    for metric, words in METRICS.items():
        if any(metric in run.result.metrics for run in both):
            yield words.capitalize(), *(_before_after(run, metric) for run in both)


def _before_after(run: Run, metric: str) -> str:
    after, before = run.result.metrics.get(metric), run.result.metrics.get(f"base_{metric}")
    if after is None:
        return "–"
    said = (
        f"{figure:.0%}" if metric.endswith("accuracy") else number(figure)
        for figure in (before, after)
        if figure is not None
    )
    return " → ".join(said)


def common(left: Sequence[Answer], right: Sequence[Answer]) -> list[tuple[Answer, Answer]]:
    """The answers to the prompts that both runs were asked."""
    others = {answer.prompt: answer for answer in right}
    return [(answer, others[answer.prompt]) for answer in left if answer.prompt in others]


def _prompts(both: Pair) -> Iterable[tuple[str, ...]]:
    for left, right in common(both[0].result.answers, both[1].result.answers):
        yield f"“{cut(left.prompt, MAX_CELL)}”", cut(left.tuned, MAX_CELL), cut(right.tuned, MAX_CELL)


def _verdict(both: Pair, asked: Sequence[Question]) -> str:
    left, right = both
    same = len(common(left.result.answers, right.result.answers))
    said = [f"{count(same, 'prompt')} answered by both."]
    if not same:
        said = ["They were asked no prompt in common; `/finetune ask` puts the same one to each."]
    if asked:
        left_over = sum(question.state in AT_WORK for question in asked)
        said = [f"{count(len(asked) // 2, 'prompt')} put to both, {count(left_over, 'answer')} to come."]
    if left.spec.train.sha256 != right.spec.train.sha256:
        said.append("They were trained on different rows, so their held-out figures are of different rows too.")
    return " ".join(said)
