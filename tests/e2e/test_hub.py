"""The way of a model to the Hub: refused before a run, kept without a token, pushed once there is one."""

import json
import re
import zipfile
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from bot.settings import Settings
from engine.hub.client import connect
from tests.e2e.house import house, hub, settings

READER = "hf_" + "r" * 30
FACTS = "text\n" + "".join(f'"human: what is item {n}? bot: item {n} is number {n}."\n' for n in range(16))
FAST = "max_steps=4 max_length=64 valid=4"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub").mkdir()
    (folder / "hub" / "people.json").write_text(json.dumps({READER: {"name": "local", "role": "read"}}))
    with hub(folder) as found:
        yield found


@pytest.fixture
def chosen(tmp_path_factory: pytest.TempPathFactory, endpoint: tuple[str, str]) -> Settings:
    return settings(tmp_path_factory.mktemp("bot"), *endpoint)


async def test_a_token_that_may_only_read_is_refused_before_anything_is_planned(chosen: Settings) -> None:
    async with house(chosen.model_copy(update={"hf_token": SecretStr(READER)})) as room:
        await room.drops("facts.csv", FACTS)
        answer = await room.answered(f"sft {FAST}")
        assert "may only read" in answer.text and "settings/tokens" in answer.text
        assert "no runs yet" in (await room.answered("list")).text.lower()


async def test_a_model_that_stayed_without_a_token_is_pushed_once_there_is_one(
    chosen: Settings, endpoint: tuple[str, str]
) -> None:
    async with house(chosen.model_copy(update={"hf_token": SecretStr("")})) as room:
        api = connect(endpoint[1], endpoint[0])
        api.update_repo_settings("local/mini", visibility="public")
        await room.drops("facts.csv", FACTS)
        plan = await room.plans(f"sft {FAST}")
        assert "stays on this server" in plan.text
        room.presses(plan, "Start")
        final = await room.ends()
        assert final.title == "Run 1 succeeded" and "/finetune push 1" in final.text
        (packed,) = [file for file in final.files if file.name == "run-1-lora.zip"]
        with zipfile.ZipFile(packed.path) as inside:
            assert {"run-1-lora/adapter_model.safetensors", "run-1-lora/README.txt"} <= set(inside.namelist())
        server = room.server
    async with house(chosen, server) as room:
        assert "pushes the model of run 1" in (await room.answered("push 1")).text
        final = await room.ends("2")
        assert final.title == "Run 2 succeeded"
        repo = re.search(r"local/facts-sft-\S+", final.text)
        assert repo and api.model_info(repo[0]).private


async def test_a_named_repo_that_is_there_gets_a_pull_request_when_that_is_asked_for(
    chosen: Settings, endpoint: tuple[str, str]
) -> None:
    api = connect(endpoint[1], endpoint[0])
    api.create_repo("local/theirs")
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        plan = await room.plans(f"sft {FAST} repo=theirs push=pr")
        assert "local/theirs, as a pull request" in plan.text
        room.presses(plan, "Start")
        assert (await room.ends()).title == "Run 1 succeeded"
    (pull,) = api.list_repo_refs("local/theirs", include_pull_requests=True).pull_requests or []
    assert "adapter_model.safetensors" in api.list_repo_files("local/theirs", revision=pull.ref)
    assert api.list_repo_files("local/theirs") == [".gitattributes"]
