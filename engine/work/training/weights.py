"""Weights and tokenizers, into and out of a run's folder: local files, safetensors, none of the model's own code."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.data.encoding import CHATML, TEMPLATES, Row
from engine.work.training.task import Failure, Task

LOCAL = {"local_files_only": True, "trust_remote_code": False}
PADS = ("<|endoftext|>", "<|finetune_right_pad_id|>", "<pad>", "<|pad|>", "[PAD]", "<unk>", "<|unk|>")
"""Tokens that may stand for padding where a model has none of its own; never its eos."""


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def has_bf16() -> bool:
    """Whether the GPU computes bfloat16 itself; emulated, it would be slower than float32."""
    import torch

    return has_gpu() and bool(torch.cuda.is_bf16_supported(including_emulation=False))


def load_tokenizer(task: Task, rows: Sequence[Row]) -> Any:
    """The base model's tokenizer with a pad token that is not its eos, and a template where the rows have turns.

    A reward head is read at the last token that is not padding, by the config of the base that a lora is loaded on:
    there the base's own pad token stays, whatever it is.
    """
    from transformers import AutoTokenizer

    check_shards(task.folder.model)
    tokenizer = AutoTokenizer.from_pretrained(task.folder.model, **LOCAL)
    tokenizer.padding_side = "right"
    if task.spec.method != "reward" or tokenizer.pad_token is None:
        choose_pad(tokenizer)
    if any(isinstance(value, list) for value in (rows[0] if rows else {}).values()):
        choose_template(task, tokenizer)
    return tokenizer


def choose_pad(tokenizer: Any) -> None:
    """A model that is padded with its eos never learns to stop, and a reward head would score the wrong token."""
    if tokenizer.pad_token is not None and tokenizer.pad_token != tokenizer.eos_token:
        return
    vocabulary = tokenizer.get_vocab()
    usable = (word for word in PADS if word in vocabulary and word != tokenizer.eos_token)
    tokenizer.pad_token = next(usable, tokenizer.bos_token or tokenizer.eos_token)


def choose_template(task: Task, tokenizer: Any) -> None:
    word = str(task.settings.get("template", "auto"))
    if word in TEMPLATES:
        tokenizer.chat_template = TEMPLATES[word]
    elif tokenizer.chat_template is None:
        tokenizer.chat_template = CHATML


def load_model(task: Task, kind: str, source: Path | None = None) -> Any:
    """The model in `model/` or `source`, with the head that `kind` names: CausalLM, MaskedLM, SequenceClassification.

    In float32, but the frozen base of a lora in bfloat16 on a GPU: only what is trained needs the precision.
    """
    import torch
    import transformers

    folder = source or task.folder.model
    check_shards(folder)
    is_frozen = task.is_on("lora") and has_bf16()
    extra = {**({"num_labels": 1} if kind == "SequenceClassification" else {}), **in_fewer_bits(task)}
    is_packed = task.settings.get("packing") and task.spec.method != "mlm"
    if is_packed and has_gpu() and importlib.util.find_spec("flash_attn"):
        extra["attn_implementation"] = "flash_attention_2"
    loader = getattr(transformers, f"AutoModelFor{kind}")
    try:
        return loader.from_pretrained(
            folder, dtype=torch.bfloat16 if is_frozen else torch.float32, use_safetensors=True, **LOCAL, **extra
        )
    except (OSError, ValueError) as error:
        raise Failure(
            "model", f"{task.spec.model.id} cannot be loaded for {task.spec.method}: {first(error)}"
        ) from error


def in_fewer_bits(task: Task) -> dict[str, Any]:
    """What transformers needs to hold the base in 8 or 4 bits (https://arxiv.org/abs/2305.14314 for the latter).

    Raises Failure where bitsandbytes or a GPU is missing.
    """
    bits = str(task.settings.get("quantization", "none"))
    if bits == "none":
        return {}
    if not has_gpu() or importlib.util.find_spec("bitsandbytes") is None:
        lacks = "the package bitsandbytes" if has_gpu() else "a GPU"
        raise Failure(
            "model", f"quantization={bits} needs {lacks}, which is not there where this trains: leave it out."
        )
    import torch
    from transformers import BitsAndBytesConfig

    if bits == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "device_map": {"": 0}}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if has_bf16() else torch.float16,
    )
    return {"quantization_config": config, "device_map": {"": 0}}


def load_result(task: Task, kind: str) -> Any:
    """What the attempt wrote to its output folder, loaded as anybody would, on the device that it was trained on."""
    output = task.attempt.folder / "output"
    if not (output / "adapter_config.json").exists():
        return to_device(load_model(task, kind, output))
    from peft import PeftModel

    return to_device(PeftModel.from_pretrained(load_model(task, kind), output, local_files_only=True))


def to_device(model: Any) -> Any:
    is_placed = getattr(model, "is_quantized", False)  # bitsandbytes puts its weights where they stay
    return (model.to("cuda") if has_gpu() and not is_placed else model).eval()


def check_shards(folder: Path) -> None:
    """Refuse an index that leads out of the folder: transformers would follow it into somebody else's model."""
    if not (folder / "config.json").exists():
        raise Failure("model", "The base model is not in the run's folder: fetch it again.")
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    if any(Path(name).name != name or not (folder / name).is_file() for name in names):
        raise Failure("model", "The base model's list of weights names files that are not in its folder.")


def lora_config(task: Task, kind: str, keep: tuple[str, ...] = ()) -> Any:
    """PEFT's settings for all linear layers, or None for a full training; `keep` are heads that are trained whole."""
    if not task.is_on("lora"):
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=task.whole("lora_r"),
        lora_alpha=task.whole("lora_alpha"),
        lora_dropout=task.number("lora_dropout"),
        target_modules=target_modules(task),
        modules_to_save=list(keep) or None,
        task_type=kind,
    )


