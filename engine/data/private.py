"""Secrets and personal data: how they look, what says quickly that a text holds none, and a mask for them."""

import re
from collections.abc import Mapping
from typing import Protocol

MASK = "[removed]"
SECRETS: Mapping[str, re.Pattern[str]] = {
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"),
    "API key (sk-…)": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "AWS access key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----)?"),
    "GitHub token": re.compile(r"\bghp_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"),
    "Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}"),
    "Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    "npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    "Slack webhook": re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}"),
}
_STARTS = (
    *(b"hf_", b"sk-", b"xox", b"xapp-", b"AKIA", b"PRIVATE KEY", b"ghp_", b"github_pat_", b"AIza"),
    *(b"glpat-", b"k_live_", b"npm_", b".eyJ", b"hooks.slack.com/"),
)


class Finder(Protocol):
    """A pattern, or what answers like one."""

    def search(self, text: str, /) -> re.Match[str] | None: ...


def may_hold_secret(data: bytes) -> bool:
    """Whether it holds the beginning of any secret."""
    return any(start in data for start in _STARTS)


MAIL = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?@(?!example\b)(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}\b"
)
"""Not the addresses of `example`, which belong to nobody (RFC 2606)."""
_MAIL_END = re.compile(rb"@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9]")
PHONE = re.compile(
    r"(?<![\w.+/-])(?:\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,6}|\(?[2-9]\d{2}\)?[ .-]\d{3}[.-]\d{4}"
    r"|(?<!\d )0\d{1,4}[ /-]\d{3,8}(?:[ -]\d{2,5}){0,3})"
    r"(?![\w-]|[.]\d)"
)
"""With a country's code, in the American way, or with the leading zero of an area."""
LEAST_DIGITS = 8
CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\w-]|[.]\d)")


class _Phone:
    def search(self, text: str) -> re.Match[str] | None:
        return next((found for found in PHONE.finditer(text) if _is_phone(found[0])), None)


class _Card:
    def search(self, text: str) -> re.Match[str] | None:
        return next((found for found in CARD.finditer(text) if is_card(found[0])), None)


def _is_phone(text: str) -> bool:
    digits = [character for character in text if character.isdigit()]
    return len(digits) >= LEAST_DIGITS and len(set(digits)) > 2


def is_card(text: str) -> bool:
    """13 to 19 digits whose last one is Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


PERSONAL: Mapping[str, Finder] = {"e-mail address": MAIL, "phone number": _Phone(), "payment card": _Card()}

_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_BETWEEN = b" -.()/"
_NUMBER = b"0" * LEAST_DIGITS


def may_hold_personal(data: bytes) -> bool:
    """Whether it holds an e-mail address or a long number, however that is grouped."""
    has_mail = b"@" in data and _MAIL_END.search(data) is not None
    return has_mail or _NUMBER in data.translate(_TO_ZERO, _BETWEEN)


def without_secrets(text: str) -> str:
    for pattern in SECRETS.values():
        text = pattern.sub(MASK, text)
    return text


def without_personal_data(text: str) -> str:
    for finder in PERSONAL.values():
        parts = []
        while found := finder.search(text):
            parts += [text[: found.start()], MASK]
            text = text[found.end() :]
        text = "".join([*parts, text])
    return text
