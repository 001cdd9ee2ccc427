"""Our side of the Hub's API for jobs and buckets, a child for each call: `python -m adapters.executors.hf_jobs.calls`.

The child reads one JSON object, `{"verb": …, …}`, and answers with one: what the verb returns, or `{"trouble": text}`
for what may pass, or `{"refusal": text}` for what a person has to mend. The token is in its environment.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import BucketFile, HfApi, Volume
from huggingface_hub.errors import HfHubHTTPError

from adapters.executors.attempts import write_json
from adapters.executors.hf_jobs.asking import MOUNT, OVER
from engine.hub.client import TROUBLE, connect
from engine.refusal import Refusal
from engine.work.elsewhere.carried import FIRST, LAST, parts_to_send

MENDABLE = {
    400: "it does not take what was asked for",
    401: "the token is not valid",
    402: "there is no credit left",
    403: "the token may not (it needs to write jobs and buckets there)",
    404: "there is no such place",
}
Known = dict[str, str]
"""File → its hash, as it was last brought here."""


def hardware(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    """What there is, with its price in USD an hour and its memory in GB."""
    return {"hardware": [words_of(each) for each in api.list_jobs_hardware()]}


def words_of(each: Any) -> dict[str, Any]:
    device = each.accelerator
    hours = {"minute": 60.0, "hour": 1.0}[each.unit_label]
    memory = (device.vram if device else each.ram).split()[0]
    gpus = int(device.quantity) if device else 0
    return {"name": each.name, "gpus": gpus, "memory_gb": float(memory), "usd_an_hour": each.unit_cost_usd * hours}


def start(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    """Send what the attempt needs, then start its job; once, however often and from how many processes it is asked.

    One that was ended meanwhile starts no job.
    """
    folder = Path(asked["root"]) / asked["id"]
    with (folder / ".sending").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "submitted.json").exists() or (folder / LAST).exists():
            return {}
        if job := found(api, asked) or begun(api, asked):
            write_json(folder / "submitted.json", {"at": time.time(), "job": job})
        else:
            write_json(folder / LAST, {"code": -signal.SIGTERM, "at": time.time(), "was_stopped": True})
    return {}


def found(api: HfApi, asked: dict[str, Any]) -> str:
    """The job that has the attempt's labels already: its start was answered to nobody."""
    jobs = api.list_jobs(namespace=asked["namespace"], labels=asked["labels"])
    return next((str(job.id) for job in jobs), "")


def begun(api: HfApi, asked: dict[str, Any]) -> str:
    """The id of a new job; empty where the attempt was ended before it began."""
    bucket, root = asked["bucket"], Path(asked["root"])
    api.create_bucket(bucket, private=True, exist_ok=True)
    there = {file.path: file.size for file in files(api, bucket, asked["prefix"])}
    run = root / asked["id"].partition("/")[0]
    wanted = [(path, f"{asked['prefix']}/{path.relative_to(root)}") for path in parts_to_send(run, root / asked["id"])]
    new: list[tuple[str | Path | bytes, str]] = [
        (path, name)
        for path, name in wanted
        if not path.name.startswith(".") and (path.name == "stop" or there.get(name) != path.stat().st_size)
    ]
    if new:
        api.batch_bucket_files(bucket, add=new)
    if (root / asked["id"] / "stop").exists():
        clear(api, bucket, files(api, bucket, asked["prefix"]))
        return ""
    job = api.run_job(
        image=asked["image"],
        command=asked["command"],
        env=asked["env"],
        flavor=asked["flavor"],
        timeout=asked["timeout_s"],
        name=asked["name"],
        labels=asked["labels"],
        volumes=[Volume(type="bucket", source=bucket, mount_path=MOUNT, path=asked["prefix"])],
        namespace=asked["namespace"],
    )
    return str(job.id)


def files(api: HfApi, bucket: str, prefix: str) -> list[BucketFile]:
    """What lies below a folder of the bucket; nothing where there is no such folder yet."""
    try:
        listed = list(api.list_bucket_tree(bucket, prefix, recursive=True))
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            return []
        raise
    return [each for each in listed if isinstance(each, BucketFile) and each.path.startswith(f"{prefix}/")]


