"""What to train, as a YAML file says it: in our words, or in AutoTrain's."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.data.types import AUTOTRAIN_METHODS, NEEDS
from engine.hub.datasets.words import PREFIX, is_words
from engine.jobs import JobSpec, Value
from engine.plan.decided import DECIDED
from engine.plan.parameters import parse
from engine.refusal import Refusal

AUTOTRAIN_COLUMNS = {"text_column": "text", "prompt_text_column": "prompt", "rejected_text_column": "rejected_text"}
SUFFIXES = (".csv", ".jsonl", ".json", ".tsv", ".parquet", ".csv.gz", ".jsonl.gz", ".json.gz", ".tsv.gz", ".zip")
REPO = re.compile(r"[\w.-]+/[\w.-]+")
OURS = ("method", "model", "data", "valid", "columns", "parameters")


@dataclass(frozen=True)
class Order:
    """What somebody wants trained. `valid` is a second file, or None where `parameters` decide.

    `notes` are sentences about what of the order has no effect.
    """

    data: Path
    method: str
    model: str = ""
    valid: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_config(path: Path) -> Order:
    """Read a YAML file; paths in it are relative to it. Raises Refusal with the field that is wrong."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise Refusal(f"{path.name} cannot be read as YAML: {' '.join(str(error).split())}", "config") from None
    if not isinstance(config, dict):
        raise Refusal(f"{path.name} holds no settings: write name: value lines, such as method: sft.", "config")
    config = with_environment(config)
    return from_autotrain(config, path.parent) if "base_model" in config else from_ours(config, path.parent)


def to_yaml(spec: JobSpec) -> str:
    """The effective settings of a run, as `read_config` reads them; the data lies beside the file."""
    model = "@".join(filter(None, (spec.model.id, spec.model.revision)))
    said: dict[str, Any] = {"method": spec.method, "model": model, "data": spec.train.name}
    parameters = dict(spec.parameters)
    if spec.valid:
        said["valid"] = spec.valid.name
        parameters.pop("valid", None)
    columns = dict(spec.train.mapping)
    said |= {"columns": columns} if columns else {}
    return yaml.safe_dump({**said, "parameters": parameters}, sort_keys=False, allow_unicode=True)


def with_environment(value: Any) -> Any:
    """`${NAME}` in any text becomes what the environment says; an unset name is refused."""
    if isinstance(value, dict):
        return {key: with_environment(item) for key, item in value.items() if key != "hub"}
    if isinstance(value, list):
        return [with_environment(item) for item in value]
    return re.sub(r"\$\{(\w+)\}", variable, value) if isinstance(value, str) else value


def variable(match: re.Match[str]) -> str:
    if match[1] not in os.environ:
        raise Refusal(f"The config names ${{{match[1]}}}, and the environment does not have it.", match[1])
    return os.environ[match[1]]


def from_ours(config: Mapping[str, Any], folder: Path) -> Order:
    """`method`, `model`, `data`, and if wanted `valid`, `columns`, `parameters`; a run's spec is read too."""
    method = method_of(config.get("method"), "method")
    if not config.get("data"):
        raise Refusal("The config names no data: write data: followed by a file.", "data")
    model, source = config.get("model") or "", section(config, "train")
    if isinstance(model, Mapping):
        model = "@".join(str(model[name]) for name in ("id", "revision") if model.get(name))
    parameters = parse(section(config, "parameters"), method)
    valid = config.get("valid")
    is_file = isinstance(valid, str) and names_rows(valid)
    if valid is not None and not is_file and not isinstance(valid, Mapping):
        parameters |= parse({"valid": valid}, method)
    columns = section(config, "columns") or source.get("mapping") or {}
    data, other = placed(folder, str(config["data"])), placed(folder, str(valid)) if is_file else None
    return Order(data, method, str(model), other, columns, parameters)


def names_rows(word: str) -> bool:
    """Whether a word is a file with rows, or a dataset of the Hub, and no number of rows."""
    return is_words(word) or word.lower().endswith(SUFFIXES)


def placed(folder: Path, word: str) -> Path:
    """A file beside the config; a dataset of the Hub stays as it is named."""
    return Path(word) if is_words(word) else folder / word


def from_autotrain(config: Mapping[str, Any], folder: Path) -> Order:
    """AutoTrain's file for the language model tasks; what has no effect here is noted, `hub` is not read."""
    data, given = section(config, "data"), section(config, "params")
    task = f"llm-{given['trainer']}" if config.get("task") == "llm" and given.get("trainer") else config.get("task")
    method = method_of(AUTOTRAIN_METHODS.get(str(task), task), "task")
    if not data.get("path"):
        raise Refusal("The config names no data: write data: path: followed by a file or a folder.", "data")
    unheeded = (name for name in given if name in DECIDED and name != "trainer")
    notes = tuple(f"`{name}` has no effect here: {DECIDED[name]}." for name in unheeded)
    kept = {name: value for name, value in given.items() if name not in DECIDED and value not in (None, -1)}
    if "block_size" in kept:
        kept.pop("model_max_length", None)
    if data.get("chat_template") is not None and method not in ("clm", "mlm"):
        kept["template"] = data["chat_template"]
    wanted = section(data, "column_mapping")
    columns = {role: str(wanted[name]) for name, role in AUTOTRAIN_COLUMNS.items() if wanted.get(name)}
    columns = {role: column for role, column in columns.items() if role in NEEDS[method]}
    path = str(data["path"])
    valid = split_file(folder, path, str(data["valid_split"])) if data.get("valid_split") else None
    train = split_file(folder, path, str(data.get("train_split") or "train"))
    return Order(train, method, str(config["base_model"]), valid, columns, parse(kept, method), notes)


def section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name) or {}
    if not isinstance(found, dict):
        raise Refusal(f"`{name}` in the config should hold name: value lines.", name)
    return found


def method_of(word: object, field_name: str) -> str:
    if word not in NEEDS:
        raise Refusal(f"`{field_name}: {word}` is no method: there are {', '.join(NEEDS)}.", field_name)
    return str(word)


def split_file(folder: Path, word: str, split: str) -> Path:
    """The file of a split in AutoTrain's folder, the file itself, or that split of a dataset of the Hub. AutoTrain
    writes a configuration before its split, as in `small:train`."""
    path = folder / word
    if not path.is_dir():
        if path.exists() or path.name.lower().endswith(SUFFIXES):
            return path
        if not is_words(word) and not REPO.fullmatch(word):
            raise Refusal(f"There is no file or folder {path.name}, and it names no dataset of the Hub.", "data")
        config, _, name = split.rpartition(":")
        return Path(PREFIX + word.removeprefix(PREFIX) + (f"[{config}]" if config else "") + f":{name}")
    found = next((path / f"{split}{suffix}" for suffix in SUFFIXES if (path / f"{split}{suffix}").exists()), None)
    if found is None:
        raise Refusal(f"The folder {path.name} has no {split}.csv or {split}.jsonl.", "data")
    return found
