"""A model that a run of ours made, as the base of the next: looked at in its run's folder, and brought from there.

A lora is merged into its base first, once; later runs take the merged weights that lie beside it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from engine.events import read_events
from engine.folder import RunFolder
from engine.hub.download.base import count_parameters, describe, small_files
from engine.jobs import Attempt
from engine.plan.models import Look
from engine.refusal import Refusal

AS_BASE = "as-base"
"""In the attempt's folder: what a plan reads of the model, its config and tokenizer."""
MERGED = "merged"
BRINGING = "base"
"""In the new run's folder: the model, before `model` points to it."""
TERMS = ("LICENSE", "NOTICE", "USE_POLICY")
SECRETS = ("HF_TOKEN", "HF_READ_TOKEN")


def look_at_run(path: Path) -> Look:
    """What the run made, as a base model. Raises Refusal for what cannot be one."""
    run = RunFolder(path.resolve())
    spec, trained = run.read_spec(), made(run)
    output, name = trained.folder / "output", f"Run {run.path.name}"
    is_lora = (output / "adapter_config.json").exists()
    if spec.method == "reward":
        raise Refusal(
            f"{name} trained a reward model, which scores texts and writes none: take another as the base.", "model"
        )
    if spec.method == "mlm" and is_lora:
        raise Refusal(
            f"{name} trained a lora of an encoder, which is not merged here: train it with lora=off.", "model"
        )
    small = collected(trained, run.model if is_lora else output, output)
    repo, revision = where_pushed(run)
    return describe(
        repo or f"run-{run.path.name}",
        "" if is_lora else revision,
        small,
        count_parameters(run.model if is_lora else output),
        licence=str(licence_of(run).get("license", "")),
        made_by=run.path.name,
    )


def made(run: RunFolder) -> Attempt:
    """The attempt that trained it. Raises Refusal."""
    trained = run.finished("train")
    if trained is None or not any((trained.folder / "output").glob("*.safetensors")):
        raise Refusal(f"Run {run.path.name} has no trained model here to go on from.", "model")
    return trained


def collected(trained: Attempt, weights: Path, output: Path) -> Path:
    """A folder with the model's small files: the config beside its weights, the tokenizer that training wrote."""
    target = trained.folder / AS_BASE
    target.mkdir(exist_ok=True)
    for source in (weights, output):
        for name in small_files(path.name for path in source.iterdir()):
            if not name.endswith(".index.json"):
                half = target / f".{name}.half"
                shutil.copyfile(source / name, half)
                half.replace(target / name)
    return target


def where_pushed(run: RunFolder) -> tuple[str, str]:
    """The repo and commit that its model lies at on the Hub; empty where it stayed here."""
    pushed = run.finished("push")
    data = read_events(pushed.folder / "events.jsonl")[-1].data if pushed else {}
    return str(data.get("repo", "")), str(data.get("revision", ""))


def licence_of(run: RunFolder) -> dict[str, str]:
    """What the base's card said of its licence, which binds what was trained on it too."""
    fetched = run.finished("fetch")
    told = read_events(fetched.folder / "events.jsonl")[-1].data.get("licence", {}) if fetched else {}
    return {str(key): str(value) for key, value in told.items()}


def bring(folder: RunFolder) -> dict[str, str]:
    """Put the model of the run that `model` points to in its place, and return its licence. Raises Refusal."""
    source = RunFolder(folder.model.resolve())
    trained = made(source)
    output = trained.folder / "output"
    is_lora = (output / "adapter_config.json").exists()
    weights = merged(source, trained) if is_lora else output
    target = folder.path / BRINGING
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(weights, target, copy_function=link_or_copy)
    for path in source.model.iterdir():
        if path.name.startswith(TERMS):
            link_or_copy(str(path.resolve()), str(target / path.name))
    pointer = folder.path / ".model"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(BRINGING, target_is_directory=True)
    pointer.replace(folder.model)
    return licence_of(source)


def merged(source: RunFolder, trained: Attempt) -> Path:
    """Full weights of its lora, made now in a process that may load torch, unless they are there. Raises Refusal."""
    target = trained.folder / MERGED
    if (target / "config.json").exists():
        return target
    python = os.environ.get("VERIFY_PYTHON") or sys.executable
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [python, "-P", "-m", "engine", "merge", str(source.path), "--to", str(target)]
    done = subprocess.run(
        command, env={**environment, "HF_HUB_OFFLINE": "1"}, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    if done.returncode or not (target / "config.json").exists():
        raise Refusal(
            f"The lora of run {source.path.name} could not be merged into its base: its log says why. Train it again "
            "with merge=on, or take another base.",
            "model",
        )
    return target


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
