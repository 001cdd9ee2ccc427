"""How the fixes change a single text; each first asks, at the speed of memory, whether there is anything to change."""

import html
import re
from collections.abc import Callable, Mapping

from engine.data.checks.content import BIDI, CONTROL, ENTITY, MISREAD, SCANS, ZERO_WIDTH, repaired
from engine.data.private import may_hold_personal, may_hold_secret, without_personal_data, without_secrets
from engine.data.turns import unescape

HIDDEN = re.compile(f"[{''.join(pattern.pattern.strip('[]') for pattern in (CONTROL, BIDI, ZERO_WIDTH))}]")


def without_hidden(text: str) -> str:
    return HIDDEN.sub("", text)


def unescape_html(text: str) -> str:
    return ENTITY.sub(lambda found: html.unescape(found[0]), text)


def repair_mojibake(text: str) -> str:
    return MISREAD.sub(lambda found: repaired(found[0]) or found[0], text)


TEXT_FIXES: Mapping[str, tuple[Callable[[str], str], str]] = {
    "unescape": (unescape, "backslash-n became a line break in"),
    "unescape_html": (unescape_html, "HTML entities became characters in"),
    "repair_mojibake": (repair_mojibake, "misread letters were repaired in"),
    "drop_hidden": (without_hidden, "invisible characters were taken out of"),
    "mask_secrets": (without_secrets, "a secret was masked in"),
    "mask_personal_data": (without_personal_data, "personal data was masked in"),
}
"""How each fix changes a text, and what is said of it."""


def changer(fix: str) -> Callable[[str], str]:
    """The change of a fix, made only where the check's own question says that there may be something."""
    change, _ = TEXT_FIXES[fix]
    asked = [scan.may_hold for scan in SCANS if scan.fix == fix]
    asked += [may_hold_secret] if fix == "mask_secrets" else []
    asked += [may_hold_personal] if fix == "mask_personal_data" else []

    def changed(text: str) -> str:
        data = text.encode("utf-8", "replace")
        return change(text) if any(may_hold(data) for may_hold in asked) else text

    return changed
