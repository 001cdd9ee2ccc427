"""The executor port on a real Ray, and what only Ray does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.executors.ray.executor import RayExecutor
from adapters.executors.ray.settings import RaySettings
from tests.cluster import PYTHON, TOKEN, Cluster, cluster
from tests.contract.executor import ExecutorContract, Stage

CHILDREN = Path(__file__).parents[2] / "fakes" / "children.py"
pytestmark = pytest.mark.slow


def settings(ray: Cluster, **others: object) -> RaySettings:
    known: dict[str, object] = {
        **{"jobs_url": ray.url, "auth_token": SecretStr(TOKEN), "python": str(PYTHON)},
        **{"node_gpus": 0, "cpus": 1, "grace_s": 5.0},
        **others,
    }
    return RaySettings(_env_file=None, **known)  # type: ignore[arg-type]  # the fields are its own


def new(ray: Cluster, root: Path, **others: object) -> RayExecutor:
    return RayExecutor("ray", root, settings(ray, **others), program=[str(CHILDREN)])


@pytest.fixture(scope="module")
def ray() -> Iterator[Cluster]:
    with cluster(cpus=2) as made:
        yield made


class TestRay(ExecutorContract):
    @pytest.fixture
    def stage(self, tmp_path: Path, ray: Cluster) -> Stage:
        return Stage(tmp_path / "runs", lambda: new(ray, tmp_path / "runs"))
