"""`python -m bot doctor`: everything that can be wrong with the setup, each with what to do; `serve` looks as well."""

import importlib
import sys
from collections.abc import Iterable

from pydantic import ValidationError

from bot import children
from bot.settings import Settings
from bot.setup import machine
from bot.setup.findings import Finding, clock, note, well, wrong
from engine.refusal import Refusal

HUB_S = 30.0
MARKS = {"well": "✓", "note": "!", "wrong": "✗"}


async def examine(is_quick: bool = False) -> list[Finding]:
    """All findings. `is_quick` leaves out what takes seconds: whether the base model can be had, and the GPU."""
    try:
        settings = Settings()
    except ValidationError as error:
        return [wrong("settings", sentence) for sentence in unreadable(error)]
    found = [*machine.environment_file(), *machine.folders(settings), *machine.database(settings)]
    found += await machine.port(settings)
    if not is_quick:
        found += await machine.trainer(settings)
    found += await platform(settings)
    for name in settings.executors:
        found += adapter("executors", "EXECUTOR", name) or await place_to_train(name)
    found += people(settings)
    found += await hub(settings)
    if not is_quick:
        found += [*await base_model(settings), *await clock(settings.hf_endpoint)]
    return found


def unreadable(error: ValidationError) -> Iterable[str]:
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"])).upper()
        yield f"{name}: {fault['msg']}; it was {str(fault.get('input'))[:60]!r}. Mend it in .env or the environment."


def adapter(kind: str, setting: str, name: str) -> list[Finding]:
    """Whether there is a module of that name."""
    try:
        importlib.import_module(f"adapters.{kind}.{name}")
    except ImportError as error:
        return [wrong(setting, f"{setting}={name}: {error}. Is it spelt right, and its packages installed?")]
    return []


async def place_to_train(name: str) -> list[Finding]:
    """A place's own looks, where it has any: `async examine() -> list[Finding]` in its module `doctor`."""
    module = f"adapters.executors.{name}.doctor"
    try:
        look = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name == module:
            return []
        raise
    found: list[Finding] = await look.examine()
    return found


async def platform(settings: Settings) -> list[Finding]:
    """The platform's own looks."""
    if missing := adapter("chat", "CHAT", settings.chat):
        return missing
    look = importlib.import_module(f"adapters.chat.{settings.chat}.setup.doctor")
    try:
        found: list[Finding] = await look.examine(settings.team_channel)
    except ValidationError as error:
        found = [wrong("settings", sentence) for sentence in unreadable(error)]
    except Refusal as refusal:
        found = [wrong(settings.chat, refusal.text)]
    return found


def people(settings: Settings) -> list[Finding]:
    if settings.admins or settings.people_are_local or settings.chat == "console":
        return []
    text = "ADMINS is empty, so nobody can approve runs, end those of others or read the audit: set your own id there."
    return [note("access", text)]


async def hub(settings: Settings) -> list[Finding]:
    """Whether the token may push where models are to go."""
    if not settings.hf_token.get_secret_value():
        return [note("Hub", "HF_TOKEN is empty: models stay on this server, and gated base models cannot be used.")]
    if not settings.namespaces:
        return [wrong("Hub", "HF_TOKEN is set and HF_NAMESPACE is not: set the user or organisation models go to.")]
    found = []
    for namespace in settings.namespaces:
        try:
            words = ("rights", namespace)
            await children.ask(*words, timeout_s=HUB_S, environment=settings.hub_environment())
        except Refusal as refusal:
            is_wrong = refusal.field in ("token", "namespace")
            found.append((wrong if is_wrong else note)("Hub", refusal.text))
        else:
            found.append(well("Hub", f"Models may be pushed to {namespace}."))
    return found


async def base_model(settings: Settings) -> list[Finding]:
    """Whether the base model that is taken when none is named can be had."""
    if not settings.default_model:
        return []
    try:
        words = ("base", settings.default_model)
        await children.ask(*words, timeout_s=HUB_S, environment=settings.hub_environment())
    except Refusal as refusal:
        return [wrong("base model", f"DEFAULT_MODEL: {refusal.text}")]
    return [well("base model", f"{settings.default_model} can be had.")]


async def refuse_what_is_wrong() -> None:
    """Called by `serve`. Raises Refusal with the doctor's own sentences."""
    faults = [finding.text for finding in await examine(is_quick=True) if finding.state == "wrong"]
    if faults:
        raise Refusal("\n".join(faults))


def told(found: Iterable[Finding]) -> str:
    return "".join(f"{MARKS[finding.state]} {finding.what}: {finding.text}\n" for finding in found)


async def tell() -> int:
    """Print it; 0 where nothing is wrong."""
    found = await examine()
    sys.stdout.write(told(found))
    faults = sum(finding.state == "wrong" for finding in found)
    sys.stdout.write(f"{faults} to mend.\n" if faults else "Nothing is wrong.\n")
    return 1 if faults else 0
