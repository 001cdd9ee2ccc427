"""What was typed and what was posted, on disk: one JSON object a line, so that the console survives a restart."""

import json
from pathlib import Path
from typing import Any


class Journal:
    """Appends whole lines and reads them back in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, entry: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        *lines, _unfinished = self.path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines]
