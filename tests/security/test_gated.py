"""A gated base model: trained on with a token that was let in, refused with one that was not."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.settings import Settings
from engine.hub.client import connect
from engine.work.identity import FOLDER_VARIABLE, environments
from tests.e2e.house import TEXTS, house, hub, settings, trainers
from tests.mini import make_causal

MODEL = "acme/closed"
OWNER, MEMBER, STRANGER = ("hf_" + letter * 30 for letter in "omS")
PEOPLE = {
    OWNER: {"name": "acme", "role": "write"},
    MEMBER: {"name": "bob", "role": "write", "gated": [MODEL]},
    STRANGER: {"name": "bob", "role": "write"},
}
FACTS = "text\n" + "".join(f'"human: what is item {n}? bot: item {n} is number {n}."\n' for n in range(16))


@dataclass(frozen=True)
class Hub:
    folder: Path
    url: str

    def settings(self, token: str) -> Settings:
        """A bot with this token, its own cache and its own data; without one, nothing is pushed."""
        chosen = settings(self.folder / (token[-1:] or "none"), self.url, token)
        return chosen.model_copy(update={"hf_namespace": "bob", "hf_token": SecretStr(token)})


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("gated")
    (folder / "hub").mkdir()
    (folder / "hub" / "people.json").write_text(json.dumps(PEOPLE))
    with hub(folder) as (url, _):
        api = connect(OWNER, url)
        api.create_repo(MODEL, private=False)
        api.upload_folder(repo_id=MODEL, folder_path=make_causal(folder / "closed", TEXTS))
        api.update_repo_settings(MODEL, gated="manual")
        yield Hub(folder, url)


async def test_who_was_let_in_trains_on_it_while_the_trainer_knows_no_token(gated: Hub) -> None:
    chosen = gated.settings(MEMBER)
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        plan = await room.plans(f"sft model={MODEL} max_steps=30 max_length=64 valid=off")
        room.presses(plan, "Start")
        told = await of_training(chosen.runs)
        assert MEMBER not in repr(told) and told["HF_HUB_OFFLINE"] == "1" and "HF_TOKEN" not in told
        assert (await room.ends()).title == "Run 1 succeeded"


@pytest.mark.parametrize("token", [STRANGER, ""])
async def test_who_was_not_let_in_is_told_where_to_ask_before_anything_is_queued(gated: Hub, token: str) -> None:
    async with house(gated.settings(token)) as room:
        await room.drops("facts.csv", FACTS)
        answer = await room.answered(f"sft model={MODEL}")
        assert "gated" in answer.text and f"{gated.url}/{MODEL}" in answer.text and "accept the terms" in answer.text
        assert "no runs yet" in (await room.answered("list")).text.lower()


async def of_training(runs: Path) -> dict[str, str]:
    """The environment of the training child, once there is one."""
    folder = str((runs / "1" / "attempts" / "train-1").resolve())
    async with asyncio.timeout(120):
        while True:
            pids = trainers(runs)
            found = [env for pid, env in environments() if pid in pids and env.get(FOLDER_VARIABLE) == folder]
            if found:
                return found[0]
            await asyncio.sleep(0.02)
