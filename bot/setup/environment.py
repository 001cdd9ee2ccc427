"""Writing `.env`: only its owner may read it, and what stood in it stays but for what is set anew."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

PLAIN = re.compile(r"[\w.:/@,+=-]*")


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replaces the file in one step, so that a crash leaves the old one whole."""
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in old if line.partition("=")[0].strip() not in values]
    lines = [*kept, *(f"{name}={quoted(value)}" for name, value in values.items())]
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    new.replace(path)


def quoted(value: str) -> str:
    """As dotenv reads it; only `${` would be replaced there, which stands in no value that is asked for."""
    if PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
