"""The child that fetches: `python -m engine fetch FOLDER`. The base model at its commit into the cache, then the rows
in the trainer's columns. It is the only process of a run that holds the reader's token."""

import os
import shutil
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi, ModelInfo, scan_cache_dir

from engine.data.trainer_rows import write_trainer_rows
from engine.events import EventLog
from engine.folder import RunFolder
from engine.hub import client
from engine.hub.download import team
from engine.hub.download.base import (
    check_harmless,
    check_index,
    check_safetensors,
    has_template,
    read_json,
    small_files,
)
from engine.hub.download.look import sources
from engine.hub.download.prepare import embedded_folder, is_prepared
from engine.hub.upload.claim import reserve
from engine.jobs import Model
from engine.plan.bases.allowed import check_allowed, patterns
from engine.refusal import Refusal

PATIENCE_S = 900.0
HUB_FIELDS = ("", "token", "namespace", "repo")
UNUSED_S = 24 * 3600.0
"""How long a model in the cache is surely still wanted."""
RESERVE_S = 20.0
"""How long the Hub is waited for to make the repo of the model to come."""
TICK_S = 1.0
"""Seconds between two events that tell the bytes."""


def default_cache() -> Path:
    """The folder of HF_HOME, else `cache` in the data folder."""
    return Path(os.environ.get("HF_HOME") or Path(os.environ.get("DATA") or "data") / "cache").expanduser()


def fetch(path: Path, cache: Path | None = None, patience_s: float = PATIENCE_S) -> bool:
    """Make a run's folder ready to train in; True when its last event is `finished`.

    Passing trouble of the Hub is waited out for `patience_s`, unless the model came whole before.
    """
    folder = RunFolder(path)
    if not folder.spec_file.exists():
        raise Refusal(f"{path} is no run's folder: it has no spec.json.")
    attempt = folder.current_attempt("fetch")
    log = EventLog(attempt.folder, attempt.run, attempt.name)
    try:
        spec = folder.read_spec()
        log.write("started")
        if not (spec.model.run or (folder.model / "config.json").exists()):
            check_allowed(spec.model.id, patterns(os.environ.get("ALLOWED_MODELS", "")))
        tell(log, 0, 0)
        reserve(folder, log, min(patience_s, RESERVE_S))
        licence = bring_model(folder, spec.model, cache or default_cache(), log, patience_s)
        make_room(cache or default_cache(), float(os.environ.get("CACHE_GB") or 0), spec.model.id)
        tokenizer = read_json(folder.model / "tokenizer_config.json")
        log.write("phase", phase="reading rows")
        write_trainer_rows(folder, spec, has_template(folder.model, tokenizer))
        log.write("finished", revision=spec.model.revision, licence=licence)
    except Refusal as refusal:
        code = refusal.field if refusal.field in ("model", "disk") else "hub" if refusal.field in HUB_FIELDS else "data"
        log.write("failed", reason=refusal.text, code=code)
        return False
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        log.write("failed", reason=f"Fetching broke with {type(error).__name__}; the log has the rest.", code="crash")
        return False
    return True


def tell(log: EventLog, done: int, total: int) -> None:
    log.write("phase", phase="fetching", done_bytes=done, total_bytes=total)


def bring_model(folder: RunFolder, model: Model, cache: Path, log: EventLog, patience_s: float) -> dict[str, str]:
    """Put `<run>/model` in place unless it is there, check it, and return its licence, empty where it is not known."""
    licence: dict[str, str] = {}
    if not (folder.model / "config.json").exists():
        if model.run:
            licence = from_run(folder, model, log)
        elif model.id.startswith("embedded/"):
            link(embedded(model.id, cache).resolve(), folder.model)
        else:
            source, licence = from_hub(model, cache, log, patience_s)
            link(source.resolve(), folder.model)
    check_safetensors(model.id, (path.name for path in folder.model.iterdir()))
    check_index(folder.model)
    check_harmless(model.id, read_json(folder.model / "config.json"))
    return licence


def from_run(folder: RunFolder, model: Model, log: EventLog) -> dict[str, str]:
    """What a run of ours made. Raises Refusal where it is no longer here."""
    if not (folder.model / "spec.json").exists():
        raise Refusal(
            f"What run {model.run} had made is no longer here: train it again, or take another base.", "model"
        )
    log.write("phase", phase="merging")
    return team.bring(folder)


