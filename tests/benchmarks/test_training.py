"""The rows of the training benchmarks, their ratios, and the command for a GPU on a machine without one."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.train import TARGETS, Figures, ratios
from benchmarks.train_files import pair_rows, text_rows

ROOT = Path(__file__).parents[2]


def figures(wall_s: float, peak_mb: float = 1000.0, held_out: float = 2.0, *losses: float) -> Figures:
    return Figures("x", wall_s, wall_s, 1.0, wall_s, peak_mb, held_out, list(losses))


def test_the_rows_are_the_same_each_time_and_ragged() -> None:
    rows = text_rows(200, 1)
    assert rows == text_rows(200, 1) != text_rows(200, 2)
    lengths = sorted(len(str(row["text"]).split()) for row in rows)
    assert lengths[0] < 30 < lengths[100] < 120 < lengths[-1] <= 400
    (pair,) = pair_rows(1, 1)
    assert pair["chosen"] != pair["rejected"] and str(pair["chosen"]).startswith(" ")


def test_the_ratios_are_ours_over_theirs_and_each_target_has_one() -> None:
    text = [figures(30, 800, 2.02, 3.0, 2.5), figures(25, 800, 2.02, 3.0005, 2.5), figures(60, 800, 2.0)]
    found = ratios(text, [figures(20), figures(40)], [figures(9, 1500), figures(9, 6500)], 500)
    assert set(found) == set(TARGETS) - {"sft: wall, ours / autotrain"}
    assert found["sft: wall, ours / trl sft"] == 0.5
    assert round(found["sft: held-out loss, ours / trl sft - 1"], 6) == 0.01
    assert round(found["sft: greatest difference of a step's loss, ours and raw"], 6) == 0.0005
    assert found["dpo: wall, ours / TRL"] == 0.5
    assert round(found["orpo: peak memory beyond a bare start, ours / TRL"], 3) == 0.167


def test_without_a_gpu_the_command_for_one_says_so_and_writes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "transcript.md")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 2
    assert "There is no GPU here" in done.stderr
    assert not list(tmp_path.iterdir())
