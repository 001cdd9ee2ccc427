"""The main job from the outside: a file is dropped, a model comes back, and nothing that goes wrong is lost."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.chat import Command, Person, Place, Press
from bot.settings import Settings
from bot.wording.plan import AS_YAML
from engine.events import read_events
from engine.hub.client import connect
from tests.e2e.house import ANN, TEAM, THREAD, house, hub, settings, trainers

ROWS = [f"human: what is item {n}? \\n bot: item {n} is number {n} of threadtune." for n in range(24)]
FACTS = "text\n" + "".join(f'"{row}"\n' for row in ROWS)
FAST = "max_steps=4 max_length=64 valid=4"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def chosen(tmp_path: Path, endpoint: tuple[str, str]) -> Settings:
    return settings(tmp_path, *endpoint)


async def test_a_dropped_file_becomes_a_private_model_with_its_link_in_the_thread(
    chosen: Settings, endpoint: tuple[str, str]
) -> None:
    async with house(chosen) as room:
        report = await room.drops("facts.csv", FACTS)
        assert "ready for" in report.title and "sft" in report.title
        assert dict(report.fields)["Rows"] == "24"
        plan = await room.plans(f"sft {FAST}")
        assert any(button.label == "Unescape \\n" for button in plan.buttons)
        room.presses(plan, "Start")
        final = await room.ends()
        assert final.title == "Run 1 succeeded"
        assert final.mentions == (ANN,)
        assert final.table and final.table.columns == ("Prompt", "Before", "After")
        assert [file.name for file in final.files] == ["run-1-loss.png", "run-1.yaml"]
        assert final.files[0].path.read_bytes().startswith(b"\x89PNG")
        draft = next(message for message in room.all(THREAD) if message.key == plan.key)
        assert draft.title == "Run 1, started by ann"
        assert draft.code.startswith(AS_YAML) and "method: sft" in draft.code and "max_steps: 4" in draft.code
        (card,) = room.all(TEAM)
        assert "succeeded" in card.title
        live = [message for message in room.all(THREAD) if message.key == "run/1/live"]
        assert len(live) == 1 and live[0].title == "Run 1 · succeeded" and not live[0].buttons
    url, token = endpoint
    assert url not in final.text + final.code
    repo = re.search(r"local/facts\S+", final.text)
    assert repo
    info = connect(token, url).model_info(repo[0], files_metadata=True)
    assert info.private
    names = {sibling.rfilename for sibling in info.siblings or []}
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".arrow")) for name in names)


async def test_two_clicks_train_once_and_a_cancelled_run_leaves_no_repo(
    chosen: Settings, endpoint: tuple[str, str]
) -> None:
    async with house(chosen) as room:
        await room.drops("twice.csv", FACTS)
        plan = await room.plans("sft max_steps=5000 max_length=64 valid=off")
        assert re.search(r"The model will go to local/twice-sft-[\d-]+, private\.", plan.text)
        room.presses(plan, "Start")
        second = room.presses(plan, "Start")
        answer = await room.sees(lambda message: message.key == f"{second}/answer")
        assert "answered already" in answer.text
        listing = await room.answered("list")
        assert listing.table and len(listing.table.rows) == 1
        await steps_of(chosen, 1)
        assert json.loads((chosen.runs / "1" / "claim.json").read_text())["repo"].startswith("local/twice-sft")
        await room.answered("cancel 1")
        assert "cancelled" in (await room.ends()).title
        async with asyncio.timeout(60):
            while (chosen.runs / "1" / "claim.json").exists():  # noqa: ASYNC110  the Hub tells nobody
                await asyncio.sleep(0.1)
    url, token = endpoint
    assert "local/twice-sft" not in " ".join(info.id for info in connect(token, url).list_models(author="local"))


async def test_a_training_killed_each_time_says_why_and_the_bot_lives_on(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        room.presses(await room.plans("sft max_steps=5000 max_length=64 valid=off"), "Start")
        for attempt in (1, 2, 3):
            await steps_of(chosen, attempt)
            (trainer,) = trainers(chosen.runs)
            os.kill(trainer, signal.SIGKILL)
        final = await room.ends()
        assert final.title == "Run 1 failed"
        assert "killed" in final.text and "memory" in final.text
        (live,) = [message for message in room.all(THREAD) if message.key == "run/1/live"]
        assert "Restarted from step 0, try 3 of 3." in live.text
        assert "ready for" in (await room.drops("again.csv", FACTS + '"one more"\n')).title


async def test_a_training_killed_once_goes_on_from_its_checkpoint_to_one_model(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        room.presses(await room.plans("sft max_steps=120 save_steps=10 max_length=64 valid=off"), "Start")
        await steps_of(chosen, 1, "checkpoint")
        (trainer,) = trainers(chosen.runs)
        os.kill(trainer, signal.SIGKILL)
        final = await room.ends()
        assert final.title == "Run 1 succeeded"
        (live,) = [message for message in room.all(THREAD) if message.key == "run/1/live"]
        assert re.search(r"Restarted from step \d*0, try 2 of 3\.", live.text)
        assert "from step 0," not in live.text


async def steps_of(chosen: Settings, attempt: int, kind: str = "step") -> None:
    """Return once that attempt of run 1 has reported such an event."""
    events = chosen.runs / "1" / "attempts" / f"train-{attempt}" / "events.jsonl"
    async with asyncio.timeout(120):
        while not any(event.kind == kind for event in read_events(events)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_loss_that_is_no_number_ends_the_run_with_its_reason(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        room.presses(await room.plans("sft model=local/mini-nan max_steps=4 max_length=64 valid=off"), "Start")
        final = await room.ends()
        assert final.title == "Run 1 failed"
        assert "no longer a number" in final.text


@pytest.mark.parametrize(
    ("name", "content", "line", "says"),
    [
        ("nothing.csv", b"", "", "The file is empty; upload one with rows in it."),
        ("misspelt.csv", b"txt\nhello\n", "1", "There is no column `text`; did you mean `txt`? Rename it."),
        ("other.csv", b"id,amount\n1,2\n", None, "the least that a method needs is `text`"),
        ("cell.csv", b"prompt,text,rejected_text\na,b,c\nd,,f\n", "3", "`text` is empty: fill it in or drop the row."),
        ("bad.jsonl", b'{"text": "a"}\n{"text": "b"\n{"text": "c"}\n', "2", "a comma or closing bracket is missing"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "", "This is a PNG picture"),
    ],
)
async def test_a_bad_file_gets_one_answer_with_its_line_and_what_to_do(
    chosen: Settings, name: str, content: bytes, line: str | None, says: str
) -> None:
    async with house(chosen) as room:
        report = await room.drops(name, content)
        if line is None:
            assert says in report.text and report.table is None
        else:
            assert report.table
            mistakes = [row for row in report.table.rows if row[0] == "✗"]
            assert [(where, says in what) for _, where, what in mistakes] == [(line, True)]
        assert len([key for key in room.server.keys if key.endswith("/report")]) == 1
        assert "ready for" in (await room.drops("facts.csv", FACTS)).title


async def test_who_may_not_start_is_told_so_and_the_draft_stays(chosen: Settings) -> None:
    async with house(chosen.model_copy(update={"may_start": "somebody-else"})) as room:
        await room.drops("facts.csv", FACTS)
        plan = await room.plans(f"sft {FAST}")
        key = room.presses(plan, "Start")
        assert "MAY_START" in (await room.sees(lambda message: message.key == f"{key}/answer")).text
        assert (await room.sees(lambda message: message.key == plan.key)).buttons
        assert "no runs yet" in (await room.answered("list")).text.lower()


async def test_a_plan_that_cannot_be_changed_still_stands_and_the_presser_is_the_requester(chosen: Settings) -> None:
    bob = Person("U2", "bob")
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        plan = await room.plans(f"sft {FAST}")
        draft = plan.key.removeprefix("draft/")
        refused = room.server.does(ANN, THREAD, Press(f"again:{draft}:template=bananas"))
        assert "template" in (await room.sees(lambda message: message.key == f"{refused.key}/answer")).text
        room.server.does(bob, THREAD, Press(f"start:{draft}"))
        await room.sees(lambda message: message.key == "run/1/live")
        elsewhere = room.server.does(ANN, Place("C9/1"), Command("status 1"))
        assert "no run 1" in (await room.sees(lambda message: message.key == f"{elsewhere.key}/answer")).text
        room.server.does(bob, Place("C9/1"), Command("cancel 1"))
        assert (await room.ends()).mentions == (bob,)


async def test_a_request_that_waits_keeps_its_words_until_a_file_fits(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.answered(f'sft text="my answer" {FAST}')
        await room.drops("broken.csv", "text,text\na,b\n")
        await room.drops("mine.csv", "my answer\n" + "".join(f'"row {n} of mine"\n' for n in range(12)))
        plan = await room.sees(lambda message: message.key.startswith("draft/") and bool(message.buttons))
        assert "text = my answer" in dict(plan.fields)["Columns"]


async def test_an_example_can_be_used_where_it_is_shown(chosen: Settings) -> None:
    async with house(chosen) as room:
        shown = await room.answered("example dpo")
        assert "prompt,text,rejected_text" in shown.code
        key = room.presses(shown, "Use it")
        report = await room.sees(lambda message: message.key == f"{key}/report")
        assert report.title.startswith("example-dpo.csv is ready for dpo")


async def test_a_fix_comes_back_as_a_file_with_its_own_report(chosen: Settings) -> None:
    async with house(chosen) as room:
        content = "prompt,text,rejected_text\na,b,c\nd,,f\ng,h,h\n"
        report = await room.drops("pairs.csv", content)
        assert "cannot be trained on yet" in report.title
        key = room.presses(report, "Mend all of it")
        mended = await room.sees(lambda message: message.key == f"{key}/report")
        assert mended.title.startswith("pairs.fixed.csv is ready for")
        assert [file.name for file in mended.files] == ["pairs.fixed.csv", "pairs.fixed.csv.changes.txt"]
        assert mended.files[0].path.read_text() == "prompt,text,rejected_text\na,b,c\n"
        assert "Line 3" in mended.files[1].path.read_text()
        assert "mistakes 1 → 0" in mended.text
        assert content in [path.read_text() for path in chosen.uploads.glob("*/file")]


async def test_an_unknown_model_is_refused_before_anything_is_queued(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        answer = await room.answered("sft model=local/no-such-model")
        assert "local/no-such-model" in answer.text
        assert "no runs yet" in (await room.answered("list")).text.lower()


async def test_mlm_on_a_causal_model_is_refused_with_what_would_work(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        answer = await room.answered("mlm model=local/mini")
        assert "mask" in answer.text


async def test_a_wrong_word_is_refused_where_it_was_said(chosen: Settings) -> None:
    async with house(chosen) as room:
        room.says("dop")
        await room.drops("facts.csv", FACTS)
        assert ["Did you mean `dpo`?" in refusal.text for refusal in room.server.refusals] == [True]


async def test_a_request_without_a_file_waits_for_it(chosen: Settings) -> None:
    async with house(chosen) as room:
        assert "Drop a CSV or JSONL" in (await room.answered(f"sft {FAST}")).text
        await room.drops("facts.csv", FACTS)
        plan = await room.sees(lambda message: message.key.startswith("draft/") and bool(message.buttons))
        assert any(button.label == "Start" for button in plan.buttons)
        assert "checkpoints for 30 days" in dict(plan.fields)["Kept here"]


async def test_what_arrived_before_a_crash_is_answered_after_the_restart(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        server = room.server
    missed = server.does(ANN, THREAD, room.server.happened[0].what)
    async with house(chosen, server) as room:
        await room.sees(lambda message: message.key == f"{missed.key}/report" and bool(message.title))
        assert len([key for key in server.keys if key.endswith("/report")]) == 2
