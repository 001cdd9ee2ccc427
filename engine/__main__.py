"""`python -m engine …`: the whole work without a chat. Each command is thin; its room does the work.

Exit codes: 0 done, 1 a person has something to mend, 2 wrong usage or a file that cannot be read.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from engine.data.types import method_named
from engine.refusal import Refusal


def _method(word: str | None) -> str | None:
    return method_named(word) if word else word


Method = Annotated[str, typer.Option(callback=_method, help="AutoTrain's words, as in llm-sft, are understood too.")]
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def engine() -> None:
    """Check datasets, plan, train and publish language models."""


@app.command()
def train(
    what: Annotated[
        Path, typer.Argument(help="A dataset (also hf:org/name), a YAML config (AutoTrain's too), or a run's folder.")
    ],
    words: Annotated[list[str] | None, typer.Argument(help="name=value, e.g. epochs=3 or text=answer")] = None,
    method: Method = "",
    model: str = "",
    out: Annotated[Path | None, typer.Option(help="The run's folder; left out, a new one in runs/.")] = None,
) -> None:
    """Train; 0 only when `finished` is the last event."""
    if (what / "spec.json").exists():
        from engine.work.train import train as work

        raise typer.Exit(0 if work(what) else 1)
    from engine.work.start import new_folder, order_from, start

    order = order_from(what, method, model, words or [])
    raise typer.Exit(start(order, out or new_folder(order)))


@app.command()
def ask(
    folder: Path, texts: Annotated[list[str] | None, typer.Argument(help="Questions; none: those of a chat.")] = None
) -> None:
    """Put questions to a run's trained model and to its base, side by side."""
    from engine.work.asking.answering import ask as work
    from engine.work.asking.answering import ask_once

    if not texts:
        raise typer.Exit(0 if work(folder) else 1)
    for text, base, tuned in ask_once(folder, texts):
        typer.echo(f"{text}\n  base:  {base}\n  tuned: {tuned}")


