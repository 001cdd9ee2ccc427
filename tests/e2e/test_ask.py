"""A model is tried in its thread: by its button, by words, and not while a training needs the place."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.chat import Message
from bot.settings import Settings
from tests.e2e.house import house, hub, settings

pytestmark = pytest.mark.slow
FACTS = "text\n" + "".join(
    f'"human: what is item {n}? bot: item {n} is number {n} of threadtune."\n' for n in range(24)
)
FAST = "max_length=64 valid=4"
PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def chosen(tmp_path: Path, endpoint: tuple[str, str]) -> Settings:
    return settings(tmp_path, *endpoint)


def has_answer(message: Message) -> bool:
    return bool(message.table)


async def test_a_model_is_tried_in_its_thread_and_makes_way_for_a_training(chosen: Settings) -> None:
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        room.presses(await room.plans(f"sft {FAST} max_steps=4"), "Start")
        final = await room.ends()
        pressed = room.presses(final, "Try it")
        ready = await room.sees(lambda m: m.key == f"{pressed}/answer" and "Loaded." in m.text, PATIENCE_S)
        assert [button.label for button in ready.buttons] == ["Ask"]
        key = room.says("tell me what item 3 is")
        answer = await room.sees(lambda m: m.key == f"{key}/answer" and has_answer(m), PATIENCE_S)
        assert answer.table and answer.table.columns == ("Before (local/mini)", "After (run 1)")
        assert answer.text == "“tell me what item 3 is”"

        room.presses(await room.plans(f"sft {FAST} max_steps=40"), "Start")
        await room.sees(lambda m: m.key == f"{pressed}/answer" and "Its place was needed" in m.text, PATIENCE_S)
        key = room.says("ask 1 what is item 4?")
        await room.ends("2")
        await room.sees(lambda m: m.key == f"{key}/answer" and has_answer(m), PATIENCE_S)
        table = (await room.answered("compare 1 2")).table
        assert table and "max_steps" in {row[0] for row in table.rows}
        await ended(chosen.runs / "1" / "attempts" / "ask-2")


async def ended(attempt: Path) -> None:
    """Nothing is left behind that would wait for 5 minutes."""
    (attempt / "stop").write_text("drop")
    async with asyncio.timeout(PATIENCE_S):
        while not (attempt / "exit.json").exists():  # noqa: ASYNC110  a process tells nobody
            await asyncio.sleep(0.1)
