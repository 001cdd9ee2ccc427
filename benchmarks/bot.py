"""The bot under load, while every core trains: `python -m benchmarks.bot [SECONDS]`. Exit code 1: a target is missed.

Events arrive at 50 a second, one in ten of them twice, through the bot's own entry (`App.handle`: stored, committed to
disk, then acknowledged) and are answered by its own outbox; a platform's sockets and SDK are not in it. Then the
database is filled with 10,000 runs and 1,000,000 inbox rows, and `status` is asked 200 times.
"""

import asyncio
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

import bot.store
from adapters.executors.local import LocalExecutor
from bot.app import App
from bot.chat import Command, Handler, Incoming, Message, MessageId, Person, Place, Upload
from bot.settings import Settings
from engine import store
from engine.jobs import JobSpec, Model, Run, Source, Status

PER_S, REPEATED = 50, 10
RUNS, ROWS, ASKED = 10_000, 1_000_000, 200
TARGETS = {"ack_p99_ms": 250.0, "ack_max_ms": 2500.0, "status_p99_ms": 300.0, "loop_lag_p99_ms": 100.0}
ANN = Person("U1", "ann")


@dataclass
class MemoryChat:
    """PORT Chat that keeps what is posted."""

    pace_s: float = 1.0
    keys: dict[str, MessageId] = field(default_factory=dict)

    async def listen(self, handler: Handler, since: str) -> None:
        await asyncio.Event().wait()

    def cursor(self) -> str:
        return ""

    async def post(self, place: Place, message: Message) -> MessageId:
        return self.keys.setdefault(message.key, MessageId(str(len(self.keys))))

    async def edit(self, posted: MessageId, message: Message) -> None:
        pass

    async def download(self, upload: Upload, target: Path) -> None:
        raise NotImplementedError

    async def groups(self, person: Person) -> frozenset[str]:
        return frozenset()


def train() -> None:
    """What a training does to the machine: one core, always, at the training's niceness."""
    os.nice(19)
    while True:
        math.factorial(2000)


def percentile(values: Sequence[float], share: float) -> float:
    """Milliseconds, of seconds."""
    return round(1000 * sorted(values)[min(len(values) - 1, int(len(values) * share))], 1)


async def arrive(app: App, seconds: int) -> tuple[list[float], int]:
    """How long each delivery took until it could be acknowledged, and how many different ones there were."""
    took: list[float] = []
    began = time.monotonic()

    async def deliver(number: int) -> None:
        incoming = Incoming(f"bench/{number}", Place(f"C1/{number % 40}"), ANN, Command("help"))
        start = time.monotonic()
        await app.handle(incoming)
        took.append(time.monotonic() - start)

    tasks = []
    for number in range(PER_S * seconds):
        tasks.append(asyncio.create_task(deliver(number)))
        if number % REPEATED == 0:
            tasks.append(asyncio.create_task(deliver(number)))
        await asyncio.sleep(max(0.0, began + (number + 1) / PER_S - time.monotonic()))
    await asyncio.gather(*tasks)
    return took, PER_S * seconds


async def lag(lags: list[float]) -> None:
    """How much later than asked the loop comes back."""
    while True:
        start = time.monotonic()
        await asyncio.sleep(0.02)
        lags.append(time.monotonic() - start - 0.02)


def fill(db: sa.Connection) -> None:
    spec = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}), requester="U1")
    for _ in range(RUNS):
        run = store.add_run(db, Run("", spec, status=Status.failed, reason="Long ago."))
        bot.store.watch(db, run.id, Place("C1/1"), ANN)
        bot.store.told(db, run.id)
    for first in range(0, ROWS, 50_000):
        rows = [{"key": f"old/{n}", "body": "{}", "at": 0.0, "done_at": 1.0} for n in range(first, first + 50_000)]
        db.execute(sa.insert(bot.store.inbox), rows)


async def ask(app: App, chat: MemoryChat) -> list[float]:
    """Seconds from asking for a run's status to its answer being in the outbox."""
    took = []
    for number in range(ASKED):
        key = f"status/{number}"
        start = time.monotonic()
        await app.handle(Incoming(key, Place("C1/1"), ANN, Command(f"status {number + 1}")))
        while not await app.database.read(bot.store.said, f"{key}/answer"):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        took.append(time.monotonic() - start)
    return took


async def measure(folder: Path, seconds: int) -> dict[str, float]:
    chat = MemoryChat()
    local = LocalExecutor("local", folder / "runs", sys.executable, {})
    app = App(Settings(_env_file=None, data=folder, http_port=0), chat, local, local)
    lags: list[float] = []
    async with app.running():
        measuring = asyncio.create_task(lag(lags))
        took, sent = await arrive(app, seconds)
        async with asyncio.timeout(120):
            while len(chat.keys) < sent:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        measuring.cancel()
        answered = len(chat.keys)
        await app.database.write(fill)
        status = await ask(app, chat)
    return {
        "events": sent,
        "lost": sent - answered,
        "doubled": max(0, answered - sent),
        "ack_p50_ms": percentile(took, 0.5),
        "ack_p99_ms": percentile(took, 0.99),
        "ack_max_ms": percentile(took, 1.0),
        "loop_lag_p99_ms": percentile(lags, 0.99),
        "status_p99_ms": percentile(status, 0.99),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    trainers = [multiprocessing.Process(target=train, daemon=True) for _ in range(os.cpu_count() or 1)]
    for trainer in trainers:
        trainer.start()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), seconds))
    for trainer in trainers:
        trainer.kill()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    missed = [name for name, most in TARGETS.items() if found[name] > most]
    missed += [name for name in ("lost", "doubled") if found[name]]
    sys.stdout.write(f"Missed: {', '.join(missed) or 'nothing'}.\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
