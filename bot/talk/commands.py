"""Words after `/finetune` → a Request. Pure; what cannot be understood is a Refusal that names the nearest word."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.redact import GONE
from bot.talk import timing, trying
from bot.talk.datasets.asked import Check, asked
from engine.data.types import NEEDS, method_named
from engine.plan import parameters
from engine.refusal import Refusal
from engine.store import is_run_id

PUSHES = ("on", "off", "pr")
COLUMNS = ("prompt", "text", "rejected_text", "label")


@dataclass(frozen=True)
class Plan:
    """Show what a run would be and offer to start it. `file` names a file of the thread; empty is the latest.

    `columns` is the column of the file for each that the method needs; `options` are parameters of
    `engine.plan.parameters`, where `valid` may also name another file of the thread.
    """

    method: str
    model: str = ""
    file: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    repo: str = ""
    """The repo that the model is to go to, as `name` or `namespace/name`; empty is a new one by the usual name."""
    push: str = "on"
    """`on`, `off` (the model stays on the server), or `pr` (a pull request to `repo`)."""
    where: str = ""
    """The executor that `on=` names; empty is the usual one."""
    of: str = ""
    """The run that this one does once more; with `resumes` it goes on from that one's last checkpoint."""
    resumes: bool = False


@dataclass(frozen=True)
class Show:
    """Say how a run stands; without a run, how all recent ones do."""

    run: str = ""


@dataclass(frozen=True)
class Queue:
    """Say what runs, what waits, and when it is likely to start."""


@dataclass(frozen=True)
class Models:
    """Say which models were made, or with `are_bases` which ones can be begun with."""

    are_bases: bool = False


@dataclass(frozen=True)
class Cancel:
    run: str
    wants_save: bool = False


@dataclass(frozen=True)
class Resume:
    """Go on from the last checkpoint of a run that ended, in a new run."""

    run: str


@dataclass(frozen=True)
class Retry:
    """Do a run that ended once more, with some options changed."""

    run: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Push:
    """Push the model of a run that could not be pushed."""

    run: str


@dataclass(frozen=True)
class Logs:
    run: str


@dataclass(frozen=True)
class Example:
    """Post the small table that shows what a method reads."""

    method: str


@dataclass(frozen=True)
class Help:
    word: str = ""


@dataclass(frozen=True)
class Audit:
    """Who did what lately; for admins."""


@dataclass(frozen=True)
class Notify:
    """Hear of a run's end by direct message: a run, `all`, or `off`; empty asks what one hears of."""

    what: str = ""


@dataclass(frozen=True)
class Forget:
    """Delete a run's or a file's data from this server."""

    what: str


@dataclass(frozen=True)
class Pasted:
    """Somebody typed a token; it was taken out before anybody stored it."""


Request = (
    Pasted
    | Check
    | Plan
    | Show
    | Queue
    | Models
    | Cancel
    | Resume
    | Retry
    | Push
    | trying.Ask
    | trying.Compare
    | Logs
    | Example
    | Audit
    | Notify
    | Forget
    | timing.Schedule
    | timing.Schedules
    | timing.Unschedule
    | Help
)
WORDS = (
    *NEEDS,
    "check",
    *timing.WORDS,
    *trying.WORDS,
    *("status", "list", "queue", "models", "cancel", "resume", "retry", "push"),
    *("logs", "example", "notify", "forget", "audit", "help"),
)


