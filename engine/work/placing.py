"""What is placed in a new run's folder: the rows, a local base model, and what the run goes on with."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from engine.folder import RunFolder
from engine.jobs import Run, Source
from engine.refusal import Refusal
from engine.work.config import to_yaml
from engine.work.training.checkpoints import last_good

Link = Callable[[Run, RunFolder], None]


def place_sources(uploads: Path) -> Link:
    """Place the accepted rows of `uploads/<sha256>/rows.arrow`, and a base model that lies in a folder here."""

    def link(run: Run, folder: RunFolder) -> None:
        for part, source in (("train", run.spec.train), ("valid", run.spec.valid)):
            if source:
                place_rows(uploads, source, folder.source(part))
        if run.spec.model.folder:
            folder.model.symlink_to(Path(run.spec.model.folder).resolve(), target_is_directory=True)
        folder.config.write_text(to_yaml(run.spec), encoding="utf-8")

    return link


def place_rows(uploads: Path, source: Source, target: Path) -> None:
    """Hard-link the rows, or copy them where that cannot be."""
    rows = uploads / source.sha256 / "rows.arrow"
    if not rows.exists():
        raise Refusal(f"The rows of {source.name} are no longer here: attach the file again.", "data")
    link_or_copy(str(rows), str(target))


def carry_over(old: RunFolder, new: RunFolder, run: Run) -> None:
    """What a run goes on with: the last good checkpoint of the old one, or its trained model. Raises Refusal."""
    trained = old.finished("train") if run.done == "train" else None
    checkpoint = last_good(old.checkpoints) if run.resumes else None
    if (run.done == "train" and trained is None) or (run.resumes and checkpoint is None):
        raise Refusal(f"What run {run.of} had made is no longer here. `/finetune retry {run.of}` begins anew.")
    if trained:
        shutil.copytree(trained.folder, new.attempts / "train-1", copy_function=link_or_copy)
    if checkpoint:
        # No later save touches these files: it goes to a folder of a higher step.
        shutil.copytree(checkpoint, new.checkpoints / checkpoint.name, copy_function=link_or_copy)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def put_in_place(prepared: Path, folder: Path) -> None:
    """A folder of that name can only be of another database, or of a beginning that was cut off: it goes aside."""
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.old-{time.time_ns()}"))
    prepared.rename(folder)
