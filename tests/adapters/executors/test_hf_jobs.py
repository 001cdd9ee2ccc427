"""The executor port on Hugging Face Jobs: the real client against the Hub's twin, which runs the jobs as processes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.executors.hf_jobs.executor import HfJobsExecutor
from adapters.executors.hf_jobs.settings import HfJobsSettings
from tests.contract.executor import ExecutorContract, Stage
from tests.twins.hub import Twin, hub_twin

CHILDREN = Path(__file__).parents[2] / "fakes" / "children.py"
pytestmark = pytest.mark.slow


def settings(**others: object) -> HfJobsSettings:
    known: dict[str, object] = {
        **{"image": "threadtune/train", "namespace": "local", "flavor": "cpu-basic", "python": sys.executable},
        **{"look_s": 0.2, "grace_s": 5.0},
        **others,
    }
    return HfJobsSettings(_env_file=None, **known)  # type: ignore[arg-type]  # the fields are its own


def new(hub: Twin, root: Path, pending_s: float = 900.0, lapse_s: float = 6.0, **others: object) -> HfJobsExecutor:
    environment = hub.environment(root.parent / "home")
    chosen = settings(**others)
    return HfJobsExecutor(
        "hf_jobs", root, chosen, environment, [str(CHILDREN)], pending_s=pending_s, silent_s=30.0, lapse_s=lapse_s
    )


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    with hub_twin(tmp_path_factory.mktemp("hub")) as made:
        yield made


class TestHfJobs(ExecutorContract):
    @pytest.fixture
    def stage(self, tmp_path: Path, hub: Twin) -> Stage:
        return Stage(tmp_path / "runs", lambda: new(hub, tmp_path / "runs"))
