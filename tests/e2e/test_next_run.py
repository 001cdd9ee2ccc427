"""A run goes on from what another run made: its lora is merged first, and the new model loads from the Hub."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.folder import RunFolder
from engine.hub.client import connect
from tests.e2e.house import house, hub, settings

ROWS = [f"human: what is item {n}? bot: item {n} is number {n}." for n in range(16)]
FACTS = "text\n" + "".join(f'"{row}"\n' for row in ROWS)
PAIRS = "prompt,text,rejected_text\n" + "".join(f"what is {n}?,item {n},nothing {n}\n" for n in range(16))
FAST = "max_steps=3 max_length=64 valid=4"
LOAD = """
import sys, torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], token=sys.argv[2])
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1], token=sys.argv[2])
assert torch.isfinite(model(**tokenizer("what is", return_tensors="pt")).logits).all()
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.mark.slow
async def test_a_preference_run_begins_with_the_teams_own_lora(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    chosen = settings(tmp_path, *endpoint)
    url, token = endpoint
    async with house(chosen) as room:
        await room.drops("facts.csv", FACTS)
        room.presses(await room.plans(f"sft {FAST}"), "Start")
        first = await room.ends("1")
        repo = re.search(r"local/facts\S+", first.text)
        assert repo, first.text
        await room.drops("pairs.csv", PAIRS)
        plan = await room.plans(f"dpo base={repo[0]} {FAST}")
        assert f"dpo on pairs.csv with {repo[0]}" in plan.text
        room.presses(plan, "Start")
        second = await room.ends("2")
        assert second.title == "Run 2 succeeded", second.text
    spec = RunFolder(chosen.runs / "2").read_spec()
    assert (spec.model.id, spec.model.run, spec.model.folder) == (repo[0], "1", "")
    made = re.search(r"local/pairs\S+", second.text)
    assert made, second.text
    api = connect(token, url)
    card = api.model_info(made[0]).card_data
    assert card is not None and card.base_model == repo[0] and card["base_model_relation"] == "finetune"
    loaded = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LOAD, made[0], token],
        env={"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "elsewhere"), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
