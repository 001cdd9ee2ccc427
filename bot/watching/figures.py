"""The figures of /metrics, and the tick that takes those which nobody counts as they happen."""

import asyncio
import shutil
import subprocess
from collections import Counter as Count

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, func, select

import engine.store
from engine.database import Database
from engine.jobs import Status
from engine.store import attempts_table

LAG_S = 1.0
GPU_S = 10.0
MB = 1 << 20

ACK = Histogram(
    "threadtune_ack_seconds",
    "From the arrival of something to its being stored, after which the platform is told.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 10),
)
CALLS = Counter("threadtune_platform_calls", "Posts and edits, by how they ended.", ["call", "outcome"])
HUB_CALLS = Counter("threadtune_hub_calls", "Questions about the Hub, by how they ended.", ["command", "outcome"])
HUB_ANSWERS = Counter(
    "threadtune_hub_answers", "Answers of the Hub to all children; 429 asks us to slow down.", ["child", "status"]
)
PHASE = Histogram(
    "threadtune_phase_seconds",
    "How long each phase of an attempt took, once it has ended.",
    ["kind", "phase"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
)
RUNS = Gauge("threadtune_runs", "Runs that are not over, by state.", ["status"])
QUEUE = Gauge("threadtune_queue", "Runs that wait in the queue.")
PHASES = Gauge("threadtune_attempt_seconds", "Seconds of all attempts that ended, by kind.", ["kind"])
ATTEMPTS = Gauge("threadtune_attempts", "Attempts that ended, by kind.", ["kind"])
LAG = Gauge("threadtune_loop_lag_seconds", "How late the event loop woke from its last sleep.")
GPU = Gauge("threadtune_gpu_memory_used_bytes", "Memory in use, by GPU.", ["gpu"])


def stands(db: Connection) -> tuple[Count[str], dict[str, tuple[int, float]]]:
    """Open runs by state; for each kind of attempt how many ended, and their seconds in all."""
    by_status = Count(str(run.status) for run in engine.store.open_runs(db))
    columns = attempts_table.c
    took = func.sum(columns.ended_at - columns.started_at)
    query = select(columns.kind, func.count(), took).where(columns.ended_at.is_not(None)).group_by(columns.kind)
    return by_status, {kind: (count, float(seconds or 0)) for kind, count, seconds in db.execute(query)}


async def measure(database: Database) -> None:
    by_status, attempts = await database.read(stands)
    for status in Status:
        if not status.is_over:
            RUNS.labels(str(status)).set(by_status[str(status)])
    QUEUE.set(by_status[str(Status.queued)])
    for kind, (count, seconds) in attempts.items():
        ATTEMPTS.labels(kind).set(count)
        PHASES.labels(kind).set(seconds)
    for gpu, used in (await gpu_memory()).items():
        GPU.labels(gpu).set(used)
    LAG.set(await lag())


async def lag() -> float:
    """Seconds by which the loop is late."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(LAG_S)
    return max(0.0, loop.time() - began - LAG_S)


async def gpu_memory() -> dict[str, int]:
    """Bytes in use by GPU; nothing where there is no NVIDIA driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    child = await asyncio.create_subprocess_exec(
        *(program, "--query-gpu=index,memory.used", "--format=csv,noheader,nounits"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(), GPU_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        return {}
    rows = (line.split(",") for line in out.decode(errors="replace").splitlines() if line.count(",") == 1)
    return {index.strip(): int(used) * MB for index, used in rows if used.strip().isdigit()}
