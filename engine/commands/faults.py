"""What `python -m engine faults` prints: every fault that a check knows, as a page in Markdown."""

import tempfile
from pathlib import Path

from engine.commands.tokens import issues_of
from engine.data.checks import check
from engine.data.faults import EXAMPLES
from engine.data.findings import severity
from engine.data.fixes import FIXES
from engine.data.preview.fate import Fate
from engine.data.shown import cut, escaped
from engine.data.types import Issue

LONGEST_EXAMPLE = 90
HEAD = """# What may be wrong with a dataset

`python -m engine check FILE` names every fault at once, each with its line, and `--fix OUT` writes a mended copy. This
page is printed by `python -m engine faults` from the code: each example was checked to get what is said of it.

An **error** keeps the rows from being used: the whole file where its structure is broken, the methods that need the
column where only a cell is. A **warning** says what trains, but perhaps not as you think. A **note** is only said.
`↵` in an example is the end of a line; what is invisible is written as an escape.
"""
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def page() -> str:
    """The whole page. A fault without a fix is for a person to mend."""
    found = {code: _issue_of(code) for code in EXAMPLES} | _with_a_model()
    parts = [HEAD]
    for kind, title in TITLES.items():
        parts.append(f"## {title}\n\n| code | an example | what is said | fix |\n|---|---|---|---|")
        parts.append("\n".join(_row(code, issue) for code, issue in found.items() if severity(code) == kind) + "\n")
    parts.append("## Fixes\n\n| fix | what it does |\n|---|---|")
    parts.append("\n".join(f"| `{name}` | {words} |" for name, words in FIXES.items()) + "\n")
    parts.append(
        "All that a check offers: `python -m engine check FILE --fix OUT`. Some: `--fixes unescape,mask_secrets`.\n"
        "The file that was given stays as it is; each change is said with its line."
    )
    return "\n".join(parts)


def _issue_of(code: str) -> Issue:
    name, content = EXAMPLES[code]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return next(issue for issue in check(path).issues if issue.code == code)


def _with_a_model() -> dict[str, Issue]:
    """What only a check with `--model` and `--method` can say, of two rows that are made up."""
    fate = Fate(1, 1, 1, (3_000, 1_500), {}, cut_rows=(1,), dropped_rows=(2,))
    return {issue.code: issue for issue in issues_of(fate, 1_024)}


def _row(code: str, issue: Issue) -> str:
    fix = f"`{issue.fix}`" if issue.fix else ""
    return f"| `{code}` | {_example(code)} | {_cell(issue.message)} | {fix} |"


def _example(code: str) -> str:
    return _shown(*EXAMPLES[code]) if code in EXAMPLES else "a long row, checked with `--method` and `--model`"


def _shown(name: str, content: bytes) -> str:
    """The example on one line; in words where it is no text or too long."""
    if not content:
        return "an empty file"
    if len(content) > 1_000 or content[:4] in (b"PAR1", b"PK\x03\x04") or content.startswith((b"\x1f\x8b", b"\x89")):
        return f"`{name}`, {len(content):,} bytes"
    text = escaped(content.decode("utf-8", "backslashreplace").replace("\n", "↵"))
    return _cell(f"``{cut(text, LONGEST_EXAMPLE)}``")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
