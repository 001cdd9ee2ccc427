"""The rows and the base model of the training benchmarks: made here, so that nothing has to be downloaded."""

import json
import math
import random
from pathlib import Path

from tests.mini import CAUSAL_SPECIALS, CHATML, Row, train_tokenizer

WORDS = 400
MEDIAN, SPREAD, LONGEST = 60, 0.9, 400
"""Words of a row: the lengths of chats, lognormal (median and sigma), cut at the longest."""


def texts(count: int, seed: int) -> list[str]:
    """Rows that can be learned a little: each word is mostly followed by one of three others."""
    rng = random.Random(seed)  # noqa: S311
    words = [f"w{number}" for number in range(WORDS)]
    made = []
    for _ in range(count):
        length = min(LONGEST, max(4, round(rng.lognormvariate(math.log(MEDIAN), SPREAD))))
        at = rng.randrange(WORDS)
        row = []
        for _ in range(length):
            row.append(words[at])
            at = (at * 7 + rng.choice((1, 1, 1, 5, 11))) % WORDS
        made.append(" ".join(row))
    return made


def text_rows(count: int, seed: int) -> list[Row]:
    return [{"text": text} for text in texts(count, seed)]


def pair_rows(count: int, seed: int) -> list[Row]:
    """Preferences: the chosen answer goes on as rows do, the rejected one does not."""
    good, bad = texts(count, seed), texts(count, seed + 1)
    pairs: list[Row] = []
    for text, other in zip(good, bad, strict=True):
        words = text.split()
        middle = max(1, len(words) // 2)
        prompt, chosen = " ".join(words[:middle]), " " + " ".join(words[middle:])
        pairs.append({"prompt": prompt, "chosen": chosen, "rejected": " " + " ".join(reversed(other.split()))[:400]})
    return pairs


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_model(folder: Path, hidden: int, layers: int, vocab: int = 0) -> Path:
    """A Llama of that size with new weights and a small tokenizer; `vocab` makes its head wider than that."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer(texts(200, 9), CAUSAL_SPECIALS)
    config = LlamaConfig(
        vocab_size=max(vocab, tokenizer.get_vocab_size()),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024, "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps({**kind, **names}))
    return folder