def target_modules(task: Task) -> str | list[str]:
    word = str(task.settings.get("target_modules", "all-linear"))
    return word if word == "all-linear" else word.split(",")


def head_names(model: Any) -> tuple[str, ...]:
    """The parts beside the body that are new with this head: `score`, `cls`, `lm_head` …"""
    return tuple(name for name, _ in model.named_children() if name != model.base_model_prefix)


def with_lora(model: Any, config: Any) -> Any:
    if config is None:
        return model
    from peft import get_peft_model, prepare_model_for_kbit_training

    if getattr(model, "is_quantized", False):
        model = prepare_model_for_kbit_training(model)
    return get_peft_model(model, config)


def first(error: Exception) -> str:
    """The first line of an error, without the path of the machine that it happened on."""
    line = str(error).strip().split("\n")[0]
    return " ".join(word if not word.strip("'\"`(").startswith("/") else "its folder" for word in line.split())[:300]


def save(task: Task, model: Any, tokenizer: Any) -> Path:
    """Write what was trained to `<attempt>/output`: the lora, or full weights with `lora=off` or `merge=on`.

    With `merge=on` the lora is saved first, to `<attempt>/lora`, so that no merge can cost it.
    Raises Failure where a weight is not finite. Nothing in the folder names a path of this machine.
    """
    output = task.attempt.folder / "output"
    if task.is_on("lora") and task.settings.get("merge"):
        from engine.work.export.merge import merge

        lora = write(task, model, tokenizer, task.attempt.folder / "lora")
        merge(task.folder.model, lora, output)
        check_finite(output)
        return output
    return write(task, model, tokenizer, output)


def write(task: Task, model: Any, tokenizer: Any, output: Path) -> Path:
    if task.is_on("lora"):
        config = model.peft_config["default"]
        config.base_model_name_or_path, config.revision = task.spec.model.id, task.spec.model.revision or None
        model.save_pretrained(output, save_embedding_layers=False)
    else:
        model.config.name_or_path = ""
        model.save_pretrained(output)
    (output / "README.md").unlink(missing_ok=True)
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(output)
    check_finite(output)
    return output


def check_finite(output: Path) -> None:
    import torch
    from safetensors import safe_open

    for path in sorted(output.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping: it cannot be iterated)
                if not torch.isfinite(weights.get_tensor(name)).all():
                    raise Failure("nan", f"The trained weights are not finite ({name}): nothing was kept.")
