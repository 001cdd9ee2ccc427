"""What an operator can set, read once from the environment and `.env`. Each adapter has its own, by its own prefix."""

import sys
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The bot's own settings; the names in the environment are the field names in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data: Path = Field(Path("data"), description="Folder for what is kept: database, uploads, runs.")
    cache: Path = Field(Path("data/cache"), description="Folder for base models, shared by all runs.")
    cache_gb: float = Field(
        0, ge=0, description="Gigabytes that downloaded base models may take before the oldest go; 0 is any number."
    )
    chat: str = Field("console", description="Chat platform, a module of adapters/chat.")
    executor: str = Field(
        "local",
        description="Where training runs, modules of adapters/executors with commas; the first is the usual one, "
        "on=NAME asks for another.",
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty is SQLite in DATA.")
    team_channel: str = Field("", description="Channel that gets a card for each run that ended.")
    train_python: str = Field(
        "", description="Interpreter that the local executor trains with; empty is the bot's own."
    )
    default_model: str = Field("", description="Base model when none is named; empty picks one that fits.")
    allowed_models: str = Field(
        "",
        description="Base models that runs may begin with, as ids or patterns such as Qwen/*, with commas; "
        "empty is any. The embedded ones and the team's own always may.",
    )
    hf_endpoint: str = Field("https://huggingface.co", description="The Hub; the local Hub when it is on loopback.")
    hf_public_endpoint: str = Field(
        "https://huggingface.co", description="Where base models come from that a local Hub lacks; empty is nowhere."
    )
    hf_token: SecretStr = Field(SecretStr(""), description="Token that downloads base models and pushes models.")
    hf_read_token: SecretStr = Field(
        SecretStr(""), description="Token that downloads base models and datasets, where HF_TOKEN is not to."
    )
    hf_namespace: str = Field(
        "",
        description="Users or organisations on the Hub that models may go to, with commas; the first is the usual one.",
    )
    verify_load: bool = Field(
        False, description="Whether each pushed model is loaded from the Hub once before its run has succeeded."
    )
    hf_private: bool = Field(True, description="Whether the repos of models are private.")
    hf_gated: Literal["off", "auto", "manual"] = Field(
        "off", description="Whether people must ask for access to public models: off, auto (all get it), or manual."
    )
    max_upload_mb: int = Field(2000, description="Largest file that is taken, in megabytes.")
    admins: str = Field(
        "", description="Ids of the people and groups who may do everything, with commas: approve, end, audit."
    )
    approvers: str = Field(
        "", description="Ids of the people and groups who, besides the admins, may approve others' runs, with commas."
    )
    may_start: str = Field(
        "", description="Ids of the people and groups who may start runs, with commas; empty is every full member."
    )
    may_end_others: str = Field(
        "", description="Ids of the people and groups who, besides the admins, may end others' runs, with commas."
    )
    channels: str = Field(
        "", description="Ids of the channels where the bot works, with commas; empty is wherever it was invited."
    )
    max_running: int = Field(1, ge=0, description="Runs of one person that may be at work at once; 0 is any number.")
    max_queued: int = Field(3, ge=0, description="Runs of one person that may wait in the queue; 0 is any number.")
    max_running_channel: int = Field(
        0, ge=0, description="Runs of one channel that may be at work at once; 0 is any number."
    )
    max_queued_channel: int = Field(
        0, ge=0, description="Runs of one channel that may wait in the queue; 0 is any number."
    )
    max_runs_a_day: int = Field(0, ge=0, description="Runs that one person may start in a day; 0 is any number.")
    max_gpu_hours_a_month: float = Field(
        0, ge=0, description="Hours that one person's runs may train in a month; 0 is any number."
    )
    gpu_hour_price: float = Field(
        0, ge=0, description="What an hour of one GPU costs, in the team's currency; 0 says no cost."
    )
    approve_above_hours: float = Field(
        0, ge=0, description="Estimated hours above which a second person approves a run; 0 is never."
    )
    weekly_digest: bool = Field(True, description="Whether the team channel gets a digest on Mondays.")
    min_free_gb: float = Field(
        2, ge=0, description="Gigabytes that have to be free in DATA and CACHE for the bot to serve."
    )
    keep_datasets_days: float = Field(
        0, ge=0, description="Days after which a dropped file is deleted here, and its thread is told; 0 is never."
    )
    keep_outputs_days: float = Field(
        0, ge=0, description="Days after its end after which all of a run is deleted here, its model too; 0 is never."
    )
    keep_checkpoints_days: float = Field(
        30,
        gt=0,
        description="Days that the checkpoints of a run that is over are kept; its model stays.",
    )
    time_zone: str = Field("UTC", description="Time zone of the times that people type without one.")
    keep_days: int = Field(7, description="Days that a model waits here after its push was refused.")
    people_are_local: bool = Field(
        False, description="Whether those who chat sit at this machine: they may name its folders and open its links."
    )
    http_host: str = Field("127.0.0.1", description="Address of /healthz, /readyz and /metrics.")
    http_port: int = Field(8080, description="Port of /healthz, /readyz and /metrics; 0 turns them off.")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data / 'threadtune.db'}"

    @property
    def python(self) -> str:
        return self.train_python or sys.executable

    @property
    def uploads(self) -> Path:
        return self.data / "uploads"

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def examples(self) -> Path:
        """The small datasets that the project ships."""
        return Path(__file__).parent.parent / "examples"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The usual one first."""
        return tuple(name.strip() for name in self.hf_namespace.split(",") if name.strip())

    @property
    def executors(self) -> tuple[str, ...]:
        """The usual one first."""
        return tuple(name.strip() for name in self.executor.split(",") if name.strip())

    @property
    def can_push(self) -> bool:
        return bool(self.hf_token.get_secret_value() and self.namespaces)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told to anybody."""
        tokens = (self.hf_token, self.hf_read_token)
        return *(token.get_secret_value() for token in tokens), urlsplit(self.database_url).password or ""

    def hub_environment(self) -> dict[str, str]:
        """What the children on our side need to reach the Hub: the only processes that ever hold the token."""
        return {
            "HF_ENDPOINT": self.hf_endpoint,
            "HF_PUBLIC_ENDPOINT": self.hf_public_endpoint,
            "HF_TOKEN": self.hf_token.get_secret_value(),
            "HF_READ_TOKEN": self.hf_read_token.get_secret_value(),
            "HF_GATED": self.hf_gated,
            "HF_HOME": str(self.cache.resolve()),
            "DATA": str(self.data.resolve()),
            "CACHE_GB": str(self.cache_gb),
            "ALLOWED_MODELS": self.allowed_models,
            "GPU_HOUR_PRICE": str(self.gpu_hour_price),
            "VERIFY_LOAD": "1" if self.verify_load else "0",
            "VERIFY_PYTHON": self.python,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        }
