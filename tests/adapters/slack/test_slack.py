"""What the bot says in Slack, and the files that go both ways."""

from pathlib import Path

import pytest

from adapters.chat.slack.blocks import blocks, fallback
from adapters.chat.slack.pace import Pace
from bot.chat import (
    Button,
    Chart,
    Denied,
    File,
    Gone,
    Message,
    Person,
    Place,
    Table,
    TryLater,
    Upload,
)
from engine.refusal import Refusal
from tests.adapters.slack import lines
from tests.adapters.slack.ears import ears
from tests.twins.slack import limits
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin

ANN = Person("U1", "ann")
PLACE = Place("T1/C1")
NAUGHTY = (
    "<!channel> <!here> <!everyone> <@U1> <@U2|bob> <!subteam^S1> <http://evil|slack.com> @here *x* _y_ ~z~ `q` "
    "& &lt;!channel&gt; \x00\x1b[2J \u202eevil\u202c <script>alert(1)</script> \ud83d\ude00".encode(
        "utf-16", "surrogatepass"
    ).decode("utf-16")
)


def everything(text: str) -> Message:
    """A message with the same words in each of its parts."""
    table = Table((text, "b"), ((text, ""), ("", text)), text)
    return Message("k", text, text, ((text, text),), table, text, (Button(text, text[:50], "primary"),))


async def test_words_that_would_ping_everybody_ping_nobody(there: Twin) -> None:
    chat = lines.chat(there)
    posted = await chat.post(PLACE, everything(NAUGHTY))
    await chat.edit(posted, everything(NAUGHTY))
    await chat.post(PLACE, Message("private", NAUGHTY, only_for=ANN))
    assert there.at.pings == {}
    assert there.at.messages["C1"][0]["text"].count("<") == 0


async def test_links_show_no_previews_and_names_are_not_turned_into_mentions(there: Twin) -> None:
    """In every way of saying something that Slack has."""
    chat = lines.chat(there)
    posted = await chat.post(PLACE, Message("k", "https://evil.example @ann"))
    await chat.edit(posted, Message("k", "https://evil.example @bob"))
    await chat.post(PLACE, Message("private", "https://evil.example @ann", only_for=ANN))
    said = [(method, form) for method, form in there.at.calls if method.startswith("chat.")]
    assert [method for method, _ in said] == ["chat.postMessage", "chat.update", "chat.postEphemeral"]
    assert all((form["parse"], form["link_names"]) == ("none", "false") for _, form in said)
    assert (said[0][1]["unfurl_links"], said[0][1]["unfurl_media"]) == ("false", "false")


async def test_a_mention_pings_the_one_who_is_meant(there: Twin) -> None:
    await lines.chat(there).post(PLACE, Message("k", "done", mentions=(ANN,)))
    assert there.at.pings == {"U1": 1}


def test_what_a_telephone_shows_says_who_is_meant_and_the_outcome_first() -> None:
    message = Message("k", "sft on a.csv", "Run 7 succeeded", (("Held-out loss", "2 → 1"),), mentions=(ANN,))
    assert fallback(message) == "<@U1> Run 7 succeeded\nsft on a.csv\nHeld-out loss: 2 → 1"


@pytest.mark.parametrize("size", [0, 1, 75, 3000, 20_000])
def test_a_message_of_any_size_keeps_slacks_limits(size: int) -> None:
    text = "x" * size
    table = Table(tuple("abc"), ((text, "b", "c"),) * 300, text)
    fields = ((text, text),) * 30
    message = Message("k", text, text, fields, table, text, (Button(text or "b", "a", "danger"),) * 40)
    limits.check(blocks(message))
    limits.check(blocks(message, has_table=False))
    assert len(fallback(message)) <= 4000


async def test_where_slack_refuses_the_table_the_message_stands_in_plainer_blocks(there: Twin) -> None:
    there.at.faults["chat.postMessage"].append("invalid_blocks")
    await lines.chat(there).post(PLACE, Message("k", "x", table=Table(("Line",), (("12",),))))
    assert "12" in limits.texts(there.at.messages["C1"][0]["blocks"])


