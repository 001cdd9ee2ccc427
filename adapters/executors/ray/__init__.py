"""Attempts on a Ray cluster, through its Jobs API. The bot does not need the `ray` package; the nodes do."""

from collections.abc import Mapping
from pathlib import Path

from adapters.executors.ray.executor import RayExecutor
from adapters.executors.ray.settings import RaySettings


def make(root: Path, python: str, environments: Mapping[str, Mapping[str, str]]) -> RayExecutor:
    """The executor as the bot starts it; `root` holds the runs' folders. No environment with a token goes there."""
    return RayExecutor("ray", root, RaySettings())
