"""`python -m engine …`: the whole work without a chat. Each command is thin; its room does the work.

Exit codes: 0 done, 1 a person has something to mend, 2 wrong usage or a file that cannot be read.
"""

import sys
from pathlib import Path

import typer

from engine.refusal import Refusal

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def engine() -> None:
    """Check datasets, plan, train and publish language models."""


@app.command()
def train(folder: Path) -> None:
    """Train what a run's folder asks for; 0 only when `finished` is the last event."""
    from engine.work.train import train as work

    raise typer.Exit(0 if work(folder) else 1)


def main() -> None:
    try:
        app()
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.text}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
