"""Files that come in by words, and mistakes that are mended by a form, in a thread with a real Hub behind it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

import bot.talk.patience
from bot import store
from bot.chat import Button, Command, Message, Press, TryLater, Upload
from bot.talk.datasets import uploads
from engine.data.types import Report
from engine.hub.client import connect
from tests.bot.team.room import ANN, THREAD, Room, room
from tests.e2e.house import TEXTS
from tests.mini import make_causal
from tests.twins.hub import Twin, hub_twin

ROWS = "text\n" + "".join(f"an example of a text of number {number}\n" for number in range(12))
PAIRS = "prompt,text,rejected_text\nhello,hi,go away\nwhat,,no\nhow,well,\n"


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    with hub_twin(tmp_path / "hub") as found:
        api = connect(found.token, found.url)
        api.create_repo("local/mini", private=False)
        api.upload_folder(repo_id="local/mini", folder_path=make_causal(tmp_path / "mini", TEXTS))
        api.create_repo("local/rows", repo_type="dataset", private=False)
        api.upload_file(
            path_or_fileobj=ROWS.encode(), path_in_repo="train.csv", repo_id="local/rows", repo_type="dataset"
        )
        yield found


@pytest.fixture
def here(twin: Twin, tmp_path: Path) -> Room:
    settings = {
        "cache": tmp_path / "cache",
        "hf_endpoint": twin.url,
        "hf_public_endpoint": "",
        "hf_token": SecretStr(twin.token),
        "hf_namespace": "local",
        "default_model": "local/mini",
    }
    return room(tmp_path / "data", **settings)


async def report_after(here: Room, what: Command | Press | Upload) -> Message:
    """Do it, and return the report that answers it."""
    before = set(await here.keys(THREAD))
    await here.does(ANN, what)  # type: ignore[arg-type]  # a file is answered as words are
    new = [key for key in await here.keys(THREAD) if key not in before and key.endswith("/report")]
    assert new, [await here.said(key) for key in await here.keys(THREAD)]
    message = await here.said(new[-1])
    assert message
    return message


async def drops(here: Room, name: str, content: str) -> Message:
    here.server.files[name] = content.encode()
    return await report_after(here, Upload(name, name, len(content)))


async def latest(here: Room) -> Report:
    files = await here.context.database.read(store.files, THREAD)
    return uploads.report_of(here.context, files[0].sha256)


async def draft(here: Room) -> Message:
    keys = [key for key in await here.keys(THREAD) if key.startswith("draft/")]
    assert keys, [await here.said(key) for key in await here.keys(THREAD)]
    message = await here.said(keys[-1])
    assert message
    return message


def button(message: Message, start: str) -> Button:
    return next(button for button in message.buttons if button.label.startswith(start))


async def test_pasted_rows_are_answered_as_a_file_is(here: Room) -> None:
    message = await report_after(here, Command(f"check\n```\n{ROWS}```"))
    assert "is ready for sft" in message.title and "pasted-" in message.title
    assert (await latest(here)).rows == 12


async def test_a_file_waits_for_its_turn_at_a_platform_that_limits_calls(here: Room) -> None:
    here.server.failures = [TryLater(0.01), TryLater(0.01)]
    message = await drops(here, "rows.csv", ROWS)
    assert "is ready for sft" in message.title and not here.server.failures


async def test_pasted_rows_are_planned_on_at_once(here: Room) -> None:
    await report_after(here, Command(f"sft epochs=2\n```\n{ROWS}```"))
    assert (await draft(here)).buttons


async def test_a_dataset_of_the_hub_is_checked_and_planned_on(here: Room) -> None:
    message = await report_after(here, Command("check hf:local/rows:train[:11]"))
    assert "is ready for sft" in message.title
    assert (await latest(here)).rows == 11
    here.now[0] += 1
    await here.does(ANN, Command("sft file=hf:local/rows"))
    assert (await draft(here)).buttons
    assert (await latest(here)).rows == 12
    here.now[0] += 1
    await here.does(ANN, Command("sft file=hf:local/rows valid=hf:local/rows:train[:3]"))
    measured = await draft(here)
    assert "3 held out" in dict(measured.fields)["Used"] and "3 of 3 rows" in measured.text


async def test_a_dataset_that_is_not_there_is_said_so(here: Room) -> None:
    assert "There is no dataset local/nothing" in (await here.says("check hf:local/nothing")).text


async def test_planning_with_a_slow_hub_says_so(here: Room, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.talk.patience, "QUICK_S", 0.0)
    await drops(here, "a.csv", ROWS)
    twin.fail("GET /api/models/local/mini", 404, times=100, hang_s=1.0)
    answer = await here.says("sft model=local/mini2")
    assert "status 404" in answer.text
    assert "could not be planned" in (await draft(here)).text, "what was said while it took long does not stay"


async def test_cells_that_only_a_person_can_mend_are_filled_in_by_a_form(here: Room) -> None:
    message = await drops(here, "pairs.csv", PAIRS)
    press = button(message, "Fill in 2 cells")
    assert [(field.name, field.label) for field in press.form] == [
        ("gap0", "Line 3, text, beside: what"),
        ("gap1", "Line 4, rejected_text, beside: well"),
    ]
    mended = await report_after(here, Press(press.action, {"gap0": "this, and that", "gap1": "badly"}))
    assert "mistakes 2 → 0" in mended.text and "is ready for" in mended.title
    text = mended.files[0].path.read_text()
    assert text == PAIRS.replace("what,,no", 'what,"this, and that",no').replace("how,well,\n", "how,well,badly\n")


async def test_an_empty_form_changes_nothing(here: Room) -> None:
    press = button(await drops(here, "pairs.csv", PAIRS), "Fill in")
    answered = await here.does(ANN, Press(press.action, {"gap0": " ", "gap1": ""}))
    assert answered and "Nothing was filled in" in answered.text


async def test_a_conversation_is_mended_as_json_and_stays_one(here: Room) -> None:
    good = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    bad = [{"role": "user", "content": "hi"}, {"role": "robot", "content": "hello"}]
    lines = [json.dumps({"messages": turns}) for turns in (good, bad)]
    press = button(await drops(here, "chat.jsonl", "\n".join(lines) + "\n"), "Fill in 1 cell")
    assert json.loads(press.form[0].value) == bad
    refused = await here.does(ANN, Press(press.action, {"gap0": "robot: hello"}))
    assert refused and "is no JSON" in refused.text
    mended = await report_after(here, Press(press.action, {"gap0": json.dumps(good)}))
    assert mended.files[0].path.read_text() == f"{lines[0]}\n{lines[0]}\n"


async def test_columns_are_chosen_in_a_form_where_none_is_known(here: Room) -> None:
    message = await drops(here, "odd.csv", ROWS.replace("text\n", "words\n", 1))
    press = button(message, "Choose columns")
    assert press.form[0].choices == ("words",)
    await here.does(ANN, Press(press.action, {"text": "words", "prompt": "", "rejected_text": ""}))
    assert (await draft(here)).buttons
    refused = await here.does(ANN, Press(press.action, {}))
    assert refused and "Choose the column" in refused.text


async def test_columns_can_be_chosen_though_a_method_was_found(here: Room) -> None:
    rows = "".join(f"q{number},answer {number},note {number},be kind\n" for number in range(12))
    message = await drops(here, "facts.csv", f"prompt,text,remark,tone\n{rows}")
    press = button(message, "Columns …")
    assert [(field.name, field.value) for field in press.form[:3]] == [
        ("text", "text"),
        ("prompt", "prompt"),
        ("rejected_text", ""),
    ]
    chosen = {"text": "remark", "prompt": "prompt", "rejected_text": "—", "label": "—", "system": "tone"}
    await here.does(ANN, Press(press.action, chosen))
    assert dict((await draft(here)).fields)["Columns"] == "text = remark, prompt = prompt, system = tone"
    refused = await here.does(ANN, Press(press.action, {**chosen, "rejected_text": "text", "label": "tone"}))
    assert refused and "not both" in refused.text


async def test_a_file_that_nobody_meant_is_ignored(here: Room) -> None:
    message = await drops(here, "odd.csv", "when,where\nnow,here\n")
    assert [press.label for press in message.buttons] == ["See why", "Choose columns", "Ignore"]
    await here.does(ANN, Press(button(message, "Ignore").action))
    said = await here.said(message.key)
    assert said and not said.buttons and "Left alone" in said.text
    assert not await here.context.database.read(store.files, THREAD)


async def test_of_two_files_a_click_says_which_is_measured_on(here: Room) -> None:
    await drops(here, "facts.csv", ROWS)
    message = await drops(here, "facts-valid.csv", ROWS.replace("example", "instance"))
    press = button(message, "Train facts.csv, measure facts-valid.csv")
    await here.does(ANN, Press(press.action))
    draft_id = (await draft(here)).key.removeprefix("draft/")
    found = await here.context.database.read(store.draft, draft_id, THREAD)
    assert found and found.spec.valid
    assert (found.spec.train.name, found.spec.valid.name) == ("facts.csv", "facts-valid.csv")


async def test_long_rows_of_a_plan_are_cut_at_a_sentence_by_a_click(here: Room) -> None:
    long = "So it is. " * 80
    await drops(here, "facts.csv", f"{ROWS}{long}\n")
    await here.does(ANN, Command("sft max_length=64"))
    before = await draft(here)
    assert "1 cut at max_length" in dict(before.fields)["Used"]
    report = await report_after(here, Press(button(before, "Cut long rows").action))
    mended, changes = (file.path.read_text() for file in report.files)
    assert mended.startswith(ROWS) and "So it is. " * 80 not in mended and mended.endswith("So it is.\n")
    assert changes.startswith("Line 14: `text` was cut after ")
    after = await here.said(before.key)
    assert after and "facts.fixed.csv" in after.text, "the plan stands in its old message, on the new file"
    assert "cut at max_length" not in dict(after.fields)["Used"]
    assert not any(press.label.startswith("Cut long rows") for press in after.buttons)


@pytest.mark.slow
async def test_rows_that_cannot_be_cut_at_a_sentence_are_said_so(here: Room) -> None:
    await drops(here, "facts.csv", f"{ROWS}{'so it goes on ' * 80}\n")
    await here.does(ANN, Command("sft max_length=64"))
    answer = await here.does(ANN, Press(button(await draft(here), "Cut long rows").action))
    assert answer and "None of the long rows can be cut so" in answer.text


@pytest.mark.slow
async def test_every_change_of_a_mended_file_is_in_the_list(here: Room) -> None:
    message = await drops(here, "rows.csv", "text\n" + "".join(f"a \\n {number}\n" for number in range(120)))
    mended = await report_after(here, Press(button(message, "Turn backslash-n").action))
    assert len(mended.files[1].path.read_text().splitlines()) == 120
