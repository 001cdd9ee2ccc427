"""GPUs that others use are not taken. There is no GPU here: nvidia-smi is a script that says what the test wants."""

import os
import sys
from pathlib import Path

import pytest

from adapters.executors.gpus import Neighbours, gpus, in_use, look
from adapters.executors.local import LocalExecutor
from engine.executor import Slot

SLOTS = [Slot("GPU-a", 1, 80.0), Slot("GPU-b", 1, 80.0)]


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, memory: str, processes: str) -> None:
    """A program of that name, first on the PATH."""
    (folder / "memory").write_text(memory)
    (folder / "processes").write_text(processes)
    script = folder / "nvidia-smi"
    script.write_text(f'#!/bin/sh\ncd {folder}\ncase "$1" in *memory.used*) cat memory;; *) cat processes;; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_each_gpu_that_is_visible_is_a_slot() -> None:
    lines = "0, GPU-a, 81559\n1, GPU-b, 24576\n"
    assert gpus(lines, None) == [Slot("GPU-a", 1, 81559 * 2**20 / 1e9), Slot("GPU-b", 1, 24576 * 2**20 / 1e9)]
    assert [slot.name for slot in gpus(lines, "1")] == ["GPU-b"]
    assert [slot.name for slot in gpus(lines, "GPU-a")] == ["GPU-a"]
    assert gpus("", None) == []
    assert gpus(lines, "") == []


def test_a_gpu_with_a_foreign_process_is_in_use_and_one_with_ours_is_not() -> None:
    memory = "GPU-a, 4000\nGPU-b, 4000\n"
    assert in_use(memory, "GPU-a, 11\nGPU-b, 12\n", ours={11}, held={"GPU-a"}) == {"GPU-b"}


def test_memory_that_nobody_of_ours_holds_is_somebodys() -> None:
    """Of a process in another container, which nvidia-smi does not list, or of a training that is just ending."""
    assert in_use("GPU-a, 3\nGPU-b, 70000\n", "", ours=set(), held=set()) == {"GPU-b"}
    assert in_use("GPU-b, 70000\n", "", ours={11}, held={"GPU-b"}) == set()


def test_what_nvidia_smi_cannot_say_is_no_use() -> None:
    assert in_use("GPU-a, [N/A]\n\n", "GPU-a, [N/A]\n", ours=set(), held=set()) == set()


def test_without_nvidia_smi_nothing_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look() == frozenset()


def test_a_gpu_in_use_is_no_slot_until_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "GPU-a, 2\nGPU-b, 60000\n", "GPU-b, 1\n")
    executor = LocalExecutor("local", tmp_path / "runs", sys.executable, {}, SLOTS)
    assert [slot.name for slot in executor.slots()] == ["GPU-a"]
    nvidia_smi(tmp_path, monkeypatch, "GPU-a, 2\nGPU-b, 2\n", "")
    assert look() == frozenset()


def test_who_uses_the_gpus_is_not_asked_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "GPU-a, 60000\n", "")
    neighbours = Neighbours(look_s=1e6)
    assert neighbours.busy_gpus() == {"GPU-a"}
    nvidia_smi(tmp_path, monkeypatch, "GPU-a, 2\n", "")
    assert neighbours.busy_gpus() == {"GPU-a"}


def test_a_machine_without_gpus_has_its_one_slot(tmp_path: Path) -> None:
    executor = LocalExecutor("local", tmp_path, sys.executable, {}, [Slot("cpu", 0, 8.0)])
    assert [slot.name for slot in executor.slots()] == ["cpu"]
