"""Attempts as jobs of Hugging Face, each with the run's folder in a mounted bucket. They get no token."""

from collections.abc import Mapping
from pathlib import Path

from adapters.executors.hf_jobs.executor import HfJobsExecutor
from adapters.executors.hf_jobs.settings import HfJobsSettings
from engine.refusal import Refusal


def make(root: Path, python: str, environments: Mapping[str, Mapping[str, str]]) -> HfJobsExecutor:
    """The executor as the bot starts it. Our own calls have the token that pushes; raises Refusal without an image."""
    settings = HfJobsSettings()
    if not settings.image or not settings.namespace:
        text = "Set HF_JOBS_IMAGE and HF_JOBS_NAMESPACE, so that runs may go to Hugging Face Jobs (docs/scale.md)."
        raise Refusal(text, "EXECUTOR")
    return HfJobsExecutor("hf_jobs", root, settings, environments.get("push", {}))
