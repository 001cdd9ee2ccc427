"""What executors share whose nodes are not this machine."""

import contextlib
import secrets
import shutil
from pathlib import Path

from engine.executor import Phase
from engine.folder import RunFolder

PENDING_S = 900.0
"""How long a job may wait for room: as long as Ray itself waits."""
SILENT_S = 300.0
"""How long an attempt may have no heartbeat while its engine still calls it running."""
FORCE_S = 30.0
"""How long after the grace an engine is asked to end a job whose runner did not."""
ENDED_BEFORE = Phase("exited", code=-15, detail="it was ended before it started")


def installation(root: Path) -> str:
    """Names this bot's runs among those of others in the same place, wherever its folder is moved to."""
    file = root / ".installation"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), file.open("x") as new:
            new.write(secrets.token_hex(4))
    return file.read_text()


def bring_model(run: RunFolder) -> None:
    """Put the base model's files where only a link into our cache was, since the nodes do not reach the cache."""
    if run.model.is_symlink():
        half = run.model.with_name(".model.half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(run.model.resolve(), half)
        run.model.unlink()
        half.rename(run.model)
