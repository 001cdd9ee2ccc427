"""Tiny base models made from texts in a fraction of a second: files that transformers loads, no torch to make them.

A vocabulary under 1,000 keeps a training step on a CPU at hundredths of a second.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from engine.folder import RunFolder
from engine.jobs import JobSpec, Model, Source, Value

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, LENGTH = 64, 128, 2, 4, 2, 512
CAUSAL_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MASKED_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
Row = dict[str, object]
Weights = dict[str, NDArray[np.float32]]


def make_causal(folder: Path, texts: Sequence[str], *, has_template: bool = True, seed: int = 0) -> Path:
    """Write a tiny Llama with a chatml template; bos `<|im_start|>`, eos `<|im_end|>`, pad `<|endoftext|>`."""
    tokenizer = train_tokenizer(texts, CAUSAL_SPECIALS)
    template = {"chat_template": CHATML} if has_template else {}
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "intermediate_size": INNER,
        "num_key_value_heads": KEY_HEADS,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    weights = causal_weights(tokenizer.get_vocab_size(), np.random.default_rng(seed))
    return write(folder, tokenizer, {**names, **template}, config, weights)


def make_masked(folder: Path, texts: Sequence[str], *, has_head: bool = True, seed: int = 0) -> Path:
    """Write a tiny BERT; without a head it is a bare encoder, as sentence embedders are."""
    tokenizer = train_tokenizer(texts, MASKED_SPECIALS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{word.strip('[]').lower()}_token": word for word in MASKED_SPECIALS}
    config = {
        "architectures": ["BertForMaskedLM" if has_head else "BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "intermediate_size": INNER,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    weights = masked_weights(tokenizer.get_vocab_size(), np.random.default_rng(seed), has_head)
    return write(folder, tokenizer, names, config, weights)


def train_tokenizer(texts: Sequence[str], specials: Sequence[str]) -> Tokenizer:
    """A byte-level BPE of at most 800 tokens: every text can be written with it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        show_progress=False,
        special_tokens=[AddedToken(word, special=True) for word in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def causal_weights(vocab: int, random: np.random.Generator) -> Weights:
    """The tensors of LlamaForCausalLM with tied embeddings."""
    key_size = HIDDEN * KEY_HEADS // HEADS
    weights = {"model.embed_tokens.weight": normal(random, vocab, HIDDEN), "model.norm.weight": ones(HIDDEN)}
    shapes = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN)}
    shapes |= {"self_attn.k_proj": (key_size, HIDDEN), "self_attn.v_proj": (key_size, HIDDEN)}
    shapes |= {"mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER)}
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            weights[f"model.layers.{layer}.{name}.weight"] = normal(random, *shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = ones(HIDDEN)
    return weights


def masked_weights(vocab: int, random: np.random.Generator, has_head: bool) -> Weights:
    """The tensors of BertForMaskedLM, or of BertModel without its pooler."""
    prefix = "bert." if has_head else ""
    weights: Weights = {}

    def dense(name: str, outputs: int, inputs: int) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = normal(random, outputs, inputs), zeros(outputs)

    def norm(name: str) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = ones(HIDDEN), zeros(HIDDEN)

    for name, size in (("word", vocab), ("position", LENGTH), ("token_type", 2)):
        weights[f"{prefix}embeddings.{name}_embeddings.weight"] = normal(random, size, HIDDEN)
    norm(f"{prefix}embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"{prefix}encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            dense(f"{at}.{name}", HIDDEN, HIDDEN)
        dense(f"{at}.intermediate.dense", INNER, HIDDEN)
        dense(f"{at}.output.dense", HIDDEN, INNER)
        norm(f"{at}.attention.output.LayerNorm")
        norm(f"{at}.output.LayerNorm")
    if has_head:
        dense("cls.predictions.transform.dense", HIDDEN, HIDDEN)
        norm("cls.predictions.transform.LayerNorm")
        weights["cls.predictions.bias"] = zeros(vocab)
    return weights


def normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.normal(0.0, 0.05, shape).astype(np.float32)


def ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def write(
    folder: Path, tokenizer: Tokenizer, names: dict[str, str], config: dict[str, object], weights: Weights
) -> Path:
    """`names` go to tokenizer_config.json; the shared sizes are added to `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": LENGTH,
        "vocab_size": tokenizer.get_vocab_size(),
        "pad_token_id": 0,
        "dtype": "float32",
    }
    tokenizer_config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": LENGTH, **names}
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2))
    (folder / "config.json").write_text(json.dumps({**config, **sizes}, indent=2))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_run(
    folder: Path, method: str, model: Path, rows: Sequence[Row], valid: Sequence[Row] = (), **parameters: Value
) -> RunFolder:
    """A run's folder as the child that trains finds it; `rows` are in the trainer's columns and get their numbers."""
    run = RunFolder(folder)
    run.write_spec(JobSpec(method, Model("tests/mini", "a" * 40), Source("x.csv", "0" * 64, {}), parameters=parameters))
    run.model.symlink_to(model)
    write_rows(run.rows("train"), rows)
    if valid:
        write_rows(run.rows("valid"), valid)
    return run


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    table = pa.Table.from_pylist([{**row, "row": number} for number, row in enumerate(rows, 1)])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
