"""Base models: what has to be known of one before a run on it can be planned, and the ones that are on offer by name.

Any other repo of the Hub may be named by its id; these are only the ones that need no looking around.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

EMBEDDED_CAUSAL = "embedded/SmolLM2-135M-Instruct-q4_1"
EMBEDDED_MASKED = "embedded/all-MiniLM-L6-v2"
DEFAULT_CAUSAL = EMBEDDED_CAUSAL
DEFAULT_MASKED = EMBEDDED_MASKED
NOTES = {
    EMBEDDED_CAUSAL: "These are SmolLM2's 4-bit weights (GGUF, Q4_1) turned back into plain ones, "
    "not the weights that its makers published.",
    EMBEDDED_MASKED: "This checkpoint is a sentence encoder without a masked-language-model head: "
    "a fresh one is added, so its first losses are high.",
}


FREE = re.compile(r"apache-2\.0|mit|isc|bsd.*|cc0-1\.0|cc-by-\d.*|unlicense|zlib|openmdw-.*|wtfpl|postgresql")
"""Licences that ask for no more than to be passed on, which every push does."""
BINDING: tuple[tuple[str, str], ...] = (
    (r"llama.*", "what is trained on it must be named Llama…, say “Built with Llama” and pass its terms on"),
    (r"gemma", "its terms of use bind what is trained on it and go along with it"),
    (r".*(openrail|rail-).*", "its rules of use bind what is trained on it and go along with it"),
    (
        r"cc-by-nc.*|.*(noncommercial|research).*|apple-amlr",
        "it allows no commercial use, nor does what is trained on it",
    ),
    (r"cc-by-nd.*", "it allows no changed versions to be shared: keep what is trained on it to yourselves"),
    (r"(a|l)?gpl.*", "what is trained on it may have to be shared under the same licence"),
)
"""What a licence asks of those who train on a model, as far as its name tells; the text itself decides."""


def licence_note(model: str, licence: str) -> str:
    """A sentence for people who are about to train on a model; empty where its licence asks for nothing special."""
    if not licence or licence == "unknown":
        return f"{model} states no licence: make sure that you may train on it."
    if FREE.fullmatch(licence):
        return ""
    asks = next((words for pattern, words in BINDING if re.fullmatch(pattern, licence)), "")
    return f"Licence of {model}, {licence}: {asks or 'read it before you pass on what is trained on it'}."


@dataclass(frozen=True)
class Look:
    """A base model as it was found: on the Hub at a commit, in the cache, or in a local folder.

    `folder` holds its small files (config.json, tokenizer.json, tokenizer_config.json, chat template)
    and may lack the weights. `kind` is causal or masked. `parameters` counts weights;
    `hidden`, `layers`, `vocab` and `max_length` are the config's. `note` is a sentence that people must see, or empty.
    """

    id: str
    revision: str
    folder: Path
    kind: str
    parameters: int
    hidden: int
    layers: int
    vocab: int
    max_length: int
    has_chat_template: bool
    licence: str = ""
    is_gated: bool = False
    is_embedded: bool = False
    note: str = ""
    made_by: str = ""
    """The run of ours that made it; empty for a model from elsewhere."""


@dataclass(frozen=True)
class Offer:
    """A base model by name. `parameters` is rounded as its makers say it; `whom` is one sentence; `hidden`, `layers`
    and `vocab` are its config's."""

    id: str
    kind: str
    parameters: int
    licence: str
    is_gated: bool
    whom: str
    hidden: int
    layers: int
    vocab: int

    @property
    def is_embedded(self) -> bool:
        return self.id.startswith("embedded/")


MODELS = (
    Offer(EMBEDDED_CAUSAL, "causal", 135_000_000, "apache-2.0", False,
          "Comes with threadtune; for a first try, even offline.", 576, 30, 49_152),
    Offer("HuggingFaceTB/SmolLM2-135M-Instruct", "causal", 135_000_000, "apache-2.0", False,
          "The smallest that talks; trains on a CPU.", 576, 30, 49_152),
    Offer("HuggingFaceTB/SmolLM2-360M-Instruct", "causal", 362_000_000, "apache-2.0", False,
          "Small English answers on a small GPU.", 960, 32, 49_152),
    Offer("Qwen/Qwen3-0.6B", "causal", 596_000_000, "apache-2.0", False,
          "Many languages; trains on any GPU of 8 GB.", 1024, 28, 151_936),
    Offer("meta-llama/Llama-3.2-1B-Instruct", "causal", 1_236_000_000, "llama3.2", True,
          "For those who have agreed to Llama's terms.", 2048, 16, 128_256),
    Offer("google/gemma-3-1b-it", "causal", 1_000_000_000, "gemma", True,
          "Good manners at 1B; Google's terms have to be accepted first.", 1152, 26, 262_144),
    Offer("Qwen/Qwen3-1.7B", "causal", 1_720_000_000, "apache-2.0", False,
          "The usual choice for one 12 GB card.", 2048, 28, 151_936),
    Offer("HuggingFaceTB/SmolLM3-3B", "causal", 3_080_000_000, "apache-2.0", False,
          "Fully open, data included; for a 16 GB card.", 2048, 36, 128_256),
    Offer("Qwen/Qwen3-4B-Instruct-2507", "causal", 4_020_000_000, "apache-2.0", False,
          "Strong answers with LoRA on a 24 GB card.", 2560, 36, 151_936),
    Offer("mistralai/Mistral-7B-Instruct-v0.3", "causal", 7_250_000_000, "apache-2.0", False,
          "A well known 7B for a card of 32 GB or more.", 4096, 32, 32_768),
    Offer("meta-llama/Llama-3.1-8B-Instruct", "causal", 8_030_000_000, "llama3.1", True,
          "For those who have agreed to Llama's terms and own 40 GB.", 4096, 32, 128_256),
    Offer("Qwen/Qwen3-8B", "causal", 8_190_000_000, "apache-2.0", False,
          "The largest open one here: for a card of 40 GB or more.", 4096, 36, 151_936),
    Offer(EMBEDDED_MASKED, "masked", 23_000_000, "apache-2.0", False,
          "Comes with threadtune; for mlm, even offline.", 384, 6, 30_522),
    Offer("answerdotai/ModernBERT-base", "masked", 149_000_000, "apache-2.0", False,
          "For mlm on English or code, with long texts.", 768, 22, 50_368),
    Offer("google-bert/bert-base-uncased", "masked", 110_000_000, "apache-2.0", False,
          "The classic for mlm on English.", 768, 12, 30_522),
    Offer("FacebookAI/xlm-roberta-base", "masked", 278_000_000, "mit", False,
          "For mlm in a hundred languages.", 768, 12, 250_002),
)  # fmt: skip


def is_folder(model: str) -> bool:
    """Whether it names a folder of this machine, not a repo."""
    return model.startswith(("/", "./", "../", "~"))


def find(word: str) -> Offer | None:
    """The model that is meant: by its id, or by the part after the slash; case does not matter."""
    wanted = word.strip().lower()
    return next((offer for offer in MODELS if wanted in (offer.id.lower(), offer.id.lower().split("/")[1])), None)


def nearest(word: str) -> str:
    """The id on offer that looks most like the word, or empty when none does."""
    ids = {name: offer.id for offer in MODELS for name in (offer.id.lower(), offer.id.lower().split("/")[1])}
    close = get_close_matches(word.strip().lower(), ids, n=1, cutoff=0.6)
    return ids[close[0]] if close else ""
