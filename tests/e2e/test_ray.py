"""The whole bot on a real Ray: from a dropped file to a model on the Hub, though the training is killed on the way."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from engine.hub.client import connect
from engine.work.identity import processes_of
from tests.cluster import PYTHON, TOKEN, cluster
from tests.e2e.house import house, hub, settings

pytestmark = pytest.mark.slow
ROWS = "prompt,text\n" + "".join(f"what is word {number}?,it is thing {number}\n" for number in range(40))


async def killed_once(folder: Path) -> None:
    """End the runner of the first training as soon as it saved a checkpoint."""
    attempt = folder / "runs" / "1" / "attempts" / "train-1"
    async with asyncio.timeout(400):
        while '"checkpoint"' not in (text(attempt / "events.jsonl")):  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(0.05)
    for pid in processes_of(attempt.resolve()):
        if "engine.work.runner" in text(Path(f"/proc/{pid}/cmdline")):
            os.kill(pid, signal.SIGKILL)


def text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


async def test_a_run_on_ray_survives_a_kill_and_leaves_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster(cpus=2) as ray, hub(tmp_path) as (endpoint, token):
        for name, value in (("JOBS_URL", ray.url), ("AUTH_TOKEN", TOKEN), ("PYTHON", str(PYTHON))):
            monkeypatch.setenv(f"RAY_{name}", value)
        monkeypatch.setenv("RAY_NODE_GPUS", "0")
        chosen = settings(tmp_path, endpoint, token).model_copy(update={"executor": "local,ray"})
        async with house(chosen) as rooms:
            await rooms.drops("rows.csv", ROWS)
            draft = await rooms.plans("sft on=ray epochs=12 save_steps=10 lora=on")
            rooms.presses(draft, draft.buttons[0].label)
            await killed_once(chosen.data)
            final = await rooms.ends()
        assert final.title
        attempts = sorted(path.name for path in (chosen.runs / "1" / "attempts").iterdir())
        assert attempts == ["fetch-1", "push-1", "train-1", "train-2"]
        started = text(chosen.runs / "1" / "attempts" / "train-2" / "events.jsonl").split('"started"')[1]
        assert '"step": 0' not in started.splitlines()[0]
        models = [model.id for model in connect(token, endpoint).list_models() if "rows" in model.id]
        assert len(models) == 1
        assert [
            pid for path in (chosen.runs / "1" / "attempts").iterdir() for pid in processes_of(path.resolve())
        ] == []
