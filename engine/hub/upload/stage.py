"""The folder that is pushed: an allow-list of a training's output, cleaned, with our card. Nothing else ever leaves."""

import fnmatch
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.events import read_events
from engine.folder import RunFolder
from engine.hub.download.prepare import ORIGINS
from engine.hub.upload.card import PICTURE, Facts, Loading, card, head
from engine.jobs import Answer, Attempt, JobSpec
from engine.plan.models import NOTES, find
from engine.plan.parameters import GENERATING, complete
from engine.refusal import Refusal

ALLOWED = (
    *("model.safetensors", "model-*-of-*.safetensors", "adapter_model.safetensors", "model.safetensors.index.json"),
    *("config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model"),
    *("chat_template.jinja", "chat_template.json", "loss.png", "LICENSE*", "NOTICE*", "USE_POLICY*"),
)
"""Everything else stays here: training_args.bin holds secrets, optimizer states are large, code is not ours to give."""
TERMS = ("LICENSE", "NOTICE", "USE_POLICY")
"""Files of the base model that go with everything that is made from it."""
VOCABULARIES = ("tokenizer.json", "vocab.json")
"""JSON that is the model's own and is passed on byte for byte."""
TOLD_PATHS = ("_name_or_path", "name_or_path", "_model_name_or_path", "is_local", "local_files_only")
PATH = re.compile(r"(?:/|~/|[A-Za-z]:\\|file://)\S+")


@dataclass(frozen=True)
class Staged:
    """`folder` is ready to push; `facts` are what its card tells."""

    folder: Path
    facts: Facts

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())


def is_allowed(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in ALLOWED)


def stage(folder: RunFolder, trained: Attempt, spec: JobSpec, target: Path, repo: str, is_loopback: bool) -> Staged:
    """Assemble `target` anew. Raises Refusal where there is no model, or where something would tell of this machine."""
    output = trained.folder / "output"
    if not output.is_dir() or not any(output.glob("*.safetensors")):
        raise Refusal(f"The training of run {trained.run} left no model to push: start it again.", "")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    base, revision = base_model(spec, is_loopback)
    is_lora = (output / "adapter_config.json").exists()
    if is_lora and not base_is_loadable(spec, is_loopback):
        output, is_lora = merged(folder, output, target.with_name("merged"), spec.method), False
    for source in (output, trained.folder):
        for path in sorted(source.iterdir()):
            if path.is_file() and is_allowed(path.name) and not (target / path.name).exists():
                place(path, target / path.name)
    for path in sorted(folder.model.iterdir()) if folder.model.is_dir() else ():
        if path.name.startswith(TERMS):
            place(path, target / path.name)
    clean(target, base, revision)
    facts = gather(folder, trained, spec, target, repo, is_lora, base, revision)
    (target / "README.md").write_text(card(facts), encoding="utf-8")
    check_no_paths(target)
    return Staged(target, facts)


def base_model(spec: JobSpec, is_loopback: bool) -> tuple[str, str]:
    """The repo id and commit that a card may name: an embedded model's origin on the real Hub, nothing for a folder."""
    model = spec.model
    if model.run:
        return (model.id if "/" in model.id else ""), model.revision
    if model.id in ORIGINS and not is_loopback:
        return ORIGINS[model.id][0], ""
    if model.id in ORIGINS or (model.revision and "/" in model.id):
        return model.id, model.revision
    return "", ""


def base_is_loadable(spec: JobSpec, is_loopback: bool) -> bool:
    """Whether those who get a lora can get the very weights it was trained on."""
    if spec.model.id in ORIGINS:
        return is_loopback
    if spec.model.run:
        return bool(spec.model.revision)  # what was merged here lies on no Hub
    return bool(base_model(spec, is_loopback)[0])


def merged(folder: RunFolder, lora: Path, out: Path, method: str) -> Path:
    """Full weights of base and lora, made once: nobody could load the lora, since its base is on no Hub."""
    if not (out / "config.json").exists():
        half = out.with_name("merging")
        shutil.rmtree(half, ignore_errors=True)
        merge(folder.model.resolve(), lora, half, method)
        half.rename(out)
    return out


def merge(base: Path, lora: Path, out: Path, method: str) -> None:
    """Write `base` + `lora` to `out` as safetensors, with the tokenizer of `lora`: shard by shard where it writes text,
    else, with a head that the base lacks, whole and in float32. Imports torch. Raises Refusal."""
    if method in GENERATING:
        merge_by_shards(base, lora, out)
        return
    import torch
    import transformers
    from peft import PeftModel

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    extra = {"num_labels": 1} if method == "reward" else {}
    loader = getattr(transformers, f"AutoModelFor{head(method)}")
    network = loader.from_pretrained(base, dtype=torch.float32, use_safetensors=True, **safe, **extra)
    whole = PeftModel.from_pretrained(network, lora, local_files_only=True).merge_and_unload()
    whole.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(lora, **safe).save_pretrained(out)


