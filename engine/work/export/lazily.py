"""A model that answers with its weights left in their files: each is read when its layer is computed, and let go.

So two models can be compared on a machine that could not hold one of them: what is in memory at once is the largest
single tensor, in float32, and the activations of a row.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PEFT = "base_model.model."


class Files(Mapping[str, Any]):
    """Tensors of safetensors files by the names that the model's modules have, in float32.

    `lora` adds those of a lora in PEFT's names. A head without weights of its own is the embedding that it is tied to.
    """

    def __init__(self, base: Path, lora: Path | None = None, tied: str = "") -> None:
        self.where = {name: path for path in sorted(base.glob("*.safetensors")) for name in names_in(path)}
        self.of_lora = lora / "adapter_model.safetensors" if lora else None
        self.names_of_lora = set(names_in(self.of_lora)) if self.of_lora else set()
        self.tied = tied

    def __getitem__(self, name: str) -> Any:
        path, stored = self.find(name)
        return read(path, stored)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)

    def find(self, name: str) -> tuple[Path, str]:
        """The file and the name in it. Raises KeyError for a tensor that no file has."""
        in_lora = name.replace(".default.", ".")
        if self.of_lora and in_lora in self.names_of_lora:
            return self.of_lora, in_lora
        plain = name.removeprefix(PEFT).replace(".base_layer.", ".")
        stored = plain if plain in self.where else self.tied if plain.startswith("lm_head.") else plain
        return self.where[stored], stored


def names_in(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return list(file.keys())


def read(path: Path, name: str) -> Any:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.get_tensor(name).float()


def lazy(base: Path, lora: Path | None = None) -> Any:
    """A causal model, with a lora on it if there is one, ready to be called. Raises KeyError where a name of the model
    is none of its files', as with types whose weights are rearranged when they are loaded."""
    import torch
    from accelerate import init_empty_weights
    from accelerate.hooks import attach_align_device_hook
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    tied = next(name for name, tensor in model.named_parameters() if tensor is model.get_input_embeddings().weight)
    if lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig.from_pretrained(lora), low_cpu_mem_usage=True)
    files = Files(base, lora, tied)
    for name, _ in [*model.named_parameters(), *persistent_buffers(model)]:
        files.find(name)
    attach_align_device_hook(model, execution_device=torch.device("cpu"), offload=True, weights_map=files)
    return model.eval()


def persistent_buffers(model: Any) -> Iterator[tuple[str, Any]]:
    """Buffers that would have to come from a file; those that are computed, as of positions, are there already."""
    stored = model.state_dict().keys()
    return ((name, tensor) for name, tensor in model.named_buffers() if name in stored and tensor.is_meta)
