"""The parameters of a training: ONE table, from which help, forms, docs and every check of a value come.

Names are TRL's where it has one; AutoTrain's names are aliases.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from engine.data.types import NEEDS
from engine.jobs import Value
from engine.plan.decided import DECIDED, ELSEWHERE, TURNED
from engine.refusal import Refusal

EVERY = tuple(NEEDS)
LANGUAGE = ("sft", "clm", "mlm")
PAIRS = ("dpo", "orpo", "kto")
GENERATING = ("sft", "clm", "dpo", "orpo", "kto")
ON = ("on", "true", "yes", "1")
OFF = ("off", "false", "no", "0", "none", "null")
VALID_WORDS = r"auto|off|\d+(\.\d+)?%|\d+|hf:\S+|.+\.(csv|tsv|jsonl|json|parquet)(\.gz)?|.+\.zip"


@dataclass(frozen=True)
class Parameter:
    """`kind` is whole, number, switch, choice or text; `low` and `high` are inclusive.

    `default` is what holds where nothing better is known; `by_method` overrides it. `engine.plan.defaults`
    derives better ones from the rows, the model and the slot. `pattern` is what a text must match,
    `words` says so.
    """

    name: str
    kind: str
    default: Value
    sentence: str
    aliases: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    by_method: Mapping[str, Value] = field(default_factory=dict)
    methods: tuple[str, ...] = EVERY
    pattern: str = ""
    words: str = ""

    def default_for(self, method: str) -> Value:
        return self.by_method.get(method, self.default)

    @property
    def range(self) -> str:
        """What is allowed, in words: `1 to 512`, `on or off`, `linear, cosine or constant`."""
        if self.kind == "switch":
            return "on or off"
        if self.kind == "choice":
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        if self.kind == "text":
            return self.words
        return f"{bound(self.low)} to {bound(self.high)}"


def bound(value: float) -> str:
    return f"{value:,.0f}" if value > 1000 else f"{value:g}"


TABLE: tuple[Parameter, ...] = (
    Parameter(
        "epochs", "number", 3, "How often every row is seen.", ("num_train_epochs",), 0.01, 1000,
        by_method={"reward": 1, "dpo": 1, "orpo": 1, "kto": 1},
    ),
    Parameter("gpus", "whole", 1, "Devices that share the batch and train it together.", ("num_processes",), 1, 1024),
    Parameter("max_steps", "whole", 0, "Stop after so many optimizer steps; 0 goes by the epochs.", (), 0, 10_000_000),
    Parameter(
        "batch_size", "whole", 4, "Rows that one device takes at once.",
        ("per_device_train_batch_size", "train_batch_size"), 1, 1024,
    ),
    Parameter(
        "gradient_accumulation", "whole", 1, "Batches that are added up before the weights change.",
        ("gradient_accumulation_steps", "accumulation"), 1, 1024,
    ),
    Parameter(
        "learning_rate", "number", 2e-4, "How far one step moves the weights.", ("lr",), 1e-9, 1,
        by_method={"dpo": 1e-5, "kto": 1e-5, "orpo": 8e-5, "reward": 1e-4, "mlm": 5e-5},
    ),
    Parameter(
        "max_length", "whole", 1024, "Tokens of a row that the model sees; the rest is cut.",
        ("block_size", "max_seq_length", "model_max_length"), 8, 1_048_576,
    ),
    Parameter(
        "lora", "switch", True, "Train small low-rank weights beside the frozen base; off trains all weights.",
        ("peft", "use_peft"), by_method={"mlm": False},
    ),
    Parameter(
        "quantization", "choice", "none", "Hold the frozen base in 8 or 4 bits, on a GPU: less memory, slower steps.",
        choices=("none", "int8", "int4"),
    ),
    Parameter("lora_r", "whole", 16, "Rank of the lora: higher holds more, and costs more.", ("r",), 1, 1024),
    Parameter("lora_alpha", "whole", 32, "Scale of the lora, divided by its rank.", ("alpha",), 1, 4096),
    Parameter("lora_dropout", "number", 0.0, "Share of the lora's inputs that are dropped.", ("dropout",), 0, 0.9),
    Parameter(
        "target_modules", "text", "all-linear", "Which layers the lora stands beside.",
        pattern=r"all-linear|[\w.]+(,[\w.]+)*", words="all-linear, or names of layers such as q_proj,v_proj",
    ),
    Parameter("warmup_ratio", "number", 0.1, "Share of the steps in which the learning rate rises.", (), 0, 0.9),
    Parameter("weight_decay", "number", 0.0, "Pull of all trained weights towards zero.", (), 0, 1),
    Parameter("max_grad_norm", "number", 1.0, "Longer gradients are cut to this length.", (), 0, 1000),
    Parameter(
        "scheduler", "choice", "linear", "How the learning rate falls after the warm-up.", ("lr_scheduler_type",),
        choices=("linear", "cosine", "constant", "constant_with_warmup"),
    ),
    Parameter(
        "optimizer", "choice", "adamw_torch_fused", "What turns gradients into steps.", ("optim",),
        choices=("adamw_torch", "adamw_torch_fused", "adafactor", "sgd"),
    ),
    Parameter("seed", "whole", 42, "The same seed gives the same run.", (), 0, 2**31 - 1),
    Parameter(
        "template", "choice", "auto", "How turns become text: the model's own template (auto), another, or none.",
        ("chat_template",), choices=("auto", "none", "chatml", "zephyr"), methods=("sft", "reward", *PAIRS),
    ),
    Parameter(
        "valid", "text", "auto", "Rows that are held out to measure on.", ("valid_split", "validation", "eval"),
        pattern=VALID_WORDS, words="auto, off, a share such as 10%, a number of rows, a file, or hf:org/name:test",
    ),
    Parameter(
        "beta", "number", 0.1, "How strongly the model is held to its base (dpo, kto), or weight of the odds (orpo).",
        ("dpo_beta",), 0.001, 10, methods=PAIRS,
    ),
    Parameter(
        "packing", "switch", False, "Put several short texts into one row of full length.", methods=LANGUAGE
    ),
    Parameter(
        "marks", "choice", "keep", "What a template's marks in cells are, such as <|im_start|>: kept, or text.",
        choices=("keep", "text"), methods=LANGUAGE,
    ),
    Parameter("unescape", "switch", False, "Turn the two characters \\n of a cell into a line break."),
    Parameter("logging_steps", "whole", 1, "Steps between two reports.", (), 1, 10_000),
    Parameter("save_steps", "whole", 0, "Steps between two checkpoints; 0 chooses by the length.", (), 0, 10_000_000),
    Parameter(
        "merge", "switch", False, "Publish full weights with the lora merged in, not the lora alone.",
        ("merge_adapter",), methods=GENERATING,
    ),
    Parameter(
        "mlm_probability", "number", 0.15, "Share of the tokens that are masked.", (), 0.01, 0.9, methods=("mlm",)
    ),
    Parameter(
        "gradient_checkpointing", "switch", False, "Save memory by computing activations twice: slower by a third."
    ),
)  # fmt: skip
BY_NAME = {parameter.name: parameter for parameter in TABLE}
ALIASES = {alias: parameter.name for parameter in TABLE for alias in parameter.aliases}


def table_for(method: str) -> tuple[Parameter, ...]:
    return tuple(parameter for parameter in TABLE if method in parameter.methods)


def parse(words: Sequence[str] | Mapping[str, object], method: str) -> dict[str, Value]:
    """Typed values of `key=value` words, or of a mapping as a YAML file gives it; nothing is added.

    Raises Refusal with the field that is wrong, and with what would be right.
    """
    pairs = words.items() if isinstance(words, Mapping) else (split(word) for word in words)
    values: dict[str, Value] = {}
    for key, given in pairs:
        key, text = turned(key, given)
        parameter = find(key, method)
        if parameter.name in values:
            raise Refusal(f"`{parameter.name}` is given twice.", parameter.name)
        values[parameter.name] = read(parameter, text)
    return values


def turned(key: str, value: object) -> tuple[str, object]:
    """A switch that says the opposite of a parameter here, as that parameter."""
    name = TURNED.get(plain(key))
    return (name, not read_switch(BY_NAME[name], str(value))) if name else (key, value)


def plain(key: str) -> str:
    """Spelling is forgiven in case and dashes."""
    return key.strip().lower().replace("-", "_")


def split(word: str) -> tuple[str, str]:
    key, equals, text = word.partition("=")
    if not equals or not key.strip() or not text.strip():
        raise Refusal(f"`{word}` is no setting: write name=value, for example epochs=3.", key.strip())
    return key.strip(), text.strip()


def find(key: str, method: str) -> Parameter:
    """The parameter of that name or alias. Raises Refusal for a word that is none, with what decides in its place."""
    name = ALIASES.get(plain(key), plain(key))
    if name in DECIDED:
        raise Refusal(f"`{key}` cannot be set: {DECIDED[name]}. Leave it out.", key)
    if name in ELSEWHERE:
        raise Refusal(f"`{key}` is said otherwise here: {ELSEWHERE[name]}.", key)
    parameter = BY_NAME.get(name)
    if parameter is None:
        known = [item.name for item in table_for(method)]
        close = get_close_matches(name, [*known, *ALIASES], n=1)
        hint = f"did you mean `{ALIASES.get(close[0], close[0])}`?" if close else f"there are {', '.join(known)}."
        raise Refusal(f"There is no setting `{key}`: {hint}", key)
    if method not in parameter.methods:
        raise Refusal(
            f"`{parameter.name}` does nothing for {method}: it belongs to {', '.join(parameter.methods)}.", key
        )
    return parameter


def read(parameter: Parameter, value: object) -> Value:
    text = str(value).strip()
    if parameter.kind == "switch":
        return read_switch(parameter, text)
    if parameter.kind == "choice":
        return read_choice(parameter, text)
    if parameter.kind == "text":
        if not re.fullmatch(parameter.pattern, text, re.IGNORECASE):
            raise wrong(parameter, text)
        return text
    return read_number(parameter, text)


def read_switch(parameter: Parameter, text: str) -> bool:
    if text.lower() in ON:
        return True
    if text.lower() in OFF:
        return False
    raise wrong(parameter, text)


def read_choice(parameter: Parameter, text: str) -> str:
    """AutoTrain says `tokenizer` for the template that belongs to the model, and `null` for none."""
    word = {"tokenizer": "auto", "null": "none"}.get(text.lower(), text.lower())
    if word in parameter.choices:
        return word
    close = get_close_matches(word, parameter.choices, n=1)
    raise wrong(parameter, text, f" Did you mean {close[0]}?" if close else "")


def read_number(parameter: Parameter, text: str) -> int | float:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        raise wrong(parameter, text) from None
    if not parameter.low <= number <= parameter.high:
        raise wrong(parameter, text)
    if parameter.kind == "whole" and number != int(number):
        raise wrong(parameter, text)
    return int(number) if number == int(number) and parameter.kind == "whole" else number


def wrong(parameter: Parameter, text: str, hint: str = "") -> Refusal:
    return Refusal(f"`{parameter.name}={text}` cannot be: {parameter.name} is {parameter.range}.{hint}", parameter.name)


def complete(method: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` with the table's default for everything that they leave open."""
    return {item.name: values.get(item.name, item.default_for(method)) for item in table_for(method)}


def word(value: Value) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
