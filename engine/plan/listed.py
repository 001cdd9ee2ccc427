"""The table of parameters as it is read: for one method in a terminal, as JSON, and as docs/parameters.md."""

import json
from collections.abc import Iterator

from engine.plan.decided import DECIDED, ELSEWHERE, TURNED
from engine.plan.parameters import EVERY, TABLE, Parameter, table_for, word
from engine.refusal import Refusal

HEAD = """# Parameters

Each is one word of a command, as in `/finetune sft epochs=3 lr=1e-4`, or a line under `parameters:` in a YAML file for
`python -m engine train`. Most need not be said: what is not given is chosen from the rows, the model and the machine,
and the plan shows every value with its reason before anything starts. This page is made from the table in the code:
`python -m engine params --markdown`.

| parameter | also | allowed | usual | methods | what it does |
|---|---|---|---|---|---|
"""
AUTOTRAIN = """
## AutoTrain's words

A config of AutoTrain's is read as it stands, and its names work in commands too: those under “also” mean the parameter
in their row. The rest is decided here, or said elsewhere.

| AutoTrain's | here |
|---|---|
"""


def described(method: str, as_json: bool) -> str:
    """The table of a method for people, a parameter in two lines, or as one JSON object by name."""
    if method not in EVERY:
        raise Refusal(f"There is no method {method}: there are {', '.join(EVERY)}.", "method")
    if as_json:
        return json.dumps({item.name: facts(item, method) for item in table_for(method)}, indent=2)
    return "\n".join(
        f"{item.name} = {word(item.default_for(method))}  ({item.range})\n    {item.sentence}"
        for item in table_for(method)
    )


def facts(item: Parameter, method: str) -> dict[str, object]:
    return {
        "kind": item.kind,
        "default": item.default_for(method),
        "range": item.range,
        "aliases": list(item.aliases),
        "sentence": item.sentence,
    }


def markdown() -> str:
    """docs/parameters.md, whole."""
    said = {**{name: f"decided: {text}" for name, text in DECIDED.items()}, **ELSEWHERE}
    said |= {name: f"the opposite of `{other}`" for name, other in TURNED.items()}
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in sorted(said.items()))
    return HEAD + "".join(row(item) for item in TABLE) + AUTOTRAIN + rows


def row(item: Parameter) -> str:
    also = ", ".join(f"`{alias}`" for alias in item.aliases)
    methods = "all" if set(item.methods) == set(EVERY) else ", ".join(item.methods)
    return f"| `{item.name}` | {also} | {item.range} | {usual(item)} | {methods} | {item.sentence} |\n"


def usual(item: Parameter) -> str:
    """`0.0002; dpo 1e-05`: the table's default, and those of the methods that differ."""
    return "; ".join((word(item.default), *differing(item)))


def differing(item: Parameter) -> Iterator[str]:
    by_value: dict[str, list[str]] = {}
    for method, value in item.by_method.items():
        by_value.setdefault(word(value), []).append(method)
    yield from (f"{', '.join(methods)} {value}" for value, methods in by_value.items())