def parse(text: str) -> Request:
    """Raises Refusal with the nearest word that would have been understood."""
    if GONE in text:
        return Pasted()
    if (check := asked(text)) is not None:
        return _check(check)
    first, *rest = text.split() or ["help"]
    word = method_named(first)
    match word:
        case _ if word in NEEDS:
            return _plan(word, text.split(maxsplit=1)[1] if rest else "")
        case "queue":
            return Queue()
        case "status" | "list":
            return Show(_run(rest[0]) if rest else "")
        case "models":
            return Models(are_bases=bool(rest) and rest[0].lower() in ("base", "bases"))
        case "cancel":
            return Cancel(_named_run(word, rest), wants_save="save" in rest[1:])
        case "resume":
            return Resume(_named_run(word, rest))
        case "retry":
            return Retry(_named_run(word, rest), _pairs(" ".join(rest[1:])))
        case "push":
            return Push(_named_run(word, rest))
        case _ if word in trying.WORDS:
            return trying.parse(word, text.split(maxsplit=1)[1] if rest else "")
        case "logs":
            return Logs(_named_run(word, rest))
        case "example":
            return Example(_method(rest[0]) if rest else "dpo")
        case "schedule" | "schedules" | "unschedule":
            return timing.parse(word, rest)
        case "audit":
            return Audit()
        case "notify":
            return Notify(_heard_of(rest))
        case "forget":
            return Forget(_forgotten(text))
        case "help":
            return Help(rest[0].lower() if rest else "")
    raise Refusal(f"I do not know `{first}`. {_nearest(word, WORDS)}", "method")


def _check(check: Check) -> Check:
    """Raises Refusal where what is to be planned on it cannot be."""
    if check.then and not isinstance(parse(check.then), Plan):
        raise Refusal("With rows, say what to train on them, as in `sft`, or nothing for a check.", "method")
    return check


def _method(word: str) -> str:
    method = method_named(word)
    if method not in NEEDS:
        raise Refusal(f"`{word}` is no method. {_nearest(method, tuple(NEEDS))}", "method")
    return method


def _nearest(word: str, words: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else "These words work: " + ", ".join(words) + "."


def _run(word: str) -> str:
    number = word.lstrip("#").removeprefix("run-")
    if not is_run_id(number):
        raise Refusal(f"`{word}` is no run: runs are numbers, as in `/finetune status 7`.", "run")
    return number


def _heard_of(rest: list[str]) -> str:
    word = rest[0].lower() if rest else ""
    return word if word in ("", "all", "off") else _run(word)


def _forgotten(text: str) -> str:
    """A run's number or a file's name, which may hold spaces."""
    _, _, name = text.strip().partition(" ")
    if not name.strip():
        raise Refusal("Forget what? A run, as in `/finetune forget 7`, or a file of this thread by its name.", "file")
    number = name.strip().lstrip("#").removeprefix("run-")
    return number if is_run_id(number) else name.strip()


def _named_run(word: str, rest: list[str]) -> str:
    if not rest:
        raise Refusal(f"Which run? For example `/finetune {word} 7`; `/finetune list` shows them.", "run")
    return _run(rest[0])


def _plan(method: str, rest: str) -> Plan:
    given = _pairs(rest)
    model, file = _basis(given), given.pop("file", "")
    columns = {name: given.pop(name) for name in COLUMNS if name in given}
    repo, push, where = given.pop("repo", ""), _push(given.pop("push", "on")), given.pop("on", "").lower()
    if push == "pr" and not repo:
        raise Refusal("Say which repo gets the pull request: repo=namespace/name.", "repo")
    parameters.parse(given, method)
    return Plan(method, model, file, columns, given, repo, push, where)


def _basis(given: dict[str, str]) -> str:
    """The base model, taken out of what was given: `model=org/name`, or `base=7` for what run 7 made."""
    model, base = given.pop("model", ""), given.pop("base", "")
    if model and base:
        raise Refusal("`model` and `base` are the same: leave one out.", "base")
    return f"run-{base.lstrip('#')}" if is_run_id(base.lstrip("#")) else base or model


def _push(word: str) -> str:
    if word not in PUSHES:
        raise Refusal(f"push={word} is none of {', '.join(PUSHES)}: pr is a pull request, off keeps it here.", "push")
    return word


def _pairs(rest: str) -> dict[str, str]:
    """`name=value` words; a value with spaces stands in double quotes."""
    pairs = {}
    for word in re.findall(r'(?:[^\s"]|"[^"]*")+', rest):
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise Refusal(f"I read `{word}` as an option, but options look like `name=value`.", name)
        pairs[name.lower()] = value.strip('"')
    return pairs
