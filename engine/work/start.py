"""From a dataset or a config to a trained model on the command line: check, plan, fetch and train, each a child.

The children are those of a queued run, so what works here works there; only `fetch` sees a token.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from engine.commands.datasets import brought
from engine.data.types import NEEDS, Preview
from engine.events import Event, read_events
from engine.folder import RunFolder
from engine.hub.datasets.words import is_words
from engine.hub.datasets.words import parse as parse_words
from engine.jobs import JobSpec, Model, Source
from engine.plan.defaults import lines
from engine.plan.models import is_folder
from engine.plan.parameters import parse, word
from engine.refusal import Refusal
from engine.work.config import Order, names_rows, read_config

ROLES = ("text", "prompt", "rejected_text", "messages", "input", "system")
SECRETS = ("HF_TOKEN", "HF_READ_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LOOK_S = 0.5


def order_from(what: Path, method: str, model: str, words: Sequence[str]) -> Order:
    """A config with its words overridden by those of the command line, or a dataset with the words alone."""
    if what.suffix.lower() in (".yaml", ".yml"):
        order = read_config(what)
        method, model = method or order.method, model or order.model
    else:
        order = Order(what, method)
        if method not in NEEDS:
            raise Refusal(f"Say what to train for: --method {', '.join(NEEDS)}.", "method")
    columns = {role: column for role, _, column in (item.partition("=") for item in words) if role in ROLES}
    settings = dict(parse([item for item in words if item.partition("=")[0] not in ROLES], method))
    valid = order.valid
    if names_rows(str(settings.get("valid", ""))):
        valid = Path(str(settings.pop("valid")))
    return Order(
        order.data, method, model, valid, {**order.columns, **columns}, {**order.parameters, **settings}, order.notes
    )


def start(order: Order, out: Path) -> int:
    """Do the whole work in `out`; returns the exit code: 0 only when the training finished."""
    for note in order.notes:
        say(note)
    run = RunFolder(out)
    run.data.mkdir(parents=True, exist_ok=True)
    order = replace(order, data=on_disk(order.data, run), valid=order.valid and on_disk(order.valid, run))
    for part, path in (("train", order.data), ("valid", order.valid)):
        code = check(order, path, run.source(part)) if path else 0
        if code:
            return code
    planned = plan(order)
    spec = spec_from(order, planned)
    run.write_spec(spec)
    if spec.model.folder and not run.model.exists():
        run.model.symlink_to(spec.model.folder, target_is_directory=True)
    for line in lines(planned.parameters):
        say(f"  {line}")
    if call("fetch", str(out)):
        say(last(run, "fetch").data.get("reason", "Fetching did not end well."))
        return 1
    return train_and_tell(run)


def on_disk(path: Path, run: RunFolder) -> Path:
    """The file; a dataset of the Hub is brought into the run's folder first, so that all children read one commit."""
    return brought(str(path), run.data) if is_words(str(path)) else path


def check(order: Order, path: Path, arrow: Path) -> int:
    """The check's own words on standard output; its exit code."""
    columns = [f"{role}={column}" for role, column in order.columns.items()]
    return call("check", str(path), *columns, "--method", order.method, "--arrow", str(arrow))


def plan(order: Order) -> Preview:
    """What the run would be. Raises Refusal for whatever stands against it."""
    words = [f"{name}={word(value)}" for name, value in order.parameters.items()]
    words += [f"{role}={column}" for role, column in order.columns.items()]
    words += ["--method", order.method, "--json"]
    words += ["--model", order.model] if order.model else []
    words += ["--valid", str(order.valid)] if order.valid else []
    command = [sys.executable, "-m", "engine", "preview", str(order.data), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise refusal_from(done.stdout)
    return msgspec.json.decode(done.stdout, type=Preview, strict=False)


def refusal_from(answer: bytes) -> Refusal:
    try:
        said = msgspec.json.decode(answer)["refusal"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return Refusal("The plan could not be made; what went wrong is printed above.")
    return Refusal(said["text"], said["field"])


def spec_from(order: Order, planned: Preview) -> JobSpec:
    parameters = {name: setting.value for name, setting in planned.parameters.items()}
    source = Source(order.data.name, "", planned.mapping, bool(parameters.get("unescape")), planned.as_conversation)
    folder = str(Path(order.model).expanduser().resolve()) if is_folder(order.model) else ""
    return JobSpec(
        order.method,
        Model(planned.model, planned.revision, folder, planned.base_run),
        source,
        source if order.valid else None,
        parameters,
    )


def train_and_tell(run: RunFolder) -> int:
    """Start the child that trains, print what it reports, and return its exit code."""
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    number = run.last_number("train") + 1
    command = [sys.executable, "-m", "engine", "train", str(run.path)]
    child = subprocess.Popen(command, env={**environment, "HF_HUB_OFFLINE": "1"}, stdin=subprocess.DEVNULL)
    events, seq = run.attempts / f"train-{number}" / "events.jsonl", 0
    is_over = False
    while not is_over:
        is_over = child.poll() is not None
        for event in read_events(events, seq):
            seq = event.seq
            tell(event)
        if not is_over:
            time.sleep(LOOK_S)
    if child.returncode == 0:
        say(f"The model is in {events.parent / 'output'}.")
    return 0 if child.returncode == 0 else 1


def tell(event: Event) -> None:
    data = event.data
    match event.kind:
        case "phase":
            say(f"{data['phase']} …")
        case "step":
            say(f"  step {data['step']}/{data['steps']}  loss {data['loss']:.3f}  {data['left_s']:.0f} s left")
        case "warning":
            say(data["text"])
        case "failed":
            say(data["reason"])
        case "stopped":
            say(f"Stopped at step {data['step']} of {data['steps']}.")
        case "finished":
            say("  ".join(f"{name} {value:.4g}" for name, value in data["metrics"].items()))


def last(run: RunFolder, kind: str) -> Event:
    events = read_events(run.attempts / f"{kind}-{run.last_number(kind)}" / "events.jsonl")
    return events[-1] if events else Event("", "", 0, 0.0, "failed")


def call(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "engine", *words], stdin=subprocess.DEVNULL, check=False).returncode


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def new_folder(order: Order) -> Path:
    """`runs/<file>-<method>`, with a number where it is taken."""
    name = parse_words(str(order.data)).repo if is_words(str(order.data)) else order.data.stem
    base = Path("runs") / f"{name.rpartition('/')[2]}-{order.method}"
    taken = (base.with_name(f"{base.name}-{number}") for number in range(2, 10_000))
    return base if not base.exists() else next(path for path in taken if not path.exists())
