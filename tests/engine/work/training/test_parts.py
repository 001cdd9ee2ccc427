"""Checkpoints, the watch on the loop, failures in words, questions and the picture."""

import os
from collections import deque
from pathlib import Path

import pytest

from engine.events import EventLog
from engine.work.plot import plot
from engine.work.training import samples
from engine.work.training.checkpoints import MANIFEST, is_whole, last_good, mark_complete
from engine.work.training.task import Failure, explain, is_out_of_memory

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "weights").write_bytes(b"x" * 100)
    mark_complete(path)
    return path


def test_the_last_good_checkpoint_is_the_latest_whole_one(tmp_path: Path) -> None:
    assert last_good(tmp_path) is None
    first, second, third = (checkpoint(tmp_path, step) for step in (9, 10, 100))
    assert last_good(tmp_path) == third
    os.truncate(third / "weights", 50)
    assert last_good(tmp_path) == second
    (second / MANIFEST).unlink()
    assert last_good(tmp_path) == first
    (first / "weights").unlink()
    assert not is_whole(first)
    (first / MANIFEST).write_text("{torn")
    assert last_good(tmp_path) is None


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_is_known_by_its_words(error: Exception) -> None:
    assert is_out_of_memory(error)
    failure = explain(error)
    assert failure.code == "memory"
    assert "batch_size" in failure.reason


def test_other_errors_are_explained_in_a_sentence() -> None:
    assert explain(Failure("nan", "gone")).code == "nan"
    assert "disk is full" in explain(RuntimeError("PytorchStreamWriter: unexpected pos 64 vs 0")).reason
    assert explain(KeyError("x")).reason == "The training broke with KeyError: 'x'. The log has the rest."


def test_the_stop_file_is_read_in_words(tmp_path: Path) -> None:
    from engine.work.training.loop import asked_to_stop

    assert asked_to_stop(tmp_path) == ""
    for text, word in (("save\n", "save"), ("drop", "drop"), ("", "drop")):
        (tmp_path / "stop").write_text(text)
        assert asked_to_stop(tmp_path) == word


def test_speed_is_that_of_the_recent_steps() -> None:
    from engine.work.training.loop import speed

    assert speed(deque([(10.0, 100), (12.0, 300), (14.0, 500)])) == (2.0, 100.0)
    assert speed(deque([(10.0, 100)]))[1] == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_none_ends_the_training(value: float) -> None:
    from engine.work.training.loop import check_finite

    check_finite(1, 0.5, 1.0)
    for figures in ((value, 1.0), (0.5, value)):
        with pytest.raises(Failure, match="step 3"):
            check_finite(3, *figures)


@pytest.mark.parametrize(
    ("text", "start", "answer"),
    [
        ("human: hello \n bot: hi there", "human: hello \n bot:", "hi there"),
        (
            "### Human: a? ### Assistant: b ### Human: c? ### Assistant: d",
            "### Human: a? ### Assistant: b ### Human: c? ### Assistant:",
            "d",
        ),
        ("one two three four", "one two", "three four"),
        ("word", "word", ""),
    ],
)
def test_a_plain_text_is_asked_up_to_its_last_answer_or_its_middle(text: str, start: str, answer: str) -> None:
    assert samples.split_text(text) == (start, answer)


def test_questions_are_spread_over_the_held_out_rows() -> None:
    held_out = [{"row": number} for number in range(20)]
    chosen, are_held_out = samples.choose(held_out, [])
    assert [row["row"] for row in chosen] == [0, 4, 8, 12, 16]
    assert are_held_out
    assert samples.choose([], held_out[:3]) == (held_out[:3], False)


def test_a_curve_is_drawn_from_events(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r", "train-1")
    for step in range(1, 30):
        log.write("step", step=step, loss=3 / step)
    log.write("evaluated", step=0, eval_loss=2.0)
    log.write("evaluated", step=29, eval_loss=1.0)
    plot(tmp_path, tmp_path / "loss.png", "sft on org/model")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path).encode() not in (tmp_path / "loss.png").read_bytes()


def test_a_curve_without_a_step_is_an_empty_picture(tmp_path: Path) -> None:
    plot(tmp_path, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000
