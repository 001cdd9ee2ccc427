"""The values of a check: columns that methods need, issues, the report, the preview; and the one place where a
file's row becomes a trainer's row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Row = Mapping[str, object]
"""A row as it stands in the file: a string for each column, or a list of messages for a conversational one."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "sft": ("text",),
    "clm": ("text",),
    "reward": ("text", "rejected_text"),
    "dpo": ("prompt", "text", "rejected_text"),
    "orpo": ("prompt", "text", "rejected_text"),
    "kto": ("prompt", "text", "label"),
    "mlm": ("text",),
}
"""The user's columns per method. TRL's own (`prompt`, `chosen`, `rejected`, `completion`, `messages`) are read too."""

AUTOTRAIN_METHODS: Mapping[str, str] = {
    **dict.fromkeys(("llm", "llm-generic", "llm-default", "generic", "default"), "clm"),
    **{f"llm-{method}": method for method in NEEDS},
}
"""AutoTrain's words for the methods."""


def method_named(word: str) -> str:
    """The method that a person means by `word`, in any case and in AutoTrain's words too; another word as it is."""
    return AUTOTRAIN_METHODS.get(word.lower(), word.lower())


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong: `line` is the physical line (the header is 1), `row` the data row from 1.

    What does not apply is None; nothing is guessed. `severity` is error, warning or note;
    `fix` is the name of a fix that `engine.data.fixes` can apply, or empty.
    """

    code: str
    severity: str
    message: str
    line: int | None = None
    row: int | None = None
    column: str | None = None
    fix: str = ""


@dataclass(frozen=True)
class Fit:
    """Whether a method can use the file, and with how many of its rows."""

    usable: bool
    rows_used: int = 0
    rows_dropped: int = 0
    rows_truncated: int = 0
    missing_columns: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a check found. `issues` holds at most 1,000; `counts` has all of them by code.

    `type` is TRL's dataset type and format in words, e.g. "preference, standard".
    `stats` may hold `turns` (how turn markers were recognised), `literal_newlines` (rows), `length` (characters).
    """

    file: str
    sha256: str
    bytes: int
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()
    type: str = ""
    methods: Mapping[str, Fit] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    stats: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A telling row: `title` is first, longest or random; `text` is exactly what the model will see,
    special tokens included, and `trained` are the character ranges that the loss is computed on."""

    title: str
    row: int
    text: str
    trained: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Setting:
    """An effective parameter and why it has this value."""

    value: str | int | float | bool
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a run will take: optimizer steps, seconds, memory in GB, and sentences that say what was assumed."""

    steps: int
    seconds: float
    memory_gb: float
    notes: tuple[str, ...] = ()
    gpu_hours: float = 0.0
    cost: float = 0.0
    """In the operator's currency; 0 where none is known."""


@dataclass(frozen=True)
class Preview:
    """What a run of `method` on these rows with this model would be. `tokens` holds total, median, p95 and max, and
    `sampled` rows where they are told from so many.

    `alternative` shows the first sample read the other way (as plain text, or as a conversation);
    `unescape` is (before, after) of one cell with a literal backslash-n, or empty. `warnings` are sentences about what
    will work, but not as somebody may think. `marks` is keep or text where cells hold the marks of a chat template and
    the person can choose, else empty.
    """

    method: str
    model: str
    revision: str
    model_note: str
    rows_used: int
    rows_truncated: int
    rows_dropped: int
    rows_held_out: int
    tokens: Mapping[str, int]
    samples: tuple[Sample, ...]
    as_conversation: bool
    alternative: str
    unescape: tuple[str, ...]
    join: str
    parameters: Mapping[str, Setting]
    estimate: Estimate
    mapping: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    marks: str = ""
    cut_rows: tuple[int, ...] = ()
    dropped_rows: tuple[int, ...] = ()
    """The first rows of each kind, by number from 1; empty where they were only estimated."""
    histogram: Mapping[str, int] = field(default_factory=dict)
    """Rows by their tokens: the upper end of a class → how many."""
    templates: tuple[str, ...] = ()
    """The templates to choose from, the one that is taken first, where the model has none of its own for its rows."""
    model_reason: str = ""
    """Why it is this base model, where nobody named one."""
    base_run: str = ""
    """The run of ours that made the base model; empty for a model from elsewhere."""
