"""A base model's files: which ones are taken, what config.json says, and what is refused. No code of a model is run."""

import fnmatch
import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from engine.plan.models import Look
from engine.refusal import Refusal

SMALL = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "chat_template.jinja"),
    *("chat_template.json", "model.safetensors.index.json", "LICENSE*", "NOTICE*", "USE_POLICY*"),
)
WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
INDEX = "model.safetensors.index.json"
ENCODERS = frozenset(
    (
        *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet"),
        *("roberta", "xlm-roberta", "eurobert", "ernie", "roformer", "nomic_bert"),
    )
)
OWN_TYPES = ENCODERS | frozenset(
    (
        *(
            "bloom",
            "cohere",
            "cohere2",
            "deepseek_v3",
            "falcon",
            "gemma",
            "gemma2",
            "gemma3_text",
            "glm",
            "glm4",
            "gpt2",
        ),
        *(
            "gpt_bigcode",
            "gpt_neo",
            "gpt_neox",
            "gpt_oss",
            "gptj",
            "granite",
            "granitemoe",
            "llama",
            "mistral",
            "mixtral",
        ),
        *("mpt", "olmo", "olmo2", "olmo3", "olmoe", "opt", "persimmon", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3"),
        *("qwen3_moe", "smollm3", "stablelm", "starcoder2"),
    )
)
"""Types whose code is transformers' own, so that an `auto_map` beside them is never followed."""
ATTENTIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
NAMES: Mapping[str, tuple[str, ...]] = {
    "hidden": ("hidden_size", "n_embd", "dim", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "vocab": ("vocab_size",),
    "max_length": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
}
LENGTH = 2048
"""Tokens, where neither config nor tokenizer says."""
NO_LIMIT = 1_000_000
"""A tokenizer's model_max_length above this means that there is none."""


def small_files(names: Iterable[str]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in SMALL) and "/" not in name]


def weight_files(names: Iterable[str]) -> list[str]:
    """The safetensors that transformers loads: at the root, not a second copy in another layout."""
    return [name for name in names if WEIGHTS.fullmatch(name)]


def check_safetensors(model: str, names: Iterable[str]) -> list[str]:
    """The weight files among `names`; raises Refusal where there are none."""
    names = list(names)
    found = weight_files(names)
    if found:
        return found
    has_pickles = any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names)
    why = "only pickled weights, which can run code when they are loaded" if has_pickles else "no weights"
    raise Refusal(f"{model} has {why}; only safetensors are taken. Name a model that has model.safetensors.", "model")


def check_index(folder: Path) -> None:
    """Refuse an index whose file names lead out of the folder, or to files that are not there."""
    index = folder / INDEX
    if not index.exists():
        return
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        raise Refusal(f"The model's {INDEX} cannot be read.", "model") from None
    for name in names:
        if not isinstance(name, str) or not WEIGHTS.fullmatch(name) or not (folder / name).is_file():
            raise Refusal(f"The model's {INDEX} names “{name}”, which is no weight file of this model.", "model")


def count_parameters(folder: Path) -> int:
    """The weights in the safetensors of a folder, by their headers. Raises Refusal for a file that is none."""
    return sum(count_file(folder / name) for name in weight_files(path.name for path in sorted(folder.iterdir())))


def count_file(path: Path) -> int:
    with path.open("rb") as file:
        try:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(size))
        except (ValueError, struct.error) as error:
            raise Refusal(f"{path.name} is no safetensors file: {error}.", "model") from None
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file is absent. Raises Refusal where it is something else."""
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refusal(f"The model's {path.name} is no JSON: {error}.", "model") from None
    if not isinstance(values, dict):
        raise Refusal(f"The model's {path.name} is no JSON object.", "model")
    return values


def describe(model: str, revision: str, folder: Path, parameters: int, **more: Any) -> Look:
    """The Look of a folder that holds config and tokenizer; `more` are its remaining fields. Raises Refusal."""
    config, tokenizer = read_json(folder / "config.json"), read_json(folder / "tokenizer_config.json")
    if not config:
        raise Refusal(f"{model} has no config.json, so it is no model that transformers can load.", "model")
    check_harmless(model, config)
    check_plain(model, config)
    if not (folder / "tokenizer.json").exists():
        raise Refusal(
            f"{model} brings no tokenizer.json: name a model that has one, most often the newer release of the same.",
            "model",
        )
    sizes = {name: first_number(config, keys) for name, keys in NAMES.items()}
    limit = tokenizer.get("model_max_length")
    if isinstance(limit, int) and 0 < limit < NO_LIMIT:
        sizes["max_length"] = min(limit, sizes["max_length"] or limit)
    return Look(
        model,
        revision,
        folder,
        kind_of(config),
        parameters,
        hidden=sizes["hidden"],
        layers=sizes["layers"],
        vocab=sizes["vocab"],
        max_length=sizes["max_length"] or LENGTH,
        has_chat_template=has_template(folder, tokenizer),
        **more,
    )


def first_number(config: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int)), 0)


def has_template(folder: Path, tokenizer: Mapping[str, Any]) -> bool:
    files = ("chat_template.jinja", "chat_template.json")
    return bool(tokenizer.get("chat_template")) or any((folder / name).exists() for name in files)


def kind_of(config: Mapping[str, Any]) -> str:
    """`causal`, `masked`, or the name of the architecture where it is neither."""
    named = config.get("architectures") or [""]
    name = str(named[0])
    kind = str(config.get("model_type", ""))
    if name.endswith(("ForMaskedLM", "ForPreTraining")) or (kind in ENCODERS and name.endswith("Model")):
        return "masked"
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal"
    return name or kind or "unknown"


def check_harmless(model: str, config: Mapping[str, Any]) -> None:
    """Refuse a config that makes the loader run or fetch code: its own modules, or kernels from the Hub."""
    if config.get("auto_map") and config.get("model_type") not in OWN_TYPES:
        raise Refusal(
            f"{model} needs code from its own repo (trust_remote_code), which is never run here: "
            "name a model whose type transformers knows by itself.",
            "model",
        )
    for key, value in walk(config):
        if key.endswith("attn_implementation") and value not in (None, *ATTENTIONS):
            raise Refusal(
                f"{model} asks for attention code from elsewhere ({key}: {value}), which is never fetched here.",
                "model",
            )


def check_plain(model: str, config: Mapping[str, Any]) -> None:
    quantised = config.get("quantization_config")
    if quantised:
        how = quantised.get("quant_method", "quantised") if isinstance(quantised, dict) else "quantised"
        raise Refusal(
            f"{model} holds compressed weights ({how}), which cannot be trained on: name the plain model that it "
            "was made from.",
            "model",
        )


def walk(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All keys of a config with their values, those of nested parts too."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from walk(value)
        else:
            yield key, value