def merge_by_shards(base: Path, lora: Path, out: Path) -> None:
    from engine.work.export.merge import merge
    from engine.work.training.task import Failure

    try:
        merge(base, lora, out)
    except Failure as failure:
        raise Refusal(failure.reason, "") from None


def place(source: Path, target: Path) -> None:
    """A hard link where the disk allows one, since weights are large, and a copy where it is text to be cleaned."""
    if source.suffix == ".safetensors":
        try:
            os.link(source.resolve(), target)
        except OSError:
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)


def clean(folder: Path, base: str, revision: str) -> None:
    """Take out of every config what names this machine; a lora's config names its base as the Hub knows it."""
    for path in folder.glob("*.json"):
        if path.name in VOCABULARIES or path.name.endswith(".index.json"):
            continue
        values = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: value for name, value in values.items() if name not in TOLD_PATHS}
        if path.name == "adapter_config.json":
            kept |= {"base_model_name_or_path": base, "revision": revision or None}
        if kept != values:
            path.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def check_no_paths(folder: Path) -> None:
    """Refuse to push a config or card that names a place of this machine, or that holds the token."""
    token = os.environ.get("HF_TOKEN") or "\0"
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in VOCABULARIES or path.suffix == ".png":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if token in text:
            raise Refusal(
                f"{path.name} would have carried our token, so nothing was pushed: make a new token.", "token"
            )
        if path.suffix == ".json" and (found := local_path(json.loads(text))):
            raise Refusal(f"{path.name} names “{found}”, a place of this machine, so nothing was pushed.", "")


def local_path(value: Any) -> str:
    """The first string within JSON that reads as a path of a machine; empty when there is none."""
    if isinstance(value, str):
        return value if PATH.fullmatch(value) else ""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((found for part in inner if (found := local_path(part))), "")


def gather(
    folder: RunFolder,
    trained: Attempt,
    spec: JobSpec,
    staged: Path,
    repo: str,
    is_lora: bool,
    base: str,
    revision: str,
) -> Facts:
    """The facts of the card, from the run's spec, its events and its rows."""
    end = read_events(trained.folder / "events.jsonl")[-1].data
    template = {"chat template, sha256": sha} if (sha := str(end.get("template_sha256") or "")) else {}
    is_chat = has_chat(folder.rows("train"), staged)
    return Facts(
        spec=spec,
        repo=repo,
        base=base,
        base_revision=revision,
        licence=licence(folder, spec),
        is_lora=is_lora,
        loading=Loading(repo, head(spec.method), is_lora, is_chat, base, revision),
        rows=count_rows(folder.rows("train")),
        held_out=count_rows(folder.rows("valid")),
        parameters={**complete(spec.method, spec.parameters), **template},
        metrics=end.get("metrics", {}),
        answers=[msgspec.convert(one, Answer) for one in end.get("answers", [])],
        are_answers_held_out=bool(end.get("are_answers_held_out")),
        train_s=float(end.get("train_s", 0)),
        has_picture=(staged / PICTURE).exists(),
        note=NOTES.get(spec.model.id, ""),
    )


def has_chat(rows: Path, staged: Path) -> bool:
    """Whether the model was trained on conversations and has a template, so that it is to be asked through it."""
    config = staged / "tokenizer_config.json"
    in_config = config.exists() and "chat_template" in json.loads(config.read_text(encoding="utf-8"))
    return are_conversations(rows) and (in_config or (staged / "chat_template.jinja").exists())


def are_conversations(rows: Path) -> bool:
    """Conversations are lists in the trainer's rows, plain texts are strings."""
    if not rows.exists():
        return False
    import pyarrow as pa

    with pa.memory_map(str(rows)) as file, pa.ipc.open_stream(file) as stream:
        return any(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in stream.schema.types)


def licence(folder: RunFolder, spec: JobSpec) -> dict[str, str]:
    """The base model's licence, as fetching read it from the Hub, or as we know it of a model on offer."""
    fetched = folder.finished("fetch")
    told = read_events(fetched.folder / "events.jsonl")[-1].data.get("licence", {}) if fetched else {}
    if told.get("license"):
        return {key: str(value) for key, value in told.items()}
    offer = find(spec.model.id)
    return {"license": offer.licence} if offer else {}


def count_rows(path: Path) -> int:
    """Rows of an Arrow stream; 0 where there is none."""
    if not path.exists():
        return 0
    import pyarrow as pa

    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return sum(batch.num_rows for batch in stream)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
