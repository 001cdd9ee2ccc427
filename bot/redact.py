"""Takes secrets out of whatever leaves the bot: every line of its log, every message, and what people typed by mistake.

A secret is one that this process was given (a setting or a variable that is named like one), in every encoding that it
might be quoted in, or any string that has the shape of a known kind of token.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

SHAPES = re.compile(
    r"""
      \bhf_[A-Za-z0-9]{20,}                                            # Hugging Face
    | \bxox[a-z]-[A-Za-z0-9-]{10,} | \bxapp-[A-Za-z0-9-]{10,}          # Slack
    | hooks\.slack\.com/services/[A-Za-z0-9/]{20,}
    | \b[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}   # Discord's bot token
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bsk-[A-Za-z0-9_-]{20,} | \bAKIA[A-Z0-9]{16}\b
    """,
    re.VERBOSE,
)
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
NAMED_LIKE_ONE = re.compile(r"(TOKEN|SECRET|PASSWORD|_KEY)$", re.IGNORECASE)
SHORTEST = 8
"""Characters; shorter values are no secrets, and taking them out would tear words apart."""
GONE = "[secret removed]"
T = TypeVar("T")


def encodings(secret: str) -> Iterator[str]:
    """The secret as it may be quoted: plain, in a URL, in JSON, in hex, and in base64 at each of its three offsets."""
    data = secret.encode()
    yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], data.hex(), data.hex().upper())
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + data).decode()
        whole = coded[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))


class Redactor:
    """Knows the secrets of this process; without any, it still knows the shapes of tokens."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = re.compile("(?!)")
        self._secrets: set[str] = set()
        self.know(secrets)

    def know(self, secrets: Iterable[str]) -> None:
        self._secrets |= {secret for secret in secrets if len(secret) >= SHORTEST}
        coded = {form for secret in self._secrets for form in encodings(secret)}
        if coded:
            self._known = re.compile("|".join(map(re.escape, sorted(coded, key=len, reverse=True))))

    def text(self, text: str) -> str:
        return SHAPES.sub(GONE, self._known.sub(GONE, text))

    def value(self, value: T) -> T:
        """The same value, a frozen one of ours or of JSON, with every string in it redacted."""
        plain = msgspec.to_builtins(value, enc_hook=str)
        clean = self.within(plain)
        return value if clean == plain else msgspec.convert(clean, type(value), dec_hook=as_path)

    def within(self, plain: object) -> object:
        if isinstance(plain, str):
            return self.text(plain)
        if isinstance(plain, Mapping):
            return {key: self.within(inner) for key, inner in plain.items()}
        return [self.within(inner) for inner in plain] if isinstance(plain, list | tuple) else plain


def as_path(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value


def secrets_of(variables: Mapping[str, str | None]) -> Iterator[str]:
    """The values of the variables that are named like secrets."""
    return (value for name, value in variables.items() if value and NAMED_LIKE_ONE.search(name))


redactor = Redactor(secrets_of(os.environ))
"""What this process redacts by: `know` adds to it."""
