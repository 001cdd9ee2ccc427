"""What attempts report is read back whole, whatever happened to the file."""

from pathlib import Path

from engine.events import EventLog, read_events


def test_a_line_that_a_full_disk_cut_is_passed_over(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "7", "train-1")
    log.write("started", steps=3)
    with log.path.open("ab") as file:
        file.write(b'{"v": 1, "run": "7", "att\n\xff\n[]\n')
    log.write("step", step=1)
    assert [event.kind for event in read_events(log.path)] == ["started", "step"]
    assert EventLog(tmp_path, "7", "train-1").seq == 2


def test_line_separators_in_a_text_do_not_cut_it(tmp_path: Path) -> None:
    EventLog(tmp_path, "7", "train-1").write("warning", text="a\u2028b\u0085c")
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event.data["text"] == "a\u2028b\u0085c"
