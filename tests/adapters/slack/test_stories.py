"""The whole bot in Slack's twin: from a dropped file to a model and the team's card, and what may come in between."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.adapters.slack import lines
from tests.adapters.slack.room import FACTS, SMALL, bot, chosen, form, sees
from tests.adapters.slack.unlucky import Unlucky
from tests.contract.chat import eventually
from tests.e2e.crowd import served
from tests.e2e.house import hub
from tests.naughty import NAUGHTY, PINGS
from tests.twins.slack import limits
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import Payload

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as there:
        yield there


@pytest.mark.parametrize("line", lines.LINES)
async def test_a_dropped_file_becomes_a_model_with_one_ping_and_a_card(
    tmp_path: Path, there: Twin, hands: Hands, line: str, endpoint: tuple[str, str]
) -> None:
    """A file with mistakes, mended by a button, planned, started by two people at once after the bot was restarted; the
    model is tried in its thread."""
    there.at.has_charts = line == "socket"
    settings = chosen(tmp_path, endpoint)
    broken = FACTS.replace(b"text\n", b"Text \n") + FACTS.splitlines(keepends=True)[1]
    async with bot(settings, there, line):
        ts = hands.drops("U1", "C1", "facts.csv", broken)
        report = await sees(hands, lambda shown: "facts.csv" in shown.title)
        assert report.thread == ts
        fix = next(label for label in report.buttons if not label.startswith("Plan"))
        hands.press_label("U1", report, fix)
        await sees(hands, lambda shown: "facts.fixed.csv is ready for" in shown.title)
        await sees(hands, lambda shown: "facts.fixed.csv" in shown.files)
        hands.says("U1", "C1", f"<@U0BOT> sft {SMALL}", ts)
        await sees(hands, lambda shown: "Start" in shown.buttons)
    async with bot(settings, there, line):
        plan = await sees(hands, lambda shown: "Start" in shown.buttons)
        hands.press_label("U1", plan, "Start")
        hands.press_label("U2", plan, "Start")
        final = await sees(hands, lambda shown: shown.title == "Run 1 succeeded" and shown.channel == "C1")
        assert final.thread == ts
        assert any(label.startswith("Try") for label in final.buttons)
        card = await sees(hands, lambda shown: shown.channel == "C2")
        assert "Run 1 succeeded" in card.all
        if there.at.has_charts:
            assert "data_visualization" in [block["type"] for block in there.at.message("C1", final.ts)["blocks"]]
        else:
            await sees(hands, lambda shown: "run-1-loss.png" in shown.files)
        living = await sees(hands, lambda shown: shown.title == "Run 1 · succeeded")
        assert len([shown for shown in hands.sees("U1") if shown.title.startswith("Run 1 ·")]) == 1
        assert there.at.edits[living.ts] >= 1
        asked = await tried(there, hands, final, "what is item 3?")
        assert asked.thread == ts and len(asked.table) == 2 and all(asked.table[1])
    assert sum(there.at.pings.values()) == 1
    assert there.at.refused == []


async def tried(there: Twin, hands: Hands, final: Shown, question: str) -> Shown:
    """Try it, then Ask with its form; the message with both answers."""
    hands.press_label("U1", final, "Try it")
    loaded = await sees(hands, lambda shown: "Ask" in shown.buttons)
    there.at.views.clear()
    hands.press_label("U1", loaded, "Ask")
    hands.submits("U1", await form(there), {"question": {"value": question}})
    return await sees(hands, lambda shown: question in shown.text and bool(shown.table))


@pytest.mark.parametrize("line", lines.LINES)
async def test_the_form_becomes_a_run_whose_living_message_a_restart_mends_and_a_press_ends(
    tmp_path: Path, there: Twin, hands: Hands, line: str, endpoint: tuple[str, str]
) -> None:
    settings = chosen(tmp_path, endpoint)
    file = there.at.keep("facts.csv", FACTS, "U1")
    async with bot(settings, there, line):
        hands.slash("U1", "C1", "sft")
        values: dict[str, Payload] = {
            "upload": {"files": [{"id": file.facts["id"]}]},
            "max_length": {"value": "64"},
            "options": {"value": "max_steps=5000 valid=off"},
        }
        hands.submits("U1", await form(there), values)
        plan = await sees(hands, lambda shown: "Start" in shown.buttons)
        card = next(shown for shown in hands.sees("U1") if shown.ts == plan.thread)
        assert card.text.startswith("ann · sft") and "facts.csv" in card.text
        hands.press_label("U1", plan, "Start")
        await sees(hands, lambda shown: shown.title.startswith("Run 1 · ") and "Step" in shown.all)
    async with bot(settings, there, line):
        before = there.at.edits.copy()
        living = await sees(hands, lambda shown: shown.title.startswith("Run 1 · "))
        await sees(hands, lambda shown: there.at.edits[living.ts] > before[living.ts])
        hands.press_label("U1", living, "Cancel")
        final = await sees(hands, lambda shown: shown.title == "Run 1 cancelled" and shown.channel == "C1")
        assert final.thread == plan.thread
        await sees(hands, lambda shown: shown.title == "Run 1 · cancelled" and not shown.buttons)
    assert there.at.refused == []


@pytest.mark.parametrize("line", lines.LINES)
async def test_the_shortcut_and_the_files_that_cannot_be_had(
    tmp_path: Path, there: Twin, hands: Hands, line: str, endpoint: tuple[str, str]
) -> None:
    """Nothing is trained here: plans, and answers to files that Slack does not give."""
    async with bot(chosen(tmp_path, endpoint), there, line):
        ts = hands.drops("U2", "C1", "facts.csv", FACTS)
        await sees(hands, lambda shown: "facts.csv is ready for" in shown.title)
        hands.shortcut("U1", "C1", ts)
        hands.submits("U1", await form(there), {"method": {"selected_option": {"value": "clm"}}})
        plan = await sees(hands, lambda shown: shown.title == "clm: ready to start")
        assert plan.thread == ts
        there.at.views.clear()
        hands.press_label("U1", plan, "Settings")
        hands.submits("U1", await form(there), {"epochs": {"value": "7"}, "others": {"value": "seed=7"}})
        changed = await sees(hands, lambda shown: ("epochs", "7", "as given") in shown.table)
        assert changed.ts == plan.ts and ("seed", "7", "as given") in changed.table
        page = there.at.keep("closed.csv", FACTS, "U1")
        page.page = "<!DOCTYPE html><html>Sign in to Slack</html>"
        hands.says("U1", "C1", "", files=[page.facts])
        await sees(hands, lambda shown: "permission files:read" in shown.all)
        deleted = there.at.keep("deleted.csv", FACTS, "U1")
        facts = dict(deleted.facts)
        hands.removes(deleted)
        hands.says("U1", "C1", "", files=[facts])
        await sees(hands, lambda shown: "deleted.csv is no longer there" in shown.all)
        far = there.at.keep(
            "far.csv", FACTS, "U1", is_external=True, mode="external", url_private="https://drive.example/a"
        )
        big = there.at.keep("big.csv", FACTS, "U1", size=10**12)
        hidden = there.at.keep("hidden.csv", FACTS, "U1", mode="hidden_by_limit")
        hands.says("U1", "C1", "", files=[far.facts, big.facts, hidden.facts])
        await sees(hands, lambda shown: "far.csv lies outside Slack" in shown.all)
        await sees(hands, lambda shown: "big.csv is larger than" in shown.all and "file=hf:org/name" in shown.all)
        await sees(hands, lambda shown: "hidden.csv is hidden by the workspace's plan" in shown.all)
        shared = there.at.keep("shared.csv", FACTS, "U1")
        bare = {"id": shared.facts["id"], "mode": "file_access", "file_access": "check_file_info"}
        hands.says("U1", "C1", "", files=[bare])
        await sees(hands, lambda shown: "shared.csv is ready for" in shown.title)
        hands.drops("U1", "C1", "facts.csv", FACTS.replace(b"text\n", b"Text \n"), thread=ts)
        await sees(hands, lambda shown: shown.thread == ts and "Beside facts.csv: mistakes 0" in shown.all)
        hands.opens_home("U1")
        await eventually(lambda: "No models yet" in limits.texts(there.at.homes.get("U1", {"blocks": []})["blocks"]))
    assert there.at.refused == []


@pytest.fixture
async def crowd() -> AsyncIterator[Unlucky]:
    made = Unlucky(slots=1, train_s=1.0, steps=5)
    yield made
    await made.ends()


@pytest.mark.parametrize("line", lines.LINES)
async def test_columns_gaps_a_broken_run_and_a_refused_push_are_mended_by_buttons(
    tmp_path: Path, there: Twin, hands: Hands, line: str, endpoint: tuple[str, str], crowd: Unlucky
) -> None:
    """The forms and the buttons are pressed as Slack delivers it; the trainings are event files."""
    async with served(chosen(tmp_path, endpoint), lines.chat(there, line), crowd):
        hands.drops("U1", "C1", "gap.csv", b"prompt,text\nWhat is a run?,One training.\nWhat is a repo?,\n")
        gap = await sees(hands, lambda shown: "Fill in 1 cell" in shown.buttons)
        hands.press_label("U1", gap, "Fill in 1 cell")
        hands.submits("U1", await form(there), {"gap0": {"value": "A place for files."}})
        await sees(hands, lambda shown: "is ready for" in shown.title and shown.thread == gap.thread)
        there.at.views.clear()
        ts = hands.drops("U1", "C1", "columns.csv", COLUMNS)
        report = await sees(hands, lambda shown: shown.thread == ts and "Choose columns" in shown.buttons)
        hands.press_label("U1", report, "Choose columns")
        view = await form(there)
        assert {block["element"]["type"] for block in view["blocks"]} == {"static_select"}
        hands.submits("U1", view, {"text": picked("Antwort"), "prompt": picked("Frage")})
        plan = await sees(hands, lambda shown: shown.title == "sft: ready to start")
        assert plan.thread == ts
        hands.press_label("U1", plan, "Start")
        failed = await sees(hands, lambda shown: shown.title == "Run 1 failed" and shown.channel == "C1")
        for user in ("U1", "U2"):
            hands.press_label(user, failed, "Start it again")
        await sees(hands, lambda shown: "Run 2 was started in its place already" in shown.all)
        held = await sees(hands, lambda shown: shown.title == "Run 2 is trained, but not pushed")
        crowd.may_push = True
        hands.press_label("U1", held, "Push again")
        final = await sees(hands, lambda shown: shown.title == "Run 2 succeeded" and shown.channel == "C1")
        assert final.thread == ts and "http://hub.example/local/of-run-2" in final.all
        assert not [shown for shown in hands.sees("U1") if shown.title.startswith("Run 3")]
    assert there.at.refused == []


COLUMNS = ("Frage,Antwort\n" + "".join(f"Was ist {n}?,{n} ist eine Zahl.\n" for n in range(24))).encode()


def picked(value: str) -> Payload:
    return {"selected_option": {"value": value}}


# ---- words that mean harm


@pytest.mark.parametrize("line", lines.LINES)
async def test_files_and_words_full_of_naughty_strings_ping_nobody(
    tmp_path: Path, there: Twin, hands: Hands, line: str
) -> None:
    """As rows, as columns, as names of files, as words to the bot and as what a form is filled with."""
    rows = "".join(json.dumps({"text": text, text[:60] or "x": text}) + "\n" for text in NAUGHTY)
    table = io.StringIO()
    csv.writer(table).writerows([["prompt", "text", *PINGS], *([text, text, *PINGS] for text in NAUGHTY)])
    async with bot(chosen(tmp_path), there, line):
        hands.drops("U1", "C1", "<!channel> <@U1>.jsonl", rows.encode())
        await sees(hands, lambda shown: ".jsonl" in shown.title)
        hands.drops("U1", "C1", "<!here>.csv", table.getvalue().encode())
        await sees(hands, lambda shown: ".csv" in shown.title)
        hands.drops("U1", "C1", "gap.csv", b"prompt,text\n<!channel>,<@U2>\n<!here>,\n")
        gap = await sees(hands, lambda shown: "Fill in 1 cell" in shown.buttons)
        hands.press_label("U1", gap, "Fill in 1 cell")
        hands.submits("U1", await form(there), {"gap0": {"value": "<!everyone> <@U2>"}})
        await sees(hands, lambda shown: "gap" in shown.title and shown.ts != gap.ts)
        for text in NAUGHTY[::50]:
            hands.says("U1", "D1", text)
        last = hands.says("U1", "D1", "<!channel> <@U2> the last")
        await sees(hands, lambda shown: shown.channel == "D1" and float(shown.ts) > float(last))
    assert there.at.pings == {}
    assert there.at.refused == []
