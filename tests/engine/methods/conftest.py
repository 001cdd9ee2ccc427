"""Base models and rows for tiny trainings; shared with the tests of the child that trains."""

from pathlib import Path

import pytest

from tests.mini import Row, make_causal, make_masked

TEXTS = [f"human: hello {number} bot: nice to meet you, go away" for number in range(40)]


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


@pytest.fixture(scope="session")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_masked(tmp_path_factory.mktemp("masked"), TEXTS)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a masked-LM head, as sentence embedders are."""
    return make_masked(tmp_path_factory.mktemp("encoder"), TEXTS, has_head=False)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def rows_for(method: str, count: int = 16) -> list[Row]:
    """Rows in the trainer's columns."""
    return [row_for(method, number) for number in range(count)]


def row_for(method: str, number: int) -> Row:
    hello, nice, bad = f"hello {number}", "nice to meet you", f"go away {number}"
    match method:
        case "sft":
            return {"messages": [user(hello), assistant(nice)]}
        case "clm" | "mlm":
            return {"text": f"human: {hello} bot: {nice}"}
        case "reward":
            return {"chosen": [user(hello), assistant(nice)], "rejected": [user(hello), assistant(bad)]}
        case "kto":
            answer = nice if number % 2 else bad
            return {"prompt": [user(hello)], "completion": [assistant(answer)], "label": bool(number % 2)}
        case "dpo":
            return {"prompt": [user(hello)], "chosen": [assistant(nice)], "rejected": [assistant(bad)]}
        case _:
            return {"prompt": hello, "chosen": f" {nice}", "rejected": f" {bad}"}
