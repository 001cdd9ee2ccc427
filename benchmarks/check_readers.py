"""One reader over one file: `python -m benchmarks.check_readers MODE FILE LINES`. The last line is the answer."""

import filecmp
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path


def structure(path: Path, lines: dict[str, int]) -> str:
    """Reading alone, with its checks of structure, and every good row written as Arrow."""
    from engine.data.checks.outputs import ArrowOutput
    from engine.data.findings import Findings
    from engine.data.reading import read

    with tempfile.TemporaryDirectory() as folder:
        reading = read(path, path.name, Findings().add)
        output = ArrowOutput(Path(folder) / "rows.arrow", reading.columns, frozenset())
        for record in reading.rows:
            output.write(record.cells)
        output.close()
    return f"{reading.rows_seen} rows"


def complete(path: Path, lines: dict[str, int]) -> str:
    """Everything that a check looks at, Arrow included."""
    from engine.data.checks import check

    with tempfile.TemporaryDirectory() as folder:
        report = check(path, method="dpo", arrow=Path(folder) / "rows.arrow")
    named = {(issue.code, issue.line) for issue in report.issues}
    missed = [code for code, line in lines.items() if (code.partition("@")[0], line) not in named]
    return f"{len(lines) - len(missed)}" + (f" (not {', '.join(missed)})" if missed else "")


def fixes(path: Path, lines: dict[str, int]) -> str:
    """Texts mended and repeats dropped, with every change in a list."""
    from engine.data.fixes import Changes, apply

    wanted = ("unescape", "drop_hidden", "mask_secrets", "drop_empty_rows", "drop_duplicates", "drop_near_duplicates")
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "changes.txt").open("w") as listing:
        return f"{len(apply(path, Path(folder) / path.name, wanted, changes=Changes(listing)))} changes"


def convert(path: Path, lines: dict[str, int]) -> str:
    """The same content in UTF-16, which is twice as large, written as UTF-8."""
    from engine.data.fixes import apply

    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / path.name, Path(folder) / "out"
        with path.open(encoding="utf-8", newline="") as text, source.open("w", encoding="utf-16", newline="") as target:
            shutil.copyfileobj(text, target, 1 << 20)
        apply(source, out, ["convert_encoding"])
        return "equal" if filecmp.cmp(path, out, shallow=False) else "NOT EQUAL"


def pandas(path: Path, lines: dict[str, int]) -> str:
    """Read with its defaults; where that fails, again with every leniency that it has."""
    import pandas as pd  # type: ignore[import-untyped]  # measured where it is there, not depended on

    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)
        except Exception as error:
            said.append(str(error))
            if path.suffix == ".csv":
                pd.read_csv(path, on_bad_lines="warn", encoding_errors="replace", engine="c")
    said += [line for warning in caught for line in str(warning.message).splitlines() if "kipping line" in line]
    return f"{len(said)}" + (f" ({said[0][:70]!r})" if said else "")


def load_dataset(path: Path, lines: dict[str, int]) -> str:
    from datasets import disable_progress_bars
    from datasets import load_dataset as load

    disable_progress_bars()
    kind = "csv" if path.suffix == ".csv" else "json"
    with tempfile.TemporaryDirectory() as folder:
        try:
            load(kind, data_files=str(path), cache_dir=folder)
        except Exception as error:
            cause = error.__cause__ or error
            return f"1 ({str(cause)[:70]!r})"
    return "0"


def main() -> None:
    mode, path, lines = sys.argv[1:]
    readers = {
        "structure": structure,
        "complete": complete,
        "fixes": fixes,
        "convert": convert,
        "pandas": pandas,
        "load_dataset": load_dataset,
    }
    try:
        print(readers[mode](Path(path), json.loads(lines)))
    except ModuleNotFoundError as error:
        print(f"not installed: {error.name}")


if __name__ == "__main__":
    main()
