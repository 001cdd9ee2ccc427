"""Turn markers in a text, and lists of messages, become conversations; what is none stays text."""

import pytest

from engine.data.turns import BadMessages, faults_of, messages_of, parse_turns, style_of, unescape

TURNS = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi there"}]


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("human/bot", "human: hello \\n bot: hi there"),
        ("human/bot", "human: hello \n bot: hi there"),
        ("Human/Assistant", "\n\nHuman: hello\n\nAssistant: hi there"),
        ("### Human/### Assistant", "### Human: hello### Assistant: hi there"),
        ("### Human/### Assistant", "### Human: hello\n### Assistant: hi there"),
        ("### Instruction/### Response", "### Instruction:\nhello\n\n### Response:\nhi there"),
        ("User/Assistant", "User: hello\nAssistant: hi there"),
        ("Q/A", "Q: hello\nA: hi there"),
    ],
)
def test_turn_markers_make_a_conversation(style: str, text: str) -> None:
    assert style_of(text) == style
    assert parse_turns(text) == TURNS


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "human: hello",
        "bot: hi \n human: hello",
        "human: a \n human: b",
        "human: \n bot: b",
        "The user: hello, the bot: hi",
        "human: he said bot: hi",
    ],
)
def test_what_is_no_conversation_stays_text(text: str) -> None:
    assert parse_turns(text) is None


def test_several_turns_are_kept_in_order() -> None:
    messages = parse_turns("human: a \\n bot: b \\n human: c \\n bot: d")
    assert messages is not None
    assert [message["content"] for message in messages] == ["a", "b", "c", "d"]


def test_unescaping_leaves_commands_of_latex_alone() -> None:
    assert unescape("a\\nb \\nabla c \\neq d") == "a\nb \\nabla c \\neq d"


def test_both_forms_of_messages_are_read() -> None:
    assert messages_of([{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi there"}]) == TURNS
    assert messages_of('[{"role":"user","content":"hello"},{"role":"assistant","content":"hi there"}]') == TURNS


@pytest.mark.parametrize("value", ["text", [], [7], [{"role": "x", "content": "a"}], [{"role": "user", "content": 7}]])
def test_what_is_no_list_of_messages_is_said_to_be_none(value: object) -> None:
    with pytest.raises(BadMessages):
        messages_of(value)


def test_odd_conversations_are_named() -> None:
    user, bot = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    assert [fault.code for fault in faults_of([user, bot])] == []
    assert [fault.code for fault in faults_of([user])] == ["bad_messages"]
    assert [fault.code for fault in faults_of([bot])] == ["turn_order"]
    assert [fault.code for fault in faults_of([{**user, "content": " "}, bot])] == ["empty_turn"]
