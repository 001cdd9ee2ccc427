"""What a run will take, for the command line: of a dataset by its preview, of a run's folder by its rows."""

import json
from dataclasses import asdict
from pathlib import Path

from engine.data.types import Estimate, Setting
from engine.folder import RunFolder


def of_dataset(path: Path, method: str, model: str, words: tuple[str, ...]) -> Estimate:
    """Check, look and plan as the preview does. Raises Refusal."""
    from engine.commands.preview import Wish, limit_to, make_preview

    limit_to(path)
    return make_preview(Wish(path, method, model, words, None, as_json=True)).estimate


def of_run(run: RunFolder) -> Estimate:
    """By the rows that lie in the folder, with the parameters of its spec, on this machine."""
    from engine.commands.basis import slot_here
    from engine.data.preview.fate import encode
    from engine.data.preview.tokens import FileTokenizer
    from engine.hub.download.look import look_at_folder
    from engine.plan.estimate import estimate
    from engine.plan.parameters import complete
    from engine.work.training.rows import read_rows

    spec = run.read_spec()
    settings = {name: Setting(value) for name, value in complete(spec.method, spec.parameters).items()}
    tokenizer = FileTokenizer(run.model, str(spec.parameters.get("template", "auto")))
    rows = read_rows(run.rows("train"))
    tokens = 0
    for row in rows:
        encoded = encode(dict(row), spec.method, tokenizer, int(settings["max_length"].value))
        pieces = encoded if isinstance(encoded, list) else [encoded] if encoded else []
        tokens += sum(len(ids) for piece in pieces for name, ids in piece.items() if name.endswith("_ids"))
    return estimate(spec.method, settings, look_at_folder(run.model), len(rows), tokens, slot_here())


def words_of(made: Estimate, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(made))
    said = f"{made.steps:,} steps, about {made.seconds:,.0f} s and {made.memory_gb:.1f} GB"
    return "\n".join((said, *made.notes))