def make_room(cache: Path, limit_gb: float, kept: str) -> list[str]:
    """Remove the models that were used longest ago until the rest takes `limit_gb`; the ids of those that went.

    The model `kept` stays, and whatever was used within the last day: another run may be about to load it.
    """
    hub = cache / "hub"
    if not limit_gb or not hub.is_dir():
        return []
    found = scan_cache_dir(hub)
    excess = found.size_on_disk - limit_gb * 1e9
    gone = []
    for repo in sorted(found.repos, key=lambda repo: repo.last_accessed):
        is_old = time.time() - repo.last_accessed > UNUSED_S
        if excess <= 0 or not is_old or repo.repo_id == kept:
            continue
        shutil.rmtree(repo.repo_path)
        excess -= repo.size_on_disk
        gone.append(repo.repo_id)
    return gone


def link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source, target_is_directory=True)


def embedded(model: str, cache: Path) -> Path:
    """The folder of an embedded model, prepared now in a child of its own if that was never done."""
    if not is_prepared(cache, model):
        command = [sys.executable, "-P", "-m", "engine", "prepare", "--cache", str(cache)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=900, check=False)
        if done.returncode or not is_prepared(cache, model):
            raise Refusal(
                f"{model} could not be made ready: run `python -m engine prepare` and see what it says.", "model"
            )
    return embedded_folder(cache, model)


def from_hub(model: Model, cache: Path, log: EventLog, patience_s: float) -> tuple[Path, dict[str, str]]:
    """The model's folder in the cache, complete, and its licence. Raises Refusal where the Hub does not give it."""
    if not model.revision:
        raise Refusal(f"The run does not say which commit of {model.id} it wants: plan it again.", "model")
    there = whole_in_cache(model, cache)
    deadline = time.monotonic() + (0 if there else patience_s)
    *first, last = sources(client.reader())
    for address, token in first:
        try:
            return download(model, address, token, cache, log, deadline)
        except client.TROUBLE as error:
            if client.status(error) not in (401, 404):
                raise client.explain(error, model.id, address, bool(token)) from error
    address, token = last
    try:
        return download(model, address, token, cache, log, deadline)
    except client.TROUBLE as error:
        if there and client.is_passing(error):
            return there, {}
        raise client.explain(error, model.id, address, bool(token)) from error


def download(
    model: Model, address: str, token: str | None, cache: Path, log: EventLog, deadline: float
) -> tuple[Path, dict[str, str]]:
    """All files that training needs; bytes are told while they come."""
    api = client.connect(token, address)
    info = client.retried(lambda: client.info(api, model.id, model.revision), deadline)
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    wanted = [*small_files(sizes), *check_safetensors(model.id, sizes)]
    total = sum(sizes[name] for name in wanted)
    place = repo_folder(model, cache) / "blobs"
    ahead = stored(place)
    check_space(model.id, total - min(total, ahead), cache)
    work = partial(client.retried, lambda: take(api, model, wanted, cache), deadline)
    client.with_ticks(work, lambda: tell(log, min(total, stored(place) - ahead), total), TICK_S)
    tell(log, total, total)
    return take(api, model, wanted, cache), licence_of(info)


def check_space(model: str, missing: int, cache: Path) -> None:
    """Refuse a download of which the end would not fit any more."""
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if missing > free:
        raise Refusal(
            f"{model} is {missing / 1e9:.1f} GB to download, and {free / 1e9:.1f} GB are free in the cache: free some "
            "space, then start the run again.",
            "disk",
        )


def licence_of(info: ModelInfo) -> dict[str, str]:
    """The front matter's words about the licence."""
    found = {key: getattr(info.card_data, key, None) for key in ("license", "license_name", "license_link")}
    return {key: str(value) for key, value in found.items() if value}


def repo_folder(model: Model, cache: Path) -> Path:
    return cache / "hub" / f"models--{model.id.replace('/', '--')}"


def whole_in_cache(model: Model, cache: Path) -> Path | None:
    """The model's folder if all its weights came earlier, for when the Hub cannot be reached."""
    folder = repo_folder(model, cache) / "snapshots" / model.revision
    if not (folder / "config.json").exists() or not (folder / "tokenizer.json").exists():
        return None
    try:
        check_safetensors(model.id, (path.name for path in folder.iterdir()))
        check_index(folder)
    except Refusal:
        return None
    return folder


def take(api: HfApi, model: Model, wanted: list[str], cache: Path) -> Path:
    """Download what is not in the cache yet; an interrupted file goes on where it stopped."""
    return Path(
        api.snapshot_download(
            model.id, revision=model.revision, cache_dir=cache / "hub", allow_patterns=wanted, max_workers=4
        )
    )


def stored(blobs: Path) -> int:
    """Bytes that lie in the cache for this model, half-finished files included."""
    sizes = []
    for path in blobs.glob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # a finished file was renamed meanwhile
            continue
    return sum(sizes)
