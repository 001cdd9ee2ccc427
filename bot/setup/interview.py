"""`python -m bot setup`: which platform, its tokens, the Hub's token, the team's channel; then .env, doctor, serve.

At most four values are pasted; everything else is chosen by a number or found out.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType

from bot import children
from bot.settings import Settings
from bot.setup import doctor
from bot.setup.asking import Step, Values, ask, choose, tell
from bot.setup.environment import write

FILE = Path(".env")
HUB = "https://huggingface.co/settings/tokens"


async def interview() -> int:
    """The doctor's exit code. Raises Refusal where the input ends."""
    names = platforms()
    steps = [importlib.import_module(f"adapters.chat.{name}.setup.steps") for name in names]
    chosen = choose("Where does your team talk?", [step.TITLE for step in steps])
    values = {"CHAT": names[chosen]}
    platform = steps[chosen]
    for step in platform.steps():
        values[step.setting] = await ask(step, values)
    values["ADMINS"] = await platform.people(values)
    values["TEAM_CHANNEL"] = await team_channel(platform, values)
    values |= await hub_values()
    write(FILE, values)
    tell(f"\nWrote {FILE}, which only you can read.\n")
    for name in values:
        os.environ.pop(name, None)  # what was set there before would hide what the file says
    code = await doctor.tell()
    tell("`python -m bot serve` starts the bot" + (", once this is mended." if code else "."))
    return code


def platforms() -> list[str]:
    """The chat platforms that can be set up, by name."""
    folders = (Path(folder) for folder in importlib.import_module("adapters.chat").__path__)
    return sorted(steps.parent.parent.name for folder in folders for steps in folder.glob("*/setup/steps.py"))


async def team_channel(platform: ModuleType, values: Values) -> str:
    """The id of the channel that gets the cards; empty for none."""
    while True:
        found: list[tuple[str, str]] = await platform.channels(values)
        options = [f"#{name}" for _, name in found]
        chosen = choose(
            "Which channel gets a card for each run that ended?", [*options, "none", f"look again ({platform.INVITE})"]
        )
        if chosen < len(found):
            return found[chosen][0]
        if chosen == len(found):
            return ""


async def hub_values() -> dict[str, str]:
    """HF_TOKEN, if there is one, with the namespace that it may push to."""
    step = Step(
        "HF_TOKEN",
        "Hub token (hf_…), or nothing to keep models on this server",
        f"Models go to the Hugging Face Hub. Make a token with write rights at {HUB}.",
        _can_be_used,
        is_optional=True,
    )
    token = await ask(step, {})
    if not token:
        return {}
    spaces = await namespaces(token)
    chosen = choose("Which user or organisation do models go to?", spaces) if len(spaces) > 1 else 0
    return {"HF_TOKEN": token, "HF_NAMESPACE": spaces[chosen]}


async def _can_be_used(token: str, values: Values) -> str:
    return f"The token may push to {' and '.join(await namespaces(token))}."


async def namespaces(token: str) -> list[str]:
    """Those that a token may push to, its owner first. Raises Refusal."""
    settings = Settings()
    environment = {**settings.hub_environment(), "HF_TOKEN": token}
    answer = await children.ask("rights", timeout_s=doctor.HUB_S, environment=environment)
    return list(answer.values["namespaces"])
