"""A run's lora as one file, for models that go to no Hub: cleaned like a push, with a note on how it is loaded."""

import shutil
import tempfile
import zipfile
from pathlib import Path

from engine.folder import RunFolder
from engine.hub.upload.card import Loading, head, snippet
from engine.hub.upload.stage import base_model, check_no_paths, clean, has_chat, is_allowed
from engine.jobs import JobSpec

LARGEST = 100_000_000
"""Bytes: beyond that no chat takes a file that people would want to wait for."""
PACKED = "lora.zip"
NOTE = """The LoRA of run {run}, made by {method} on {rows}.
Base model: {base}{at}.

Unpack this file, then, in the folder that {name} lies in:

{program}
"""


def pack(path: Path) -> Path | None:
    """`lora.zip` beside the training's output, made once; None where there is no lora, or one that is too large."""
    folder = RunFolder(path)
    trained = folder.finished("train")
    output = trained.folder / "output" if trained else path
    if trained is None or not (output / "adapter_config.json").exists():
        return None
    target = trained.folder / PACKED
    if target.exists():
        return target
    files = [file for file in sorted(output.iterdir()) if file.is_file() and is_allowed(file.name)]
    if sum(file.stat().st_size for file in files) > LARGEST:
        return None
    name = f"run-{trained.run}-lora"
    with tempfile.TemporaryDirectory(dir=trained.folder, prefix=".packing-") as place:
        inside = Path(place) / name
        inside.mkdir()
        for file in files:
            shutil.copyfile(file, inside / file.name)
        spec = folder.read_spec()
        base, revision = base_model(spec, is_loopback=False)
        clean(inside, base, revision)
        is_chat = has_chat(folder.rows("train"), inside)
        (inside / "README.txt").write_text(note(spec, trained.run, name, base, revision, is_chat), encoding="utf-8")
        check_no_paths(inside)
        write(inside, Path(place) / PACKED)
        (Path(place) / PACKED).rename(target)
    return target


def note(spec: JobSpec, run: str, name: str, base: str, revision: str, is_chat: bool) -> str:
    loading = Loading(name, head(spec.method), True, is_chat, base, revision)
    program = snippet(loading) if base else "(its base model is a folder of the bot's server, and is needed too)"
    return NOTE.format(
        run=run,
        method=spec.method,
        rows=spec.train.name,
        base=base or spec.model.id,
        at=f" at commit {revision}" if revision else "",
        name=name,
        program=program,
    )


def write(inside: Path, target: Path) -> None:
    """Uncompressed, since weights do not shrink."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(inside.iterdir()):
            file.write(path, f"{inside.name}/{path.name}")
