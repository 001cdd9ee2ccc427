"""The Hub's jobs, for tests: processes of this machine, each with a bucket's folder as its volume.

As on the Hub, a job gets the environment that was asked for and nothing else, is ended at its timeout, and takes all
its processes with it. There are no containers here: where its command names the volume's place, it is told the folder.
"""

import asyncio
import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.localhub.answers import No
from adapters.localhub.api import HUB, body
from adapters.localhub.tokens import check_may_write
from engine.work.identity import environments
from tests.twins.buckets import BUCKETS

DEFAULT_S = 1800
HARDWARE = (
    *(("cpu-basic", "CPU Basic", "2 vCPU", "16 GB", None, 0.000167),),
    *(("t4-small", "Nvidia T4 - small", "4 vCPU", "15 GB", ("T4", "1", "16 GB"), 0.006667),),
    *(("a10g-largex2", "2x Nvidia A10G - large", "24 vCPU", "92 GB", ("A10G", "2", "48 GB"), 0.05),),
)
OVER = ("COMPLETED", "CANCELED", "ERROR")


@dataclass
class Job:
    """`asked` is the request as the client sent it."""

    id: str
    namespace: str
    asked: dict[str, Any]
    stage: str = "SCHEDULING"
    message: str | None = None
    created_at: float = field(default_factory=time.time)

    def told(self) -> dict[str, Any]:
        asked = self.asked
        return {
            "id": self.id,
            "createdAt": datetime.fromtimestamp(self.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "dockerImage": asked.get("dockerImage"),
            "command": asked["command"],
            "arguments": asked["arguments"],
            "environment": asked["environment"],
            "secrets": dict.fromkeys(asked.get("secrets", {}), ""),
            "flavor": asked["flavor"],
            "labels": asked.get("labels", {}),
            "volumes": asked.get("volumes", []),
            "status": {"stage": self.stage, "message": self.message},
            "owner": {"id": "1", "name": self.namespace, "type": "user"},
        }


@dataclass
class Jobs:
    """While not `has_room`, jobs stay in SCHEDULING; without `has_credit` none is taken."""

    has_room: bool = True
    has_credit: bool = True
    jobs: dict[str, Job] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


JOBS = web.AppKey("jobs", Jobs)


async def hardware(request: web.Request) -> web.Response:
    told = []
    for name, pretty, cpu, ram, gpu, usd in HARDWARE:
        keys = ("model", "quantity", "vram")
        device = {"type": "gpu", "manufacturer": "Nvidia", **dict(zip(keys, gpu, strict=True))} if gpu else None
        price = {"unitCostMicroUSD": round(usd * 1e6), "unitCostUSD": usd, "unitLabel": "minute"}
        told.append({"name": name, "prettyName": pretty, "cpu": cpu, "ram": ram, "accelerator": device, **price})
    return web.json_response(told)


async def run(request: web.Request) -> web.Response:
    jobs, namespace = own(request)
    asked = await body(request)
    if not jobs.has_credit:
        raise No(402, "Pre-paid credit balance is insufficient - add more credits to your account to use Jobs.")
    if asked["flavor"] not in [each[0] for each in HARDWARE]:
        raise No(400, f"Invalid flavor: {asked['flavor']}")
    job = Job(secrets.token_hex(12), namespace, asked)
    jobs.jobs[job.id] = job
    task = asyncio.create_task(play(jobs, job, volumes(request, asked)))
    jobs.tasks.add(task)
    task.add_done_callback(jobs.tasks.discard)
    return web.json_response(job.told())


def own(request: web.Request) -> tuple[Jobs, str]:
    namespace = request.match_info["namespace"]
    check_may_write(request.app[HUB].tokens.who(request), namespace, "job")
    return request.app[JOBS], namespace


def volumes(request: web.Request, asked: Mapping[str, Any]) -> dict[str, Path]:
    """Where each volume lies on this machine, by the place that it has in the job."""
    found = {}
    for each in asked.get("volumes", []):
        folder = request.app[BUCKETS].folder(each["source"]) / each.get("path", "")
        folder.mkdir(parents=True, exist_ok=True)
        found[each["mountPath"]] = folder.resolve()
    return found


async def play(jobs: Jobs, job: Job, places: Mapping[str, Path]) -> None:
    while not jobs.has_room and job.stage == "SCHEDULING":  # noqa: ASYNC110  # a test sets it from another thread
        await asyncio.sleep(0.02)
    if job.stage != "SCHEDULING":
        return
    job.stage = "RUNNING"
    words = [in_place(word, places) for word in (*job.asked["command"], *job.asked["arguments"])]
    given = {name: in_place(str(value), places) for name, value in job.asked["environment"].items()}
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**base, **given, **job.asked.get("secrets", {}), "JOB_ID": job.id},
        start_new_session=True,
    )
    try:
        await asyncio.wait_for(process.wait(), job.asked.get("timeoutSeconds", DEFAULT_S))
        if job.stage == "RUNNING":
            job.stage = "ERROR" if process.returncode else "COMPLETED"
            job.message = f"Job failed with exit code: {process.returncode}" if process.returncode else None
    except TimeoutError:
        job.stage, job.message = "ERROR", "Job timeout"
    finally:
        end(job)
        await process.wait()


def in_place(word: str, places: Mapping[str, Path]) -> str:
    for mount, folder in places.items():
        word = re.sub(rf"^(file://)?{re.escape(mount)}(?=/|$)", lambda found: (found[1] or "") + str(folder), word)  # noqa: B023
    return word


def end(job: Job) -> None:
    """The container is gone, with every process in it."""
    for pid, values in environments():
        if values.get("JOB_ID") == job.id:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def listed(request: web.Request) -> web.Response:
    jobs, namespace = own(request)
    labels = dict(label.split("=", 1) for label in request.query.getall("label", []))
    stages = request.query.getall("stage", [])
    found = [job for job in jobs.jobs.values() if job.namespace == namespace]
    found = [job for job in found if labels.items() <= job.asked.get("labels", {}).items()]
    return web.json_response([job.told() for job in found if not stages or job.stage in stages])


def named(request: web.Request) -> Job:
    jobs, _ = own(request)
    if request.match_info["id"] not in jobs.jobs:
        raise No(404, "Job not found")
    return jobs.jobs[request.match_info["id"]]


async def inspect(request: web.Request) -> web.Response:
    return web.json_response(named(request).told())


async def cancel(request: web.Request) -> web.Response:
    job = named(request)
    if job.stage not in OVER:
        job.stage, job.message = "CANCELED", None
        end(job)
    return web.json_response(job.told())


def add_jobs(app: web.Application) -> Jobs:
    """Every job ends with the app."""
    jobs = app[JOBS] = Jobs()
    app.router.add_get("/api/jobs/hardware", hardware)
    app.router.add_post("/api/jobs/{namespace}", run)
    app.router.add_get("/api/jobs/{namespace}", listed)
    app.router.add_get("/api/jobs/{namespace}/{id}", inspect)
    app.router.add_post("/api/jobs/{namespace}/{id}/cancel", cancel)

    async def end_all(_: web.Application) -> None:
        for job in jobs.jobs.values():
            if job.stage not in OVER:
                job.stage = "CANCELED"
                end(job)
        await asyncio.gather(*jobs.tasks)

    app.on_shutdown.append(end_all)
    return jobs
