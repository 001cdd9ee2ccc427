"""The whole bot in Slack's twin: from a dropped file to a model and the team's card, and what may come in between."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.slack import lines
from tests.adapters.slack.room import FACTS, SMALL, bot, chosen, form, sees
from tests.contract.chat import eventually
from tests.e2e.house import hub
from tests.twins.slack import limits
from tests.twins.slack.hands import Hands
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
    """A file with mistakes, mended by a button, planned, started by two people at once while the bot is restarted."""
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
    assert sum(there.at.pings.values()) == 1
    assert there.at.refused == []


async def test_the_form_becomes_a_run_whose_living_message_a_restart_mends_and_a_press_ends(
    tmp_path: Path, there: Twin, hands: Hands, endpoint: tuple[str, str]
) -> None:
    settings = chosen(tmp_path, endpoint)
    file = there.at.keep("facts.csv", FACTS, "U1")
    async with bot(settings, there, "socket"):
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
    async with bot(settings, there, "socket"):
        before = there.at.edits.copy()
        living = await sees(hands, lambda shown: shown.title.startswith("Run 1 · "))
        await sees(hands, lambda shown: there.at.edits[living.ts] > before[living.ts])
        hands.press_label("U1", living, "Cancel")
        final = await sees(hands, lambda shown: shown.title == "Run 1 cancelled" and shown.channel == "C1")
        assert final.thread == plan.thread
        await sees(hands, lambda shown: shown.title == "Run 1 · cancelled" and not shown.buttons)
    assert there.at.refused == []


async def test_the_shortcut_and_the_files_that_cannot_be_had(
    tmp_path: Path, there: Twin, hands: Hands, endpoint: tuple[str, str]
) -> None:
    """Nothing is trained here: plans, and answers to files that Slack does not give."""
    async with bot(chosen(tmp_path, endpoint), there, "http"):
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
        hands.opens_home("U1")
        await eventually(lambda: "No models yet" in limits.texts(there.at.homes.get("U1", {"blocks": []})["blocks"]))
    assert there.at.refused == []


NAUGHTY = (
    "<!channel>", "<!here|here>", "<!everyone>", "<@U1>", "<@U2|bob>", "<!subteam^S1|@ml>", "<https://evil.example|ok>",
    "@here", "@channel", "&lt;!channel&gt;", "&amp;", "*bold* _i_ ~s~ `c` ```c```", "> quote", "NULL", "NaN",
    "' OR 1=1 -- 1", "$(touch /tmp/x)", "../../../etc/passwd", "%s%n%x", "{{7*7}}", "${jndi:ldap}",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\ufeffBOM", "\u200b\u2060zero", "\u202eright to left",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́O", "﷽", "👨‍👩‍👧‍👦 🏳️‍🌈", "田中さん", "الكل في المجمو عة", "\t\x0b\x0c", "0xDEADBEEF",
    "<#C1|ml>", "<!date^1392734382^{date}|x>", "<mailto:a@b.c|a>", "slack://channel?team=T1", "x" * 4000,
)  # fmt: skip


async def test_a_file_full_of_naughty_strings_pings_nobody(tmp_path: Path, there: Twin, hands: Hands) -> None:
    rows = "".join(json.dumps({"text": text, text[:60] or "x": text}) + "\n" for text in NAUGHTY)
    async with bot(chosen(tmp_path), there, "socket"):
        hands.drops("U1", "C1", f"{NAUGHTY[0]} {NAUGHTY[3]}.jsonl", rows.encode())
        await sees(hands, lambda shown: ".jsonl" in shown.title)
        table = "text,<!channel>\n" + "".join(f'"{text}","{text}"\n' for text in NAUGHTY if '"' not in text)
        hands.drops("U1", "C1", "<!here>.csv", table.encode())
        await sees(hands, lambda shown: ".csv" in shown.title)
        hands.says("U1", "D1", "<!channel> <@U2>")
        await sees(hands, lambda shown: shown.channel == "D1")
    assert there.at.pings == {}
    assert there.at.refused == []