@pytest.mark.parametrize("has_charts", [True, False])
async def test_a_chart_is_drawn_by_slack_or_shown_as_a_picture(there: Twin, tmp_path: Path, has_charts: bool) -> None:
    there.at.has_charts = has_charts
    (tmp_path / "a.png").write_bytes(b"png")
    chart = Chart("Loss by step", tuple((str(n), 1 / (n + 1)) for n in range(60)), "loss.png")
    chat = lines.chat(there)
    for key in ("a", "b"):
        await chat.post(PLACE, Message(key, "done", files=(File("loss.png", tmp_path / "a.png"),), chart=chart))
    drawn = [b for said in there.at.messages["C1"] for b in said.get("blocks", ()) if b["type"] == "data_visualization"]
    shared = [file["name"] for said in there.at.messages["C1"] for file in said.get("files", ())]
    assert (len(drawn), shared) == ((2, []) if has_charts else (0, ["loss.png", "loss.png"]))
    tried = [method for method, _ in there.at.calls].count("chat.postMessage")
    assert tried == (2 if has_charts else 3), "a workspace that takes no charts is not asked again and again"


async def test_a_post_whose_answer_was_lost_is_found_again(there: Twin) -> None:
    chat = lines.chat(there)
    chat.posted.look_back_s = 0.0
    there.at.faults["chat.postMessage"].append("lost")
    with pytest.raises(TryLater):
        await chat.post(PLACE, Message("k", "once"))
    posted = await chat.post(PLACE, Message("k", "once"))
    assert [f"C1/{message['ts']}" for message in there.at.messages["C1"]] == [posted]


async def test_a_file_is_attached_once_even_when_the_bot_died_in_between(there: Twin, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")
    message = Message("k", "x", files=(File("loss.png", tmp_path / "a.png"),))
    there.at.faults["files.completeUploadExternal"].append("500")
    with pytest.raises(TryLater):
        await lines.chat(there).post(PLACE, message)
    for _ in range(2):
        await lines.chat(there).post(PLACE, message)
    shared = [file["name"] for said in there.at.messages["C1"] for file in said.get("files", ())]
    assert shared == ["loss.png"]


async def test_slack_is_not_asked_again_before_the_time_it_named(there: Twin) -> None:
    chat = lines.chat(there)
    there.at.faults["chat.postMessage"].append("429:30")
    for _ in range(2):
        with pytest.raises(TryLater):
            await chat.post(PLACE, Message("k", "x"))
    assert [method for method, _ in there.at.calls].count("chat.postMessage") == 1


def test_twenty_living_messages_share_what_one_workspace_may_edit() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    edits, due = 0, {f"m{n}": 0.0 for n in range(20)}
    while now < 300:
        for name, at in due.items():
            if now >= at:
                due[name] = now + pace.gap(name)
                try:
                    pace.take("chat.update", "C1")
                    edits += 1
                except TryLater as wait:
                    due[name] = now + wait.seconds
        now += 0.5
    assert 100 < edits <= 10 + 300 * 40 / 60


# ---- files


async def test_a_file_that_somebody_deleted_is_gone(there: Twin, hands: Hands, tmp_path: Path) -> None:
    file = there.at.keep("a.csv", b"text\n", "U1")
    hands.removes(file)
    with pytest.raises(Gone):
        await lines.chat(there).download(Upload(file.facts["id"], "a.csv", 5), tmp_path / "f")


async def test_slacks_sign_in_page_is_not_a_dataset(there: Twin, tmp_path: Path) -> None:
    file = there.at.keep("a.csv", b"text\n", "U1")
    file.page = "<!DOCTYPE html><html>Sign in</html>"
    with pytest.raises(Denied, match="files:read"):
        await lines.chat(there).download(Upload(file.facts["id"], "a.csv", 5), tmp_path / "f")


@pytest.mark.parametrize(
    "url", ["https://drive.example/a.csv", "https://slack.com.evil.example/a", "http://files.slack.com/a"]
)
async def test_the_token_is_sent_to_slack_alone(there: Twin, tmp_path: Path, url: str) -> None:
    file = there.at.keep("a.csv", b"text\n", "U1", url_private=url, url_private_download=url)
    with pytest.raises(Refusal, match="outside Slack"):
        await lines.chat(there).download(Upload(file.facts["id"], "a.csv", 5), tmp_path / "f")


async def test_a_file_of_another_workspace_arrives_with_its_name_and_size(there: Twin, hands: Hands) -> None:
    file = there.at.keep("far.csv", b"text\nhi\n", "U1")
    bare = {"id": file.facts["id"], "mode": "file_access", "file_access": "check_file_info"}
    async with ears(lines.chat(there)) as those:
        hands.says("U1", "C1", "", files=[bare])
        (incoming,) = await those.hears(1)
    assert incoming.what == Upload(file.facts["id"], "far.csv", 8)
