"""What the bot says of a run that might be: what the model will see, what it will take, and the buttons that decide."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bot.chat import Button, Field, Message, Table
from bot.wording.numbers import count, duration, number
from engine.data.trainer_rows import PLAIN_METHODS
from engine.data.types import Preview, Sample, Setting
from engine.jobs import Target, Value
from engine.plan.gates import template_words

MAX_SAMPLE = 700
QUESTION = "\nStart it?"
ASKED = ("epochs", "learning_rate", "max_length", "lora")
OTHERS = "others"
AS_YAML = "# saved as run.yaml beside the file, `python -m engine train run.yaml` repeats it"


def planning(key: str, method: str) -> Message:
    """While the file and the Hub are asked, where that takes long."""
    return Message(key, f"Planning {method}: reading the rows and asking the Hub for the base model …")


def plan(key: str, draft: str, preview: Preview, file: str, target: Target, doubt: str = "", kept: str = "") -> Message:
    """What a run would be, and the button that queues it.

    `doubt` is what may keep it from `target`, `kept` how long what it takes and makes lies here.
    """
    what = f"{preview.method} on {file} with {preview.model}."
    choice = template_words(preview.model, preview.templates) if preview.templates else ""
    about = (preview.model_reason, preview.model_note)
    said = (where(target), doubt, choice, *preview.warnings, *about, *preview.estimate.notes)
    notes = (note for note in said if note)
    return Message(
        key,
        "\n".join((what, *notes)) + QUESTION,
        title=f"{preview.method}: ready to start",
        fields=(*costs(preview), *_reading(preview), *((("Kept here", kept),) if kept else ())),
        table=_settings(preview.parameters),
        code=samples(preview.samples) + _other_reading(preview),
        buttons=(
            Button("Start", f"start:{draft}", "primary"),
            *_choices(draft, preview),
            Button("Settings", f"settings:{draft}", form=tuple(_form(preview.parameters))),
            Button("Discard", f"drop:{draft}"),
        ),
    )


def where(target: Target) -> str:
    if not target.repo:
        return "The model stays on this server."
    if target.is_pull_request:
        return f"The model will go to {target.repo}, as a pull request."
    seen = "private" if target.is_private else "public"
    return f"The model will go to {target.repo}, {seen}."


def kept(datasets_days: float, checkpoints_days: float, outputs_days: float) -> str:
    """How long what a run takes and makes lies on the server; 0 is for good."""
    file = f"the file for {_days(datasets_days)}" if datasets_days else "the file until somebody forgets it"
    rest = f"all of the run for {_days(outputs_days)}" if outputs_days else "the model until somebody forgets it"
    return f"{file}; after the end, checkpoints for {_days(checkpoints_days)} and {rest}"


def _days(days: float) -> str:
    return "1 day" if days == 1 else f"{days:g} days"


def taken(draft: Message, words: str, settings: str = "") -> Message:
    """A draft that was answered: what it said still stands, without its buttons and under its outcome.

    The effective `settings` of the run that it became stand first in its block, as YAML that can be run again.
    """
    code = "\n\n".join(filter(None, (f"{AS_YAML}\n{settings.strip()}" if settings else "", draft.code)))
    return replace(draft, title=words, text=draft.text.removesuffix(QUESTION), buttons=(), code=code)


def costs(preview: Preview) -> Iterable[tuple[str, str]]:
    tokens = preview.tokens
    about = f" (told from {tokens['sampled']:,} rows)" if tokens.get("sampled") else ""
    yield (
        "Tokens",
        f"{tokens['total']:,} in all; {tokens['median']:,} in the middle row, {tokens['max']:,} in the longest{about}",
    )
    if len(preview.histogram) > 1:
        classes = (f"≤ {end}: {rows:,}" for end, rows in preview.histogram.items())
        yield "Rows by tokens", " · ".join(classes)
    yield "Used", _used(preview)
    estimate = preview.estimate
    took = f"{preview.method}: about {duration(estimate.seconds)} for {count(estimate.steps, 'step')}"
    yield "Estimate", f"{took}, {number(estimate.memory_gb)} GB of memory"
    if estimate.cost:
        yield "Cost", f"about {estimate.cost:.2f} for {number(estimate.gpu_hours)} GPU hours"


def _used(preview: Preview) -> str:
    parts = [count(preview.rows_used, "row")]
    if preview.rows_held_out:
        parts.append(f"{preview.rows_held_out:,} held out for the comparison")
    if preview.rows_truncated:
        parts.append(f"{preview.rows_truncated:,} cut at max_length")
    if preview.rows_dropped:
        parts.append(f"{preview.rows_dropped:,} dropped")
    return ", ".join(parts)


def _reading(preview: Preview) -> Iterable[tuple[str, str]]:
    if preview.mapping:
        yield "Columns", ", ".join(f"{need} = {column}" for need, column in preview.mapping.items())
    if preview.join:
        yield "Join", preview.join
    if preview.unescape:
        before, after = preview.unescape
        yield "Literal \\n", f"in the file: {before[:120]!r}; unescaped: {after[:120]!r}"


def samples(samples: Iterable[Sample]) -> str:
    """The samples as the model will see them; what the loss is computed on stands between ⟦ and ⟧."""
    return "\n\n".join(f"— {sample.title}, row {sample.row} —\n{_marked(sample)}" for sample in samples)


def _marked(sample: Sample) -> str:
    text, at = "", 0
    for start, end in sample.trained:
        text += f"{sample.text[at:start]}⟦{sample.text[start:end]}⟧"
        at = end
    text = (text + sample.text[at:]).rstrip("\n")
    return text if len(text) <= MAX_SAMPLE else text[:MAX_SAMPLE] + f" … ({len(sample.text):,} characters)"


def _other_reading(preview: Preview) -> str:
    if not preview.alternative:
        return ""
    other = "as plain text" if preview.as_conversation else "as a conversation"
    return f"\n\n— the first row {other} would be —\n{preview.alternative[:MAX_SAMPLE]}"


def _choices(draft: str, preview: Preview) -> Iterable[Button]:
    """The readings that a press can change: turn markers, and literal backslash-n."""
    if preview.alternative:
        word = "none" if preview.as_conversation else "auto"
        label = "Train as plain text" if preview.as_conversation else "Train as conversation"
        yield Button(label, f"again:{draft}:template={word}")
    for word in preview.templates[1:]:
        yield Button(
            f"Write turns as {word}" if word != "none" else "Write turns plainly", f"again:{draft}:template={word}"
        )
    if preview.marks:
        label, word = ("Marks are plain text", "text") if preview.marks == "keep" else ("Already formatted", "keep")
        yield Button(label, f"again:{draft}:marks={word}")
    if preview.rows_truncated and preview.method not in PLAIN_METHODS:
        yield Button("Cut long rows at a sentence", f"cut:{draft}")
    if preview.unescape:
        is_on = preview.parameters.get("unescape", Setting(value=False)).value
        yield Button(
            "Keep \\n as it is" if is_on else "Unescape \\n", f"again:{draft}:unescape={'off' if is_on else 'on'}"
        )


def _form(settings: Mapping[str, Setting]) -> Iterable[Field]:
    """The parameters that people change most, as they stand, and a line for any other."""
    for name in ASKED:
        if name in settings:
            now = value(settings[name].value)
            choices = ("on", "off") if isinstance(settings[name].value, bool) else ()
            yield Field(name, name.replace("_", " ").capitalize(), now, choices)
    yield Field(OTHERS, "Others, as name=value")


def _settings(settings: Mapping[str, Setting]) -> Table:
    """The parameters that were chosen for these rows, this model and this machine; the usual ones are left out."""
    chosen = {name: setting for name, setting in settings.items() if setting.reason not in ("", "usual")}
    rows = tuple((name, value(setting.value), setting.reason) for name, setting in chosen.items())
    return Table(("Parameter", "Value", "Why"), rows)


def value(of: Value) -> str:
    if isinstance(of, bool):
        return "on" if of else "off"
    return f"{of:g}" if isinstance(of, float) else str(of)
