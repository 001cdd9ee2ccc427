"""The whole bot on Hugging Face Jobs' twin: from a dropped file to a model on the Hub, the price said before Start."""

import sys
from pathlib import Path

import pytest

from engine.hub.client import connect
from tests.e2e.house import add_models, house, settings
from tests.twins.hub import hub_twin

pytestmark = pytest.mark.slow
ROWS = "prompt,text\n" + "".join(f"what is word {number}?,it is thing {number}\n" for number in range(40))


async def test_a_run_as_a_job_costs_what_was_said_and_leaves_one_model_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_twin(tmp_path / "hub") as twin:
        add_models(connect(twin.token, twin.url), tmp_path)
        jobs = {"IMAGE": "team/threadtune", "NAMESPACE": "local", "FLAVOR": "cpu-basic", "PYTHON": sys.executable}
        for name, value in (*jobs.items(), ("LOOK_S", "0.5")):
            monkeypatch.setenv(f"HF_JOBS_{name}", value)
        chosen = settings(tmp_path, twin.url, twin.token).model_copy(update={"executor": "local,hf_jobs"})
        async with house(chosen) as room:
            await room.drops("rows.csv", ROWS)
            draft = await room.plans("sft on=hf_jobs epochs=3 lora=on")
            assert "hf_jobs (cpu-basic, 0.01 USD an hour) and costs about 0.01 USD" in draft.text
            room.presses(draft, "Start")
            final = await room.ends()
        assert final.title == "Run 1 succeeded", final.text
        (job,) = twin.jobs.jobs.values()
        assert (job.stage, job.asked["dockerImage"]) == ("COMPLETED", "team/threadtune")
        assert twin.token not in str(job.asked) and not job.asked.get("secrets")
        assert 3600 < job.asked["timeoutSeconds"] < 24 * 3600
        models = [model.id for model in connect(twin.token, twin.url).list_models() if "rows" in model.id]
        assert len(models) == 1
        left = [path for path in (tmp_path / "hub" / "buckets").rglob("*") if path.is_file()]
        assert left == []
