"""What an operator sets for Hugging Face Jobs: `HF_JOBS_…` in the environment or `.env`."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HfJobsSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HF_JOBS_", env_file=".env", extra="ignore", frozen=True)

    image: str = Field(
        "", description="Image that jobs run, with threadtune and its train parts, where Hugging Face can pull it."
    )
    namespace: str = Field("", description="User or organisation that jobs run under and that pays for them.")
    token: SecretStr = Field(
        SecretStr(""), description="Token that starts jobs and writes the bucket; empty is HF_TOKEN."
    )
    flavor: str = Field("a10g-small", description="Hardware of a job, as `hf jobs hardware` names it.")
    bucket: str = Field(
        "threadtune-runs", description="Private bucket of that namespace that carries the runs' folders."
    )
    python: str = Field("python3", description="Interpreter in the image.")
    slots: int = Field(1, ge=1, description="Jobs that may run at once.")
    max_hours: float = Field(24, gt=0, description="Hours after which a job is ended, whatever its run was to take.")
    look_s: float = Field(10, gt=0, description="Seconds between two looks at a job and its bucket.")
    grace_s: float = Field(60, gt=0, description="Seconds that a training may take to save and end.")
