"""What `python -m engine dataset` prints, and how other commands take a dataset of the Hub for a file."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
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
    with tempfile.TemporaryDirectory() as folder:
        found = brought(str(file), Path(folder))
        yield found, found.name


def brought(words: str, folder: Path) -> Path:
    """The dataset of the Hub as a file in `folder`, under a name that tells its commit. Raises Refusal."""
    from engine.hub.datasets.bringing import bring
    from engine.hub.download.fetch import default_cache

    target = folder / "brought"
    found = bring(words, target, default_cache(), LARGEST_MB * 1_000_000)
    sys.stderr.write(f"{found.repo} at {found.sha}\n")
    return target.rename(folder / found.name)


def named_file(words: Sequence[str]) -> Path | None:
    """The file or the dataset of the Hub that `valid=` among the words names, if it names one."""
    from engine.work.config import names_rows

    named = next((word.partition("=")[2] for word in words if word.startswith("valid=")), "")
    return Path(named) if names_rows(named) else None
