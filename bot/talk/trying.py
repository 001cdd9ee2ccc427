"""Words about trained models → a Request: `ask [RUN] QUESTION`, `compare RUN RUN`. Pure."""

from dataclasses import dataclass

from engine.refusal import Refusal
from engine.store import is_run_id


@dataclass(frozen=True)
class Ask:
    """Put a question to a run's model and to its base; without one, load them. An empty `run` is the thread's."""

    run: str
    question: str = ""


@dataclass(frozen=True)
class Compare:
    runs: tuple[str, str]


WORDS = ("ask", "compare")


def parse(word: str, rest: str) -> Ask | Compare:
    """`ask 7 why is that?` asks run 7; without a number the question goes to the run of the thread. Raises Refusal."""
    if word == "compare":
        numbers = [_number(each) for each in rest.split()]
        if len(numbers) != 2 or not all(map(is_run_id, numbers)):
            raise Refusal("Which two runs? For example `/finetune compare 3 5`; `/finetune list` shows them.", "run")
        return Compare((numbers[0], numbers[1]))
    run, _, question = rest.strip().partition(" ")
    return Ask(_number(run), question.strip()) if is_run_id(_number(run)) else Ask("", rest.strip())


def _number(word: str) -> str:
    return word.lstrip("#").removeprefix("run-")
