"""What `python -m engine dataset` prints, and how other commands take a dataset of the Hub for a file."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from engine.commands.check import refuse
from engine.hub.datasets.words import is_words
from engine.refusal import Refusal

LARGEST_MB = 2_000


def dataset_and_print(text: str, target: Path, limit_mb: int, as_json: bool) -> int:
    """Returns the exit code: 0, or 1 where a person has something to mend."""
    from engine.hub.datasets.bringing import bring
    from engine.hub.download.fetch import default_cache

    try:
        brought = bring(text, target, default_cache(), limit_mb * 1_000_000)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    if as_json:
        sys.stdout.write(msgspec.json.encode(asdict(brought)).decode() + "\n")
    else:
        sys.stdout.write(f"{brought.repo} at {brought.sha}, written to {target}.\n")
    return 0


@contextlib.contextmanager
def here(file: Path) -> Iterator[tuple[Path, str]]:
    """`file` and its name; where it is words such as hf:org/name, the dataset of the Hub. Raises Refusal."""
    if not is_words(str(file)):
        yield file, file.name
        return
    from engine.hub.datasets.bringing import bring
    from engine.hub.download.fetch import default_cache

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file"
        brought = bring(str(file), target, default_cache(), LARGEST_MB * 1_000_000)
        sys.stderr.write(f"{brought.repo} at {brought.sha}\n")
        yield target, brought.name
