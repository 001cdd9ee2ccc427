"""What the API tells about a repo: its info, its tree, its parameters. Values in, JSON values out."""

import struct
from datetime import UTC, datetime
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from adapters.localhub.cards import card_data
from adapters.localhub.repos import Commit, File, Repo, Shelf, pointer

HEADER_LIMIT = 100_000_000
CONFIG_KEYS = ("architectures", "model_type")


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=256)
def parameters(blob: Path) -> dict[str, int]:
    """Parameters by dtype of a safetensors file, from its header; empty for a file that is none."""
    with blob.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < size < HEADER_LIMIT:
            return {}
        try:
            header = msgspec.json.decode(file.read(size))
        except msgspec.DecodeError:
            return {}
    counts: dict[str, int] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return counts


def safetensors(shelf: Shelf, commit: Commit) -> dict[str, Any]:
    """The parameters of all weights of a commit; of low-rank weights only where there are no others."""
    files = [file for file in commit.files if file.path.endswith(".safetensors") and "/" not in file.path]
    whole = [file for file in files if not file.path.startswith("adapter_")] or files
    total: dict[str, int] = {}
    for file in whole:
        for dtype, count in parameters(shelf.blob(file.sha256)).items():
            total[dtype] = total.get(dtype, 0) + count
    return {"parameters": total, "total": sum(total.values())} if total else {}


def readme(shelf: Shelf, commit: Commit) -> str:
    file = commit.file("README.md")
    return shelf.read(file).decode(errors="replace") if file else ""


def sibling(file: File, has_blobs: bool) -> dict[str, Any]:
    if not has_blobs:
        return {"rfilename": file.path}
    told: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.oid}
    if file.is_lfs:
        told["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": pointer_size(file)}
    return told


def pointer_size(file: File) -> int:
    return len(pointer(file.sha256, file.size))


def config(shelf: Shelf, commit: Commit) -> dict[str, Any]:
    file = commit.file("config.json")
    try:
        values = msgspec.json.decode(shelf.read(file)) if file else {}
    except msgspec.DecodeError:
        return {}
    return {key: values[key] for key in CONFIG_KEYS if isinstance(values, dict) and key in values}


def tags(card: dict[str, Any], repo: Repo, names: list[str]) -> list[str]:
    own = card.get("tags") or []
    found = [str(tag) for tag in (own if isinstance(own, list) else [own])]
    found += [str(card["library_name"])] if card.get("library_name") else []
    found += ["safetensors"] if any(name.endswith(".safetensors") for name in names) else []
    found += [f"license:{card['license']}"] if isinstance(card.get("license"), str) else []
    bases = card.get("base_model") or []
    found += [f"base_model:{base}" for base in (bases if isinstance(bases, list) else [bases])]
    return list(dict.fromkeys([*found, "region:local"]))


def info(shelf: Shelf, repo: Repo, commit: Commit, has_blobs: bool = False) -> dict[str, Any]:
    card = card_data(readme(shelf, commit))
    names = [file.path for file in commit.files]
    told: dict[str, Any] = {
        "_id": repo.id,
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.id,
        "private": repo.is_private,
        "gated": repo.gated or False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags(card, repo, names),
        "cardData": card,
        "siblings": [sibling(file, has_blobs) for file in commit.files],
        "usedStorage": sum(file.size for file in commit.files),
        "createdAt": stamp(repo.at),
        "lastModified": stamp(commit.at),
    }
    if repo.kind == "models":
        told |= {"modelId": repo.id, "config": config(shelf, commit), "spaces": []}
        told |= {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
        counts = safetensors(shelf, commit)
        told |= {"safetensors": counts} if counts else {}
    return told


def entry(file: File) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "file", "path": file.path, "size": file.size, "oid": file.oid}
    if file.is_lfs:
        told["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": pointer_size(file)}
    return told


def tree(commit: Commit, folder: str, is_recursive: bool) -> list[dict[str, Any]]:
    """The entries below a folder (empty: the root), folders included."""
    head = f"{folder}/" if folder else ""
    files = [file for file in commit.files if file.path.startswith(head)]
    folders = {"/".join(parts[:n]) for file in files for parts in [file.path.split("/")] for n in range(1, len(parts))}
    below = sorted(name for name in folders if name.startswith(head) and name != folder)
    told = [{"type": "directory", "path": name, "size": 0, "oid": commit.id} for name in below] + [
        entry(file) for file in files
    ]
    return [one for one in told if is_recursive or "/" not in one["path"].removeprefix(head)]
