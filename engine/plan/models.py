"""Base models: what has to be known of one before a run on it can be planned."""

from dataclasses import dataclass
from pathlib import Path


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
