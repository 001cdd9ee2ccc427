"""What an operator sets for Ray: `RAY_…` in the environment or `.env`."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class RaySettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="RAY_", env_file=".env", extra="ignore", frozen=True)

    jobs_url: str = Field("http://127.0.0.1:8265", description="Address of the Ray cluster's dashboard and Jobs API.")
    auth_token: SecretStr = Field(
        SecretStr(""), description="Token of the cluster (it runs with RAY_AUTH_MODE=token); empty sends none."
    )
    runs: str = Field(
        "",
        description="Where the cluster finds the runs' folders: the path of DATA/runs on its nodes, or a location such "
        "as s3://bucket/runs that they are copied through; empty is the same path as here.",
    )
    python: str = Field("python3", description="Interpreter on the cluster's nodes that has threadtune's train parts.")
    slots: int = Field(1, ge=1, description="Runs that are given to the cluster at once.")
    slot_gb: float = Field(80, gt=0, description="Memory of one of the cluster's GPUs, in gigabytes.")
    node_gpus: int = Field(
        1, ge=0, description="GPUs of one node; a run with more goes over several nodes; 0 trains on CPUs."
    )
    cpus: float = Field(2, gt=0, description="CPUs that a run asks for, for each GPU.")
    grace_s: float = Field(60, gt=0, description="Seconds that a training on the cluster may take to save and end.")
