"""The embedded models, really converted, put on a local Hub and loaded from there by the unmodified client."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.hub.download import prepare
from engine.hub.download.look import look
from engine.plan.gates import fits
from engine.plan.models import EMBEDDED_CAUSAL, EMBEDDED_MASKED
from engine.refusal import Refusal
from tests.engine.hub.conftest import engine
from tests.twins.hub import Twin

ARE_THERE = all(importlib.util.find_spec(name) for name in prepare.PACKAGES.values())
LOAD = """
from transformers import pipeline
say = pipeline("text-generation", "embedded/SmolLM2-135M-Instruct-q4_1")
print(say([{"role": "user", "content": "What is the capital of France?"}], max_new_tokens=12, do_sample=False))
print(pipeline("fill-mask", "embedded/all-MiniLM-L6-v2")("The [MASK] is new.")[0]["token_str"])
"""


def test_a_machine_without_the_packages_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PACKAGES", dict.fromkeys(prepare.PACKAGES, "no_such_package"))
    with pytest.raises(Refusal, match="no_such_package"):
        prepare.prepare(tmp_path)


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_text("{}")
        raise RuntimeError("half-way")

    monkeypatch.setattr(prepare, "MAKERS", {EMBEDDED_MASKED: breaks})
    with pytest.raises(RuntimeError):
        prepare.make(tmp_path, EMBEDDED_MASKED, tmp_path)
    assert not prepare.is_prepared(tmp_path, EMBEDDED_MASKED)
    assert not list((tmp_path / "embedded").iterdir())


def test_the_embedded_models_are_put_on_no_public_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    with pytest.raises(Refusal, match="local Hub only"):
        prepare.publish(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not ARE_THERE, reason="the packages with the embedded models are not installed")
def test_the_embedded_models_answer_from_the_local_hub(twin: Twin, tmp_path: Path) -> None:
    environment = twin.environment(tmp_path / "home")
    words = ("prepare", "--publish")
    done = engine(*words, environment=environment, timeout_s=300)
    assert done.returncode == 0, done.stderr
    assert engine(*words, environment=environment, timeout_s=60).returncode == 0
    assert twin.count("POST .*/commit/main") == 2
    for model, method in ((EMBEDDED_CAUSAL, "sft"), (EMBEDDED_MASKED, "mlm")):
        found = look(model, token=None, cache=tmp_path / "home")
        fits(found, method)
        assert found.is_embedded and found.note and found.licence == "apache-2.0"
        text = " ".join(path.read_text() for path in found.folder.glob("*config.json"))
        assert "/" not in json.dumps(json.loads((found.folder / "config.json").read_text()))
        assert str(tmp_path) not in text
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD],
        env={"PATH": os.environ["PATH"], **environment, "HF_TOKEN": "", "HF_HOME": str(tmp_path / "reader")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "The capital of France is Paris." in loaded.stdout, loaded.stderr[-2000:]