def look(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    """How the job stands, and its reports brought here; a wish that lies here is passed on."""
    job = stage_of(api, asked)
    wish = Path(asked["root"]) / asked["id"] / "stop"
    if wish.exists() and job["stage"] not in OVER:
        if asked["is_forced"] or job["stage"] == "SCHEDULING":
            with contextlib.suppress(HfHubHTTPError):  # it may have ended just now
                api.cancel_job(job_id=asked["job"], namespace=asked["namespace"])
        if wish.read_text() != asked["known"].get("stop"):
            api.batch_bucket_files(asked["bucket"], add=[(wish, f"{asked['prefix']}/{asked['id']}/stop")])
            asked["known"]["stop"] = wish.read_text()
        job = stage_of(api, asked)
    reports, base = attempt_files(api, asked), f"{asked['prefix']}/{asked['id']}/"
    bring(api, asked, [file for file in reports if file.path.removeprefix(base) in FIRST])
    return {**job, "known": asked["known"], "has_ended": any(file.path == base + LAST for file in reports)}


def stage_of(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        status = api.inspect_job(job_id=asked["job"], namespace=asked["namespace"]).status
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            return {"stage": "DELETED", "message": "it is not known there any more"}
        raise
    return {"stage": str(getattr(status.stage, "value", status.stage)), "message": status.message or ""}


def attempt_files(api: HfApi, asked: dict[str, Any]) -> list[BucketFile]:
    return files(api, asked["bucket"], f"{asked['prefix']}/{asked['id']}")


def finish(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    """Bring all that the attempt made, take the run out of the bucket, and only then say here that it ended.

    Of one that was lost it is brought what there is, and a wish to end is left there, should it come back.
    """
    root, bucket, id = Path(asked["root"]), asked["bucket"], asked["id"]
    last, ours = root / id / LAST, f"{asked['prefix']}/{id}/"
    there = files(api, bucket, asked["prefix"])
    checkpoints = f"{asked['prefix']}/{id.partition('/')[0]}/checkpoints/"
    parts = [file for file in there if file.path.startswith((ours, checkpoints))]
    left_out = (ours + LAST, ours + "stop", ours + "runner.lock")
    bring(api, asked, [file for file in parts if file.path not in left_out])
    half = last.with_name(LAST + ".half")
    if any(file.path == ours + LAST for file in there):
        api.download_bucket_files(bucket, [(ours + LAST, half)])
    clear(api, bucket, there)
    if half.exists():
        half.replace(last)
    elif asked["is_lost"]:
        api.batch_bucket_files(bucket, add=[(b"drop", ours + "stop")])
        with contextlib.suppress(HfHubHTTPError):
            api.cancel_job(job_id=asked["job"], namespace=asked["namespace"])
    return {}


def clear(api: HfApi, bucket: str, there: Iterable[BucketFile]) -> None:
    if paths := [file.path for file in there]:
        api.batch_bucket_files(bucket, delete=paths)


def bring(api: HfApi, asked: dict[str, Any], wanted: Iterable[BucketFile]) -> None:
    """Those that changed, each whole or not at all, the marks of whole checkpoints last."""
    root, known = Path(asked["root"]).resolve(), asked["known"]
    halves = {}
    for file in wanted:
        target = root / file.path.removeprefix(f"{asked['prefix']}/")
        # What a job names may not lead out of its run.
        if known.get(file.path) != file.xet_hash and target.resolve().is_relative_to(root / asked["id"].split("/")[0]):
            target.parent.mkdir(parents=True, exist_ok=True)
            halves[target] = (file, target.with_name(target.name + ".half"))
    api.download_bucket_files(asked["bucket"], list(halves.values()))
    for target in sorted(halves, key=lambda path: path.name == "COMPLETE.json"):
        file, half = halves[target]
        half.replace(target)
        known[file.path] = file.xet_hash


def jobs(api: HfApi, asked: dict[str, Any]) -> dict[str, Any]:
    """The attempts of ours that are not over there, by their label."""
    found = list(api.list_jobs(namespace=asked["namespace"], labels=asked["labels"]))
    return {"attempts": [job.labels["attempt"] for job in found if job.labels and str(job.status.stage) not in OVER]}


VERBS: dict[str, Callable[[HfApi, dict[str, Any]], dict[str, Any]]] = {
    verb.__name__: verb for verb in (hardware, start, look, finish, jobs)
}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return VERBS[asked["verb"]](connect(os.environ.get("HF_TOKEN")), asked)
    except Refusal as refusal:
        return {"refusal": refusal.text}
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = MENDABLE.get(status)
        if said and asked["verb"] == "start":
            where = asked["namespace"]
            return {
                "refusal": f"Hugging Face did not take a job for {where} ({status}): {said}. {said_by(error)}".strip()
            }
        return {"trouble": f"the Hub answered {status}"}
    except TROUBLE as error:
        return {"trouble": f"the Hub does not answer ({type(error).__name__})"}


def said_by(error: HfHubHTTPError) -> str:
    text = (error.server_message or "").strip().split("\n")[0][:200]
    return f"It says: {text}" if text else ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.loads(sys.stdin.read()))))
