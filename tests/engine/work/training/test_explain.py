"""What a person reads of an error that nobody foresaw names no folder of this machine."""

from engine.work.training.task import explain


def test_a_path_is_told_by_its_last_part() -> None:
    reason = explain(FileNotFoundError(2, "No such file or directory", "/srv/tt/data/runs/7/data/train.arrow")).reason
    assert "train.arrow" in reason and "/srv" not in reason


def test_an_address_stays_as_it_is() -> None:
    assert "https://hub.example/org/base" in explain(OSError("cannot load https://hub.example/org/base")).reason
