"""How often the Hub answered this process, by status, in a small file that whoever started it reads.

`{"200": 12, "429": 1}`, in the file that HUB_TALLY names, else in the folder of the attempt that it belongs to.
"""

import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from engine.work.identity import FOLDER_VARIABLE

FILE_VARIABLE = "HUB_TALLY"
NAME = "hub-tally.json"
answers: Counter[str] = Counter()


def note(response: Any) -> None:
    """A hook of the Hub's client: counts its answers, redirects and refusals too."""
    answers[str(response.status_code)] += 1
    target = file()
    if target:
        with contextlib.suppress(OSError):  # a figure that is lost ends no push
            half = target.with_name(f"{target.name}.half")
            half.write_text(json.dumps(answers))
            half.replace(target)


def file() -> Path | None:
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) / NAME if folder else None


def read(path: Path) -> Counter[str]:
    """What stands in such a file; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Counter({str(status): int(count) for status, count in json.loads(path.read_text()).items()})
    return Counter()
