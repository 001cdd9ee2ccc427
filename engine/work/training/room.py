"""Whether the disk that the run's folder lies on has room for what the training will write there."""

import shutil

from engine.plan.gates import made_bytes
from engine.work.training.task import Failure, Task

LEAST_BYTES = 50e6
"""For the log, the events, the tokenizer and the picture."""


def check_room(task: Task) -> None:
    """Raises Failure before anything is loaded: a disk that fills up at the last checkpoint has cost the whole run."""
    weights = sum(path.stat().st_size for path in task.folder.model.glob("*.safetensors")) / 2
    is_lora, is_merged = bool(task.settings.get("lora", True)), bool(task.settings.get("merge"))
    needed = made_bytes(weights, is_lora=is_lora, is_merged=is_merged) + LEAST_BYTES
    free = shutil.disk_usage(task.folder.path).free
    if needed > free:
        raise Failure(
            "disk",
            f"The training writes about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free where it runs: free "
            "some space, then start the run again.",
        )
