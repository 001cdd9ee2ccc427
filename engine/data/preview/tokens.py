"""A base model's tokenizer and chat template from its small files, without transformers.

`FileTokenizer` answers the few calls that `engine.data.encoding` makes of a tokenizer, and answers them alike.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from engine.data.encoding import CHATML, TEMPLATES
from engine.data.shown import cut, escaped
from engine.refusal import Refusal

SPECIALS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class FileTokenizer:
    """`folder` holds tokenizer.json, tokenizer_config.json and perhaps a chat template; `template` is the word of the
    parameter of that name. Raises Refusal where there is no tokenizer.json."""

    def __init__(self, folder: Path, template: str = "auto") -> None:
        path = folder / "tokenizer.json"
        if not path.exists():
            raise Refusal("The model has no tokenizer.json, so its tokens cannot be shown; name another one.", "model")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        config = _read(folder / "tokenizer_config.json")
        self.specials = _specials(config, _read(folder / "special_tokens_map.json"))
        self.eos_token = self.specials.get("eos_token", "")
        self.eos_token_id = self._tokenizer.token_to_id(self.eos_token) if self.eos_token else None
        bos = self.specials.get("bos_token")
        self.bos_token_id = self._tokenizer.token_to_id(bos) if bos else None
        self.model_max_length = int(config.get("model_max_length") or 1_000_000)
        own = _template(folder, config)
        self.has_own_template = own is not None
        self._template = _compiled(TEMPLATES.get(template) or own or CHATML)

    def __call__(
        self,
        text: str,
        *,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
        truncation: bool = False,
        max_length: int = 0,
        return_overflowing_tokens: bool = False,
    ) -> dict[str, Any]:
        """`input_ids`, and `offset_mapping` where it is wanted; with overflow, a list of ids for each piece."""
        if truncation and return_overflowing_tokens:
            return {"input_ids": self._pieces(text, max_length)}
        encoding = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        tokens: dict[str, Any] = {"input_ids": encoding.ids}
        return {**tokens, "offset_mapping": encoding.offsets} if return_offsets_mapping else tokens

    def _pieces(self, text: str, max_length: int) -> list[list[int]]:
        self._tokenizer.enable_truncation(max_length)
        try:
            encoding = self._tokenizer.encode(text)
        finally:
            self._tokenizer.no_truncation()
        return [encoding.ids, *(more.ids for more in encoding.overflowing)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, special ones included."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def around(self, text: str) -> tuple[str, str]:
        """The special tokens that this tokenizer puts before and behind a text, as they are written."""
        encoding = self._tokenizer.encode(text)
        marks = [
            token if is_special else "" for token, is_special in zip(encoding.tokens, _marks(encoding), strict=True)
        ]
        lead = next((i for i, mark in enumerate(marks) if not mark), len(marks))
        tail = next((i for i, mark in enumerate(reversed(marks)) if not mark), len(marks))
        return "".join(marks[:lead]), "".join(marks[len(marks) - tail :]) if tail < len(marks) else ""

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, str]], *, tokenize: bool = False, add_generation_prompt: bool = False
    ) -> str:
        """The conversation as text. Raises Refusal with the template's own words where it refuses."""
        del tokenize
        names = {"tools": None, "documents": None, "add_generation_prompt": add_generation_prompt, **self.specials}
        try:
            return str(self._template.render(messages=[dict(message) for message in messages], **names))
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, RecursionError) as error:
            words = cut(escaped(str(error)), 160)
            raise Refusal(f"The model's chat template does not take such a conversation: {words}", "template") from None


def _marks(encoding: Any) -> list[bool]:
    """Which tokens were put there by the tokenizer itself; a special token written in the text has a place in it."""
    return [
        bool(mask) and start == end
        for mask, (start, end) in zip(encoding.special_tokens_mask, encoding.offsets, strict=True)
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _specials(*sources: Mapping[str, Any]) -> dict[str, str]:
    """`bos_token` and the like as text, from where they are named first."""
    found: dict[str, str] = {}
    for source in sources:
        for name in SPECIALS:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found.setdefault(name, text)
    return found


def _template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The model's chat template: a file of its own, or in a config; of several the one named default."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    value = _read(folder / "chat_template.json").get("chat_template") or config.get("chat_template")
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what the assistant says; the text is the same with it and without."""

    tags = {"generation"}  # noqa: RUF012  # jinja's own way to say it

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compiled(template: str) -> jinja2.Template:
    """In a sandbox, set up as transformers sets up its own. Raises Refusal for a template that is none."""
    extensions = [_Generation, jinja2.ext.loopcontrols]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    try:
        return environment.from_string(template)
    except jinja2.TemplateError as error:
        raise Refusal(f"The model's chat template is broken: {cut(escaped(str(error)), 160)}", "model") from None


def _to_json(value: object, ensure_ascii: bool = False, indent: Any = None, separators: Any = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)