@app.command()
def estimate(
    what: Annotated[Path, typer.Argument(help="A dataset, or a run's folder.")],
    words: Annotated[list[str] | None, typer.Argument(help="name=value, e.g. epochs=3 or text=answer")] = None,
    method: Method = "sft",
    model: str = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Steps, time and memory of a run on this machine."""
    from engine.commands.datasets import here
    from engine.folder import RunFolder
    from engine.work.estimates import of_dataset, of_run, words_of

    if (what / "spec.json").exists():
        made = of_run(RunFolder(what))
    else:
        with here(what) as (path, _):
            made = of_dataset(path, method, model, tuple(words or ()))
    typer.echo(words_of(made, json))


@app.command()
def params(
    method: Method = "sft",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/parameters.md.")] = False,
) -> None:
    """The parameters of a method: what each does, its range, and its usual value."""
    from engine.plan import listed

    typer.echo(listed.markdown() if markdown else listed.described(method, json), nl=not markdown)


@app.command()
def plot(folder: Path, target: Path, title: str = "") -> None:
    """Draw the loss curve of an attempt's folder as a PNG."""
    from engine.work.plot import plot as work

    work(folder, target, title)


@app.command()
def check(
    file: Path,
    columns: Annotated[list[str] | None, typer.Argument(help="text=answer; with --model max_length=512 too")] = None,
    method: Annotated[str | None, typer.Option(callback=_method)] = None,
    model: str | None = None,
    name: str | None = None,
    fix: Path | None = None,
    fixes: str = "",
    rows: Path | None = None,
    fill: Annotated[Path | None, typer.Option(help="With --fix: JSON, a list of {row, column, value}.")] = None,
    arrow: Path | None = None,
    changes: Annotated[Path | None, typer.Option(help="With --fix: a file for a line about each change.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Check a dataset: every fault with its line. 0 usable, 1 has errors, 2 cannot be read or wrong usage."""
    from engine.commands.check import Wish, check_and_print
    from engine.commands.datasets import here

    words, named = tuple(columns or ()), tuple(filter(None, fixes.split(",")))
    with here(file) as (path, known_as):
        wish = Wish(path, name or known_as, method, model, words, fix, named, rows, arrow, as_json, fill, changes)
        raise typer.Exit(check_and_print(wish))


@app.command()
def dataset(
    words: Annotated[str, typer.Argument(help="hf:org/name[config]:train[:1000]")],
    target: Path,
    limit_mb: Annotated[int, typer.Option(help="The most that is taken.")] = 2_000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring a dataset of the Hub here as one file, and say at which commit it is."""
    from engine.commands.datasets import dataset_and_print

    raise typer.Exit(dataset_and_print(words, target, limit_mb, json))


@app.command()
def faults() -> None:
    """Every fault that a check knows, with an example, what is said and its fix, as a page in Markdown."""
    from engine.commands.faults import page

    typer.echo(page())


@app.command()
def preview(
    file: Path,
    words: Annotated[list[str] | None, typer.Argument(help="parameters and columns: epochs=3 prompt=question")] = None,
    method: Method = "sft",
    model: str = "",
    valid: Path | None = None,
    slot: Annotated[
        str, typer.Option(help="Where it would train: how many GPUs × GB each, as in 1x24; 0x16 is a CPU.")
    ] = "",
    quick: Annotated[bool, typer.Option(help="Tell the tokens of more than 500 rows from 500 of them.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show what a run would be: the text the model will see, every row's fate, parameters, time and memory."""
    from engine.commands.datasets import here, named_file
    from engine.commands.preview import Wish, preview_and_print

    named = valid or named_file(words or [])
    with here(file) as (path, _), here(named) if named else nullcontext((None, "")) as (other, _):
        raise typer.Exit(preview_and_print(Wish(path, method, model, tuple(words or ()), other, as_json, slot, quick)))


CACHE = "Folder of the cache; left out, HF_HOME, else the cache folder of DATA."


@app.command()
def prepare(
    cache: Annotated[Path | None, typer.Option(help=CACHE)] = None,
    publish: Annotated[bool, typer.Option(help="Also put them on the local Hub that HF_ENDPOINT names.")] = False,
) -> None:
    """Make the embedded models ready, once."""
    from engine.hub.download.fetch import default_cache
    from engine.hub.download.prepare import prepare as work

    folders = work(cache or default_cache())
    for folder in folders:
        typer.echo(folder)
    if publish:
        from engine.hub.download.prepare import publish as put

        for url in put(cache or default_cache()):
            typer.echo(url)


@app.command()
def fetch(folder: Path, cache: Annotated[Path | None, typer.Option(help=CACHE)] = None) -> None:
    """Bring a run's base model and rows into its folder; 0 only when `finished` is the last event."""
    from engine.hub.download.fetch import fetch as work

    raise typer.Exit(0 if work(folder, cache) else 1)


@app.command()
def merge(
    folder: Path, to: Annotated[Path | None, typer.Option(help="Where to; left out, beside the lora.")] = None
) -> None:
    """Make full weights of a run's lora and its base, and compare what both answer."""
    from engine.work.export.merge import merge_run
    from engine.work.training.task import Failure

    try:
        typer.echo(merge_run(folder, to))
    except Failure as failure:
        raise Refusal(failure.reason) from None


@app.command()
def push(
    folder: Path,
    to: Annotated[str, typer.Option(help="The repo, as namespace/name; left out, the run's own target.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the last event as JSON.")] = False,
) -> None:
    """Put a run's trained model on the Hub; 0 only when `finished` is the last event."""
    from engine.hub.upload.push import last_words
    from engine.hub.upload.push import push as work

    is_done = work(folder, to)
    typer.echo(last_words(folder, json))
    raise typer.Exit(0 if is_done else 1)


@app.command()
def rights(
    namespace: Annotated[str, typer.Argument(help="Left out: say which namespaces it may push to.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether HF_TOKEN may push to a namespace of the Hub; 1 and what to mend where it may not."""
    from engine.commands.hub import tell_rights

    raise typer.Exit(tell_rights(namespace, json))


@app.command()
def base(
    model: str,
    cache: Annotated[Path | None, typer.Option(help=CACHE)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether a base model can be had: found, open to us, and harmless to load."""
    from engine.commands.hub import tell_base
    from engine.hub.download.fetch import default_cache

    raise typer.Exit(tell_base(model, cache or default_cache(), json))


@app.command()
def release(folder: Path, json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Remove the repo that was made for a run and never got a model; 1 where the Hub could not be asked."""
    from engine.commands.hub import tell_release

    raise typer.Exit(tell_release(folder, json))


@app.command()
def pack(folder: Path, json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Put a run's lora into one file, where there is one of a size that a chat takes."""
    from engine.commands.hub import tell_pack

    raise typer.Exit(tell_pack(folder, json))


@app.command()
def models(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """The base models on offer by name; any other repo of the Hub may be named by its id."""
    from engine.plan.bases.listed import table

    typer.echo(table(json))


def main() -> None:
    try:
        app()
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.text}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
