"""Full weights of a base and its lora: a step of its own that can be repeated, shard by shard, checked by its logits.

    python -m engine merge FOLDER [--to OUT]

A tensor W that the lora changes becomes W + scale · B · A, in float32 (https://arxiv.org/abs/2106.09685, section 4);
every other one is copied. Only one shard of the base is in memory at a time, and only a layer when both are compared.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.folder import RunFolder
from engine.work.export.lazily import lazy
from engine.work.training.task import Failure

PREFIX = "base_model.model."
TOLERANCE = 0.02
"""How far the merged logits may lie from those of base and lora, as a share of their length: weights are rounded to the
base's own type, and bfloat16 has eight bits."""
PROBE = 64
"""Tokens by which both are compared."""
COPIED = ("*.json", "*.jinja", "*.txt", "*.model")


@dataclass(frozen=True)
class Change:
    """What a lora does to one tensor of the base: adds `scale · up · down`, or takes its place."""

    up: Any = None
    down: Any = None
    scale: float = 1.0
    is_transposed: bool = False
    whole: Any = None


def merge(base: Path, lora: Path, target: Path) -> Path:
    """Write the merged model to `target`, which is replaced whole. Raises Failure where the two do not fit or logits
    differ; `target` is then not there."""
    changes = read_changes(lora)
    half = target.with_name(f".{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    used: set[str] = set()
    for shard in sorted(base.glob("*.safetensors")):
        used |= merge_shard(shard, half / shard.name, changes)
    if missing := sorted(set(changes) - used):
        raise Failure(
            "model", f"The lora changes {missing[0]}, which the base's files do not have: it is not of this base."
        )
    for pattern in COPIED:
        for path in base.glob(pattern):
            shutil.copyfile(path, half / path.name)
    for path in lora.iterdir():
        if path.is_file() and not path.name.startswith(("adapter_", "README")) and path.suffix != ".safetensors":
            shutil.copyfile(path, half / path.name)
    check_same(base, lora, half)
    shutil.rmtree(target, ignore_errors=True)
    half.replace(target)
    return target


def merge_run(path: Path, to: Path | None = None) -> Path:
    """Merge what a run has trained, as often as one likes: into `to`, else `merged` beside its lora."""
    from engine.work.train import quieten

    quieten()
    folder = RunFolder(path)
    trained = folder.finished("train")
    if trained is None:
        raise Failure("data", "This run has no trained model here.")
    lora = trained.folder / "lora"
    lora = lora if lora.exists() else trained.folder / "output"
    if not (lora / "adapter_config.json").exists():
        raise Failure("data", "This run trained all weights, so there is no lora to merge.")
    return merge(folder.model, lora, to or trained.folder / "merged")


def read_changes(lora: Path) -> dict[str, Change]:
    """By the name of the base's tensor."""
    from safetensors import safe_open

    config = json.loads((lora / "adapter_config.json").read_text(encoding="utf-8"))
    with safe_open(lora / "adapter_model.safetensors", "pt") as file:
        tensors = {name.removeprefix(PREFIX): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changes = {}
    for name, tensor in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            rank = len(tensor)
            alpha = patterned(config, "alpha_pattern", module, config["lora_alpha"])
            scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
            up = tensors[f"{module}.lora_B.weight"]
            changes[f"{module}.weight"] = Change(up, tensor, scale, bool(config.get("fan_in_fan_out")))
        elif ".lora_" not in name:
            changes[name] = Change(whole=tensor)
    return changes


def patterned(config: Mapping[str, Any], name: str, module: str, usual: float) -> float:
    found = (value for key, value in (config.get(name) or {}).items() if module.endswith(key))
    return float(next(found, usual))


def merge_shard(shard: Path, target: Path, changes: Mapping[str, Change]) -> set[str]:
    """Write one file of weights; returns the names of the tensors in it that were changed."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(shard, "pt") as file:
        names = list(file.keys())
        tensors = {name: changed(file.get_tensor(name), changes.get(name)) for name in names}
    save_file(tensors, target, {"format": "pt"})
    return set(names) & set(changes)


def changed(tensor: Any, change: Change | None) -> Any:
    if change is None:
        return tensor
    if change.whole is not None:
        return change.whole.to(tensor.dtype).contiguous()
    delta = change.scale * (change.up.float() @ change.down.float())
    delta = delta.T if change.is_transposed else delta
    return (tensor.float() + delta).to(tensor.dtype).contiguous()


def check_same(base: Path, lora: Path, merged: Path) -> None:
    """Raises Failure where the merged model says something else than base and lora together.

    Neither is held in memory: each is computed a layer at a time from its files.
    """
    import torch

    try:
        expected, found = logits(lazy(base, lora)), logits(lazy(merged))
    except KeyError:
        expected, found = logits(whole(base, lora)), logits(whole(merged))
    apart = float((expected - found).norm() / expected.norm().clamp(min=1e-9))
    if not apart <= TOLERANCE or not torch.isfinite(found).all():
        raise Failure(
            "model", f"The merged weights answer otherwise than base and lora ({apart:.1%} apart): they were not kept."
        )


def whole(base: Path, lora: Path | None = None) -> Any:
    """A model in memory, on the processor: for types that rearrange their weights when they are loaded."""
    import transformers
    from peft import PeftModel

    from engine.work.training.weights import LOCAL

    loader = transformers.AutoModelForCausalLM
    model = loader.from_pretrained(base, dtype="float32", use_safetensors=True, **LOCAL)
    return (PeftModel.from_pretrained(model, lora, local_files_only=True) if lora else model).eval()


def logits(model: Any) -> Any:
    """Those of one row of tokens spread over the vocabulary, the same each time."""
    import torch

    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(PROBE).mul(7919).remainder(vocabulary)[None]
    with torch.no_grad():
        return model(input_ids=ids).logits.float().cpu()
