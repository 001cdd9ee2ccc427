"""Looks for one secret in bytes, whatever they belong to, in each encoding that it may hide in."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

Place = Iterable[tuple[str, bytes]]
"""Names of things, each with its bytes."""


def forms(secret: str) -> dict[str, bytes]:
    """The secret in each encoding; of base64 only the characters that do not depend on what stands around it."""
    data = secret.encode()
    found = {
        "plain": data,
        "url": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "hex": data.hex().encode(),
        "utf-16": secret.encode("utf-16-le"),
    }
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + data)
        found[f"base64 at {offset}"] = coded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
    return found


def sweep(secret: str, places: Mapping[str, Place]) -> list[str]:
    """Where the secret lies, as `place: thing (encoding)`; empty where it is nowhere."""
    return [
        f"{place}: {thing} ({how})"
        for place, things in places.items()
        for thing, content in things
        for how, form in forms(secret).items()
        if form in content or (how == "hex" and form in content.lower())
    ]


def files(*roots: Path, but: Iterable[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file below the roots except those of certain names; links are not followed, names count as content."""
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.name not in but:
                yield str(path), str(path).encode() + b"\0" + path.read_bytes()


def processes(pids: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """What anybody of the same user can read of a process: its environment and its command line."""
    for pid in pids:
        for part in ("environ", "cmdline"):
            yield f"{pid} {part}", (Path("/proc") / str(pid) / part).read_bytes()
