"""What Slack delivers: events again and again, forged requests, slash commands, forms, buttons."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from adapters.chat.slack.chat import SlackChat
from bot.chat import (
    Button,
    Command,
    Gone,
    Message,
    MessageId,
    Place,
    Press,
    Upload,
)
from engine.refusal import Refusal
from tests.adapters.slack import lines
from tests.adapters.slack.ears import ears
from tests.contract.chat import eventually
from tests.twins.slack.delivery import encoded
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import BOT, Channel, Payload

# ---- what is delivered


async def test_bots_are_not_listened_to(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there)) as those:
        hands.says("U0BOT", "C1", "<@U0BOT> help", bot_id="B0BOT")
        hands.says("U9", "C1", "<@U0BOT> help", bot_id="B9")
        hands.says("U1", "C1", "nothing for the bot")
        hands.says("U1", "C1", "<@U0BOT> list")
        assert [incoming.what for incoming in await those.hears(1)] == [Command("list")]


async def test_what_is_said_in_a_thread_is_heard_in_order(there: Twin, hands: Hands) -> None:
    """Over the socket: requests over HTTP come in any order that the network gives them."""
    async with ears(lines.chat(there)) as those:
        ts = hands.says("U1", "C1", "a thread")
        words = [f"status {n}" for n in range(1, 13)]
        for text in words:
            hands.says("U1", "C1", f"<@U0BOT> {text}", ts)
        heard = await those.hears(len(words))
    assert [incoming.what for incoming in heard] == [Command(text) for text in words]


async def test_several_files_of_one_message_are_all_taken_and_then_its_words(there: Twin, hands: Hands) -> None:
    files = [there.at.keep(name, b"text\n", "U1").facts for name in ("a.csv", "b.jsonl")]
    async with ears(lines.chat(there)) as those:
        hands.says("U1", "C1", "<@U0BOT> sft", files=files)
        heard = await those.hears(3)
    assert [what.name if isinstance(what := one.what, Upload) else what for one in heard] == [
        "a.csv", "b.jsonl", Command("sft"),
    ]  # fmt: skip
    assert len({one.key for one in heard}) == 3


@pytest.mark.parametrize("line", lines.LINES)
async def test_what_could_not_be_stored_is_delivered_again(there: Twin, hands: Hands, line: str) -> None:
    there.delivery.ladder_s = 0.0
    chat = lines.chat(there, line)
    async with ears(chat) as those:
        await asyncio.sleep(0.1)
        those.failures = 1
        hands.says("U1", "D1", "list")
        assert len(await those.hears(1)) == 1


async def test_a_lost_acknowledgement_stores_nothing_twice(there: Twin, hands: Hands) -> None:
    there.delivery.lost_acks, there.delivery.ladder_s = 2, 0.0
    async with ears(lines.chat(there)) as those:
        hands.says("U1", "D1", "list")
        await eventually(lambda: len(there.delivery.told) == 1)
        assert len(those.heard) == 1 and len(there.delivery.tries) == 3


async def test_a_renewed_connection_loses_nothing(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there)) as those:
        await eventually(lambda: bool(there.delivery.sockets))
        await there.delivery.disconnect()
        hands.says("U1", "D1", "list")
        await those.hears(1)


async def test_a_request_that_is_forged_or_old_is_turned_away(there: Twin, hands: Hands) -> None:
    body, kind = encoded({"type": "event_callback", "event": {"type": "message", "channel": "C1", "ts": "1.1"}})
    async with ears(lines.chat(there, "http")) as those:
        hands.says("U1", "D1", "list")
        await those.hears(1)
        assert await there.delivery.request(body, kind, {}, at=time.time() - 400) is None
        there.at.signing_secret = "another"
        assert await there.delivery.request(body, kind, {}) is None


async def test_a_token_that_slack_does_not_take_ends_the_bot_with_a_sentence(there: Twin) -> None:
    for name, setting in (("bot_token", "SLACK_BOT_TOKEN"), ("app_token", "SLACK_APP_TOKEN")):
        wrong = lines.settings(there, "socket").model_copy(update={name: SecretStr("xoxb-wrong")})
        with pytest.raises(Refusal, match=setting):
            await SlackChat(wrong).listen(lambda _: asyncio.sleep(0), "")


# ---- slash commands, forms, buttons


async def test_a_slash_command_is_answered_to_who_typed_it(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    async with ears(chat) as those:
        hands.slash("U1", "C1", "list")
        (incoming,) = await those.hears(1)
        await chat.post(incoming.place, Message("k", "no runs yet"))
    assert [shown.text for shown in hands.sees("U1")] == ["no runs yet"]
    assert hands.sees("U2") == []


async def test_a_wrong_word_is_refused_in_the_acknowledgement(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there)) as those:
        hands.slash("U1", "C1", "dop")
        await eventually(lambda: any("Did you mean `dpo`?" in shown.text for shown in hands.sees("U1")))
        assert those.heard == []


async def opened(there: Twin) -> Payload:
    await eventually(lambda: bool(there.at.views))
    return dict(next(iter(there.at.views.values())))


async def test_a_form_shows_its_errors_at_their_field_and_ends_in_the_same_words(there: Twin, hands: Hands) -> None:
    hands.drops("U2", "C1", "pairs.csv", b"prompt,text,rejected_text\n")
    file = next(iter(there.at.files))
    chosen = {"file": {"selected_option": {"value": file}}}
    async with ears(lines.chat(there)) as those:
        await those.hears(1)
        hands.slash("U1", "C1", "dpo valid=10%")
        view = await opened(there)
        hands.submits("U1", view, {**chosen, "epochs": {"value": "many"}})
        await eventually(lambda: bool(there.at.form_errors))
        assert list(there.at.form_errors[0]) == ["epochs"]
        hands.submits("U1", view, {**chosen, "epochs": {"value": "2"}})
        _, upload, command = await those.hears(3)
    card = there.at.messages["C1"][-1]
    assert card["text"].startswith("ann · dpo epochs=2 valid=10% · pairs.csv")
    assert upload.place == command.place == Place(f"T1/C1/{card['ts']}")
    assert (upload.what, command.what) == (Upload(file, "pairs.csv", 26), Command("dpo epochs=2 valid=10%"))


@pytest.mark.parametrize("line", lines.LINES)
async def test_where_the_bot_is_not_it_says_to_who_asked_how_to_invite_it(there: Twin, hands: Hands, line: str) -> None:
    """By the slash command and by the shortcut, which Slack offers in channels that the app is not in."""
    there.at.channels["C4"] = Channel("C4", "secret", {"U1", "U2"}, is_private=True)
    ts = hands.drops("U2", "C3", "pairs.csv", b"prompt,text,rejected_text\n")
    async with ears(lines.chat(there, line)) as those:
        hands.slash("U1", "C3", "sft")
        hands.slash("U1", "C4", "")
        hands.shortcut("U1", "C3", ts)
        await eventually(lambda: len(hands.sees("U1")) == 3)
    assert all("/invite @threadtune" in shown.text for shown in hands.sees("U1"))
    assert {shown.channel for shown in hands.sees("U1")} == {"C3", "C4"}
    assert (hands.sees("U2"), there.at.views, those.heard) == ([], {}, [])


async def test_a_bot_that_was_put_out_while_the_form_was_open_says_so_in_the_form(there: Twin, hands: Hands) -> None:
    there.at.keep("a.csv", b"text\n", "U1")
    file = {"upload": {"files": [{"id": next(iter(there.at.files))}]}}
    async with ears(lines.chat(there)):
        hands.slash("U1", "C1", "sft")
        view = await opened(there)
        there.at.channels["C1"].members.discard(BOT)
        hands.submits("U1", view, file)
        await eventually(lambda: bool(there.at.form_errors))
    assert "/invite @threadtune" in there.at.form_errors[0]["method"]


async def test_a_command_between_two_other_people_is_answered_in_the_bots_direct_messages(
    there: Twin, hands: Hands
) -> None:
    there.at.channels["D9"] = Channel("D9", "", {"U1", "U2"})
    async with ears(lines.chat(there)) as those:
        hands.slash("U1", "D9", "list")
        (incoming,) = await those.hears(1)
    assert incoming.place == Place("T1/D1")


async def searched(there: Twin, hands: Hands, view: Payload, text: str) -> list[str]:
    before = len(there.at.suggested)
    hands.searches("U1", view, "model", text)
    await eventually(lambda: len(there.at.suggested) > before)
    return there.at.suggested[-1]


@pytest.mark.parametrize("line", lines.LINES)
async def test_the_base_model_is_searched_for_by_what_is_typed(there: Twin, hands: Hands, line: str) -> None:
    async with ears(lines.chat(there, line)):
        hands.slash("U1", "C1", "sft")
        view = await opened(there)
        found = [await searched(there, hands, view, text) for text in ("", "QWEN", "acme/our-own", "no such model")]
    everything, qwen, own, nothing = found
    assert everything and qwen and set(qwen) < set(everything) and all("qwen" in name.lower() for name in qwen)
    assert (own, nothing) == (["acme/our-own"], [])


async def test_a_form_in_direct_messages_is_answered_there(there: Twin, hands: Hands) -> None:
    file = there.at.keep("a.csv", b"text\nhi\n", "U1").facts["id"]
    async with ears(lines.chat(there)) as those:
        hands.slash("U1", "D1", "sft")
        given: dict[str, Payload] = {
            "upload": {"files": [{"id": file}]},
            "model": {"selected_option": {"value": "acme/base"}},
        }
        hands.submits("U1", await opened(there), given)
        upload, command = await those.hears(2)
    assert upload.place == command.place == Place("T1/D1")
    assert command.what == Command("sft model=acme/base")


async def test_the_shortcut_plans_on_the_messages_file_in_its_thread(there: Twin, hands: Hands) -> None:
    ts = hands.drops("U2", "C1", "pairs.csv", b"prompt,text,rejected_text\n")
    async with ears(lines.chat(there)) as those:
        await those.hears(1)
        hands.shortcut("U1", "C1", ts)
        method = {"method": {"selected_option": {"value": "orpo"}}}
        hands.submits("U1", await opened(there), method)
        _, _, command = await those.hears(3)
    assert command.what == Command("orpo") and command.place == Place(f"T1/C1/{ts}")


async def test_a_private_answer_is_said_anew_when_it_changes(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    posted = await chat.post(Place("T1/C1/@U1"), Message("k", "old"))
    await chat.edit(posted, Message("k", "new"))
    assert [shown.text for shown in hands.sees("U1")] == ["old", "new"]


async def test_a_channel_may_be_named_as_people_name_it(there: Twin) -> None:
    posted = await lines.chat(there).post(Place("#team"), Message("k", "a card"))
    assert posted.startswith("C2/")
    with pytest.raises(Gone):
        await lines.chat(there).post(Place("#nowhere"), Message("k", "a card"))
    with pytest.raises(Gone):
        await lines.chat(there).edit(MessageId("C1/1.1"), Message("k", "a card"))


async def test_the_home_tab_and_the_first_words_in_a_channel(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there)) as those:
        hands.opens_home("U1")
        hands.invites("C3")
        await eventually(lambda: "U1" in there.at.homes and bool(there.at.messages["C3"]))
    assert "/finetune example dpo" in hands.sees("U1")[0].all
    assert all(incoming.place.id.startswith("T1/~U1/") for incoming in those.heard)


async def test_a_button_of_the_bot_is_a_press_in_its_thread(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    place = Place(f"T1/C1/{hands.says('U1', 'C1', 'a thread')}")
    posted = await chat.post(place, Message("k", "Start it?", buttons=(Button("Start", "start:1"),)))
    async with ears(chat) as those:
        await eventually(lambda: bool(there.delivery.sockets))
        hands.press_label("U2", hands.sees("U2")[0], "Start")
        (incoming,) = await those.hears(1)
    assert (incoming.what, incoming.place, incoming.person.name) == (Press("start:1"), place, "bob")
    assert posted.startswith("C1/")
