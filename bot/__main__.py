"""`python -m bot setup | doctor | serve | chat | demo | hub | reference`."""

import asyncio
import importlib
import signal
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import structlog
import typer
from pydantic import ValidationError

from engine.lease import Lost
from engine.refusal import Refusal

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def bot() -> None:
    """Fine-tune language models where the team already talks."""


@cli.command()
def serve() -> None:
    """Serve the chat that CHAT names, until SIGTERM or Ctrl-C."""
    from bot import log
    from bot.app import make
    from bot.settings import Settings
    from bot.setup.doctor import refuse_what_is_wrong

    log.to(sys.stderr)
    asyncio.run(refuse_what_is_wrong())
    asyncio.run(_until_signalled(make(Settings()).serve()))


@cli.command()
def doctor() -> None:
    """Look at everything that can be wrong with the setup, and say what to do; exit code 1 where something is."""
    from bot.setup.doctor import tell

    raise SystemExit(asyncio.run(tell()))


@cli.command()
def setup(
    start: Annotated[bool, typer.Option(help="Serve at the end; --no-start leaves that to you.")] = True,
) -> None:
    """Connect the bot to the team's chat: asks, checks each answer at once, writes .env, and serves."""
    from bot.setup.interview import interview

    code = asyncio.run(interview())
    if code or not start:
        raise SystemExit(code)
    serve()


@cli.command()
def chat() -> None:
    """Talk to the bot in this terminal: give a file's path, type /finetune, press a button by its number."""
    raise SystemExit(importlib.import_module("adapters.chat.console.typist").chat())


@cli.command()
def demo(method: Annotated[str, typer.Argument(help="sft, clm, reward, dpo, orpo or mlm")] = "sft") -> None:
    """Play a whole conversation: a broken file, a good one, a run, and the model at the end."""
    raise SystemExit(importlib.import_module("adapters.chat.console.demo").demo(method))


@cli.command()
def reference() -> None:
    """Print docs/commands.md: every command, and every word that `/finetune help` explains."""
    from bot.wording import help as help_words
    from bot.wording.terms import page

    sys.stdout.write(page(help_words.TERMS))


@cli.command()
def hub() -> None:
    """Open the local Hub's pages again."""
    raise SystemExit(importlib.import_module("adapters.chat.console.local").hub())


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        structlog.get_logger().info("stopped")


def main() -> None:
    try:
        cli()
    except ValidationError as error:
        for fault in error.errors():
            sys.stderr.write(f"{'.'.join(map(str, fault['loc'])).upper()}: {fault['msg']}.\n")
        raise SystemExit(2) from None
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.text}\n")
        raise SystemExit(1) from None
    except Lost as lost:
        sys.stderr.write(f"This bot ends: {lost}.\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
