"""Words become requests; what cannot be understood says what would be."""

import pytest

from bot.talk.commands import Cancel, Example, Help, Logs, Plan, Push, Request, Resume, Retry, Show, parse
from engine.refusal import Refusal


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("sft", Plan("sft")),
        ("SFT  model=org/name", Plan("sft", model="org/name")),
        ("llm-dpo epochs=2 lr=1e-5", Plan("dpo", options={"epochs": "2", "lr": "1e-5"})),
        ("generic file=a.csv", Plan("clm", file="a.csv")),
        ("dpo text=answer prompt=question", Plan("dpo", columns={"text": "answer", "prompt": "question"})),
        ('sft file="my file.csv" valid=10%', Plan("sft", file="my file.csv", options={"valid": "10%"})),
        ("", Help()),
        ("sft repo=acme/mine push=pr", Plan("sft", repo="acme/mine", push="pr")),
        ("sft push=off", Plan("sft", push="off")),
        ("help dpo", Help("dpo")),
        ("status", Show()),
        ("status 7", Show("7")),
        ("status #7", Show("7")),
        ("cancel 7", Cancel("7")),
        ("cancel 7 save", Cancel("7", wants_save=True)),
        ("logs 7", Logs("7")),
        ("resume 7", Resume("7")),
        ("retry #7 epochs=2", Retry("7", {"epochs": "2"})),
        ("push 7", Push("7")),
        ("example reward", Example("reward")),
    ],
)
def test_words_become_a_request(text: str, request_: Request) -> None:
    assert parse(text) == request_


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("dop", "method", "Did you mean `dpo`?"),
        ("stf epochs=2", "method", "Did you mean `sft`?"),
        ("bananas", "method", "These words work: sft"),
        ("example dop", "method", "Did you mean `dpo`?"),
        ("sft epochs", "epochs", "`name=value`"),
        ("sft epoch=2", "epoch", "epochs"),
        ("sft epochs=lots", "epochs", "epochs"),
        ("sft push=away", "push", "none of on, off, pr"),
        ("sft push=pr", "repo", "repo=namespace/name"),
        ("cancel", "run", "/finetune cancel 7"),
        ("cancel seven", "run", "runs are numbers"),
        ("status ²", "run", "runs are numbers"),
    ],
)
def test_what_is_not_understood_says_what_would_be(text: str, field: str, says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(text)
    assert says in refusal.value.text
    assert refusal.value.field == field
