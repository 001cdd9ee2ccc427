"""Which files of a dataset's repo a configuration and a split are, by its card or by the files' names. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from engine.data.shown import listed, shown
from engine.hub.datasets.words import HubDataset
from engine.refusal import Refusal

SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".csv.gz", ".json.gz")
"""What a check reads, the surest first: where a repo holds the same rows in several forms, one is taken."""
SPLITS: Mapping[str, frozenset[str]] = {
    "train": frozenset({"train", "training"}),
    "validation": frozenset({"validation", "valid", "val", "dev"}),
    "test": frozenset({"test", "testing", "eval", "evaluation"}),
}
MOST_NAMED = 12


def choose(names: Sequence[str], configs: Sequence[Mapping[str, Any]], wanted: HubDataset) -> list[str]:
    """The data files in order. Raises Refusal naming the configurations or splits that there are."""
    data = sorted(name for name in names if _suffix(name) and not name.startswith("."))
    config = _config(configs, wanted)
    if config is not None and (patterns := _patterns(config)):
        return _by_card(data, patterns, wanted)
    if config is not None and (folder := str(config.get("data_dir") or "")):
        data = [name for name in data if name.startswith(folder.rstrip("/") + "/")]
    elif wanted.config:
        data = _in_folder(data, wanted)
    return _by_name(data, wanted)


def _suffix(name: str) -> str:
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def _config(configs: Sequence[Mapping[str, Any]], wanted: HubDataset) -> Mapping[str, Any] | None:
    """The configuration of the card that is meant; None where the card has none."""
    names = [str(config.get("config_name")) for config in configs]
    if not configs:
        return None
    if wanted.config:
        if wanted.config not in names:
            raise _none("configuration", wanted.config, names, wanted)
        return configs[names.index(wanted.config)]
    usual = [config for config in configs if config.get("default") or config.get("config_name") == "default"]
    if not usual and len(configs) > 1:
        raise Refusal(f"{wanted.repo} has the configurations {listed(names[:MOST_NAMED])}; name one: "
                      f"hf:{wanted.repo}[{names[0]}]:{wanted.split}.", "file")  # fmt: skip
    return (usual or list(configs))[0]


def _none(what: str, word: str, there: Iterable[str], wanted: HubDataset) -> Refusal:
    names = sorted(set(there))
    has = f"There are {listed(names[:MOST_NAMED])}." if names else "It has no file that I can read."
    return Refusal(f"{wanted.repo} has no {what} {shown(word)}. {has}", "file")


def _patterns(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Split → patterns of paths, from the forms that `data_files` has in cards."""
    files = config.get("data_files")
    if isinstance(files, str) or (isinstance(files, list) and all(isinstance(item, str) for item in files)):
        return {"train": [files] if isinstance(files, str) else list(files)}
    found: dict[str, list[str]] = {}
    for item in files if isinstance(files, list) else []:
        path = item.get("path") if isinstance(item, dict) else None
        paths = [path] if isinstance(path, str) else [str(part) for part in path or []]
        found.setdefault(str(item.get("split") if isinstance(item, dict) else ""), []).extend(paths)
    return {split: paths for split, paths in found.items() if paths}


def _by_card(data: Sequence[str], patterns: Mapping[str, Sequence[str]], wanted: HubDataset) -> list[str]:
    if wanted.split not in patterns:
        raise _none("split", wanted.split, patterns, wanted)
    files = [name for name in data if any(_is_match(name, pattern) for pattern in patterns[wanted.split])]
    if not files:
        raise Refusal(
            f"{wanted.repo} names files for {wanted.split} that are not there, or that I cannot read.", "file"
        )
    return files


def _is_match(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern.removeprefix("./")) or fnmatch(name, pattern.replace("**/", ""))


def _in_folder(data: Sequence[str], wanted: HubDataset) -> list[str]:
    """The files under a folder, or in a file, of the configuration's name."""
    inside = [name for name in data if wanted.config in re.split(r"[/.]", name)]
    if not inside:
        folders = [part for name in data for part in name.split("/")[:-1]]
        raise _none("configuration", wanted.config, folders, wanted)
    return inside


def _by_name(data: Sequence[str], wanted: HubDataset) -> list[str]:
    splits = {name: _split_of(name) for name in data}
    named = {split for split in splits.values() if split}
    if named:
        kind = next((kind for kind, words in SPLITS.items() if wanted.split in words), wanted.split)
        data = [name for name in data if splits[name] == kind or wanted.split in re.split(r"[^A-Za-z0-9]+", name)]
    if not data or (not named and wanted.split != "train"):
        raise _none("split", wanted.split, named or ({"train"} if data else ()), wanted)
    best = min((SUFFIXES.index(_suffix(name)) for name in data), default=0)
    return [name for name in data if _suffix(name) == SUFFIXES[best]]


def _split_of(name: str) -> str:
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((split for split, meant in SPLITS.items() if words & meant), "")
