"""What is said of runs: a log without tracebacks."""

from bot.talk.runs.shown import without_tracebacks

LOG = """loading
Traceback (most recent call last):
  File "/srv/threadtune/engine/work/train.py", line 60, in train
    return carry_out(task)

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/threadtune/engine/work/train.py", line 61, in train
KeyError: 'text'
the end
"""


def test_a_traceback_is_reduced_to_the_line_that_names_its_error() -> None:
    shown = "".join(without_tracebacks(LOG.splitlines(keepends=True)))
    assert "KeyError: 'text'" in shown and shown.startswith("loading") and shown.endswith("the end\n")
    assert "/srv" not in shown and "Traceback" not in shown
