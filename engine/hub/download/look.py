"""What there is to know of a base model before anything is trained on it: its small files, never its weights."""

import os
import re
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import RepositoryNotFoundError

from engine.hub import client
from engine.hub.download import team
from engine.hub.download.base import check_index, check_safetensors, count_parameters, describe, small_files
from engine.hub.download.prepare import PACKAGES, embedded_folder, is_prepared
from engine.plan.models import NOTES, Look, find, is_folder, licence_note, nearest
from engine.refusal import Refusal

NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
WAIT_S = 10
ELSEWHERE = "HF_PUBLIC_ENDPOINT"
"""Where base models are looked for that a local Hub does not have; set to nothing, nowhere."""


def look(model: str, *, token: str | None, cache: Path) -> Look:
    """Find a base model: an id of the Hub (`org/name` or `org/name@revision`), an embedded one, or a folder.

    `cache` is the folder that HF_HOME names; embedded models lie in it too. Raises Refusal, in words, for all
    that can be wrong with the name, the access or the files.
    """
    if is_folder(model):
        return look_at_folder(Path(model).expanduser())
    name, _, revision = model.partition("@")
    offer = find(name)
    name = offer.id if offer else name
    if name.startswith("embedded/"):
        return look_at_embedded(name, cache)
    check_name(name)
    return look_at_repo(name, revision, token, cache)


def check_name(name: str) -> None:
    if NAME.fullmatch(name) and "--" not in name and ".." not in name and len(name) <= 96:
        return
    close = nearest(name)
    hint = f" Did you mean {close}?" if close else ""
    raise Refusal(f"“{name}” is no name of a model: it is written as org/name, as in Qwen/Qwen3-0.6B.{hint}", "model")


def look_at_folder(folder: Path) -> Look:
    """A folder of this machine, also that of a run; its name stands for its id, so that no path is told."""
    if not folder.is_dir():
        raise Refusal(f"There is no folder {folder}.", "model")
    if (folder / "spec.json").exists():
        return team.look_at_run(folder)
    check_safetensors(folder.name, (path.name for path in folder.iterdir()))
    check_index(folder)
    return describe(folder.resolve().name, "", folder.resolve(), count_parameters(folder))


def look_at_embedded(name: str, cache: Path) -> Look:
    if name not in PACKAGES:
        raise Refusal(f"There is no embedded model {name}: there are {' and '.join(PACKAGES)}.", "model")
    if not is_prepared(cache, name):
        raise Refusal(f"{name} is not made ready yet: run `python -m engine prepare` once.", "model")
    folder = embedded_folder(cache, name).resolve()
    more: dict[str, Any] = {"licence": "apache-2.0", "is_embedded": True, "note": NOTES[name]}
    return describe(name, "", folder, count_parameters(folder), **more)


def sources(token: str | None) -> list[tuple[str, str | None]]:
    """The endpoints to ask, each with the token that it may see: the local Hub's token never leaves this machine, and
    where there is one, a reader's token is for the Hub elsewhere."""
    here = client.endpoint()
    elsewhere = os.environ.get(ELSEWHERE, client.PUBLIC)
    if not (client.is_loopback(here) and elsewhere):
        return [(here, token)]
    reader = os.environ.get("HF_READ_TOKEN") or None
    return [(here, (os.environ.get("HF_TOKEN") or None) if reader else token), (elsewhere, reader)]


def look_at_repo(name: str, revision: str, token: str | None, cache: Path) -> Look:
    address, allowed, info = find_repo(name, revision, token)
    check_open(name, address, info)
    names = [sibling.rfilename for sibling in info.siblings or []]
    check_safetensors(name, names)
    api = client.connect(allowed, address, WAIT_S)
    sha = str(info.sha)
    try:
        folder = fetch_small(api, name, sha, names, cache)
        total = info.safetensors.total if info.safetensors else 0
        counted = total or sum(api.get_safetensors_metadata(name, revision=sha).parameter_count.values())
    except client.TROUBLE as error:
        raise client.explain(error, name, address, bool(allowed)) from error
    offer = find(name)
    told = getattr(info.card_data, "license", None) or (offer.licence if offer else "")
    licence = ", ".join(map(str, told)) if isinstance(told, list) else str(told)
    return describe(
        name,
        sha,
        folder,
        counted,
        licence=licence,
        is_gated=bool(info.gated),
        note=licence_note(name, licence),
    )


def find_repo(name: str, revision: str, token: str | None) -> tuple[str, str | None, ModelInfo]:
    """The endpoint that has the repo, the token for it, and what it says. Raises Refusal."""
    *first, last = sources(token)
    for address, allowed in first:
        try:
            return address, allowed, ask(name, revision, address, allowed)
        except RepositoryNotFoundError:
            continue  # the next endpoint may have it
        except client.TROUBLE as error:
            raise client.explain(error, name, address, bool(allowed)) from error
    address, allowed = last
    try:
        return address, allowed, ask(name, revision, address, allowed)
    except client.TROUBLE as error:
        raise client.explain(error, name, address, bool(allowed)) from error


def ask(name: str, revision: str, address: str, token: str | None) -> ModelInfo:
    api = client.connect(token, address, WAIT_S)
    return client.info(api, name, revision, WAIT_S)


def check_open(name: str, address: str, info: ModelInfo) -> None:
    if info.disabled:
        raise Refusal(f"The Hub has switched {name} off: see {address}/{name}.", "model")


def fetch_small(api: HfApi, name: str, sha: str, names: list[str], cache: Path) -> Path:
    """Config, tokenizer and template in the cache; the folder that holds them."""
    return Path(api.snapshot_download(name, revision=sha, cache_dir=cache / "hub", allow_patterns=small_files(names)))
