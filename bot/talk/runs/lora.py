"""The lora of a run that goes to no Hub, as a file at its end: whether it fits is for the platform to say."""

import asyncio
from dataclasses import replace
from pathlib import Path

import structlog

import engine.store
from bot import children
from bot.chat import File, Message
from bot.talk.context import Context
from engine.folder import RunFolder
from engine.jobs import Run, Status
from engine.refusal import Refusal

log = structlog.get_logger()
PACKED = "lora.zip"
PACK_S = 20.0
"""With its turn among the other children: a longer wait would hold up the word about all runs."""


def stays_here(run: Run | None) -> bool:
    return run is not None and run.status is Status.succeeded and not run.result.repo


async def pack(context: Context, number: str) -> None:
    """Make the file, if the run has ended so. People at this machine have the folder itself."""
    if context.settings.people_are_local or not stays_here(await context.database.read(engine.store.run, number)):
        return
    try:
        async with asyncio.timeout(PACK_S):
            await children.ask("pack", str(context.settings.runs / number), timeout_s=PACK_S)
    except (Refusal, TimeoutError) as reason:
        log.warning("the lora was not packed", run=number, reason=str(reason))


def with_lora(message: Message, run: Run, folder: Path) -> Message:
    """The message with the file, where it was made."""
    trained = RunFolder(folder).finished("train") if stays_here(run) else None
    file = trained.folder / PACKED if trained else None
    if file is None or not file.exists():
        return message
    name = f"run-{run.id}-lora.zip"
    text = f"{message.text}\nIts LoRA goes along as {name}; README.txt in it says how it is loaded."
    return replace(message, text=text, files=(*message.files, File(name, file)))
