"""`python -m engine …`: the whole work without a chat. Each command is thin; its room does the work.

Exit codes: 0 done, 1 a person has something to mend, 2 wrong usage or a file that cannot be read.
"""

import sys
from pathlib import Path
from typing import Annotated

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


@app.command()
def check(
    file: Path,
    columns: Annotated[list[str] | None, typer.Argument(help="role=column, e.g. prompt=question text=answer")] = None,
    method: str | None = None,
    model: str | None = None,
    name: str | None = None,
    fix: Path | None = None,
    rows: Path | None = None,
    arrow: Path | None = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Check a dataset: every fault with its line. 0 usable, 1 has errors, 2 cannot be read or wrong usage."""
    from engine.data.console import Wish, check_and_print

    wish = Wish(file, name or file.name, method, model, tuple(columns or ()), fix, rows, arrow, as_json)
    raise typer.Exit(check_and_print(wish))


def main() -> None:
    try:
        app()
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.text}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
