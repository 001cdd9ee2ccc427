"""A real Ray cluster for tests: a head and workers on loopback with token auth, each in a PID namespace of its own
where that is allowed, so that ending its first process is the loss of a machine. Everything is stopped by its id."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-ray" / "bin" / "python"
RAY = PYTHON.with_name("ray")
TOKEN = "a-token-for-tests-of-32-characters-or-more"
START_S = 120.0
OPTIONS = (
    *("--object-store-memory=100000000", "--memory=4000000000", "--num-gpus=0", "--disable-usage-stats"),
    *("--min-worker-port=0", "--max-worker-port=0", "--block"),
)
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    if not RAY.exists():
        return "Ray is not installed for tests: `make ray` does it"
    if not can_part():
        return "PID namespaces are not allowed here, and without them two Ray nodes of one machine are one"
    return ""


def can_part() -> bool:
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False) if shutil.which("unshare") else None
    return tried is not None and tried.returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """`url` is the Jobs API. With `rocksdb` the head keeps what it knows in a folder and may be started again."""

    def __init__(self, cpus: int = 2, rocksdb: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tray"))
        self.cpus = cpus
        self.rocksdb = rocksdb
        self.port, self.dashboard = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.dashboard}"
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}

    def start_head(self, timeout_s: float = START_S) -> None:
        ports = [f"--port={self.port}", f"--dashboard-port={self.dashboard}", "--dashboard-host=127.0.0.1"]
        ports += [f"--ray-client-server-port={free_port()}"]
        self._start("head", ["--head", "--node-ip-address=127.0.0.1", *ports], self.cpus)
        self.wait_ready(timeout_s)

    def start_worker(self, name: str, cpus: int) -> None:
        self._start(name, [f"--address=127.0.0.1:{self.port}", "--node-ip-address=127.0.0.1"], cpus)

    def _start(self, name: str, options: list[str], cpus: int) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        command = [*NAMESPACE, str(RAY), "start", *options, f"--num-cpus={cpus}", *OPTIONS]
        command += [f"--dashboard-agent-listen-port={free_port()}"]  # the usual one may be another cluster's
        command += [f"--temp-dir={self.folder / 'ray'}"] if name == "head" else []
        self.nodes[name] = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment(), start_new_session=True
        )
        log.close()

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        storage = {
            "RAY_gcs_storage": "rocksdb",
            "RAY_gcs_storage_path": str(self.folder / "gcs"),
            "RAY_gcs_rpc_server_reconnect_timeout_s": "120",
        }
        auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_DEDUP_LOGS": "0", "OMP_NUM_THREADS": "1"}
        return {**kept, **auth, **(storage if self.rocksdb else {})}

    def ask(self, path: str) -> object:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx2.get(self.url + path, headers=headers, timeout=5, trust_env=False).json()

    def wait_ready(self, timeout_s: float = START_S) -> None:
        self._until(self.takes_jobs, timeout_s)

    def takes_jobs(self) -> bool:
        """Whether a job is taken: the API answers some seconds before."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        body = {"entrypoint": "true", "entrypoint_num_cpus": 0}
        answer = httpx2.post(f"{self.url}/api/jobs/", headers=headers, json=body, timeout=30, trust_env=False)
        return answer.status_code == 200

    def wait_nodes(self, count: int, timeout_s: float = START_S) -> None:
        self._until(lambda: len(self.alive()) == count, timeout_s)

    def alive(self) -> list[str]:
        found = self.ask("/api/v0/nodes?detail=false&limit=100")
        rows = found["data"]["result"]["result"]  # type: ignore[index]
        return [row["node_id"] for row in rows if row["state"] == "ALIVE"]

    def _until(self, question: object, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(httpx2.HTTPError, ValueError, KeyError, TypeError):
                if question():  # type: ignore[operator]
                    return
            assert time.monotonic() < until, self.logs()
            time.sleep(0.2)

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))

    def kill(self, name: str) -> None:
        """The machine is gone, with everything that ran on it."""
        process = self.nodes.pop(name)
        inside = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)  # noqa: S607
        for pid in inside.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for name in sorted(self.nodes, reverse=True):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def cluster(cpus: int = 2, rocksdb: bool = False) -> Iterator[Cluster]:
    """A head that runs; skipped in words where Ray is not there."""
    if why := missing():
        pytest.skip(why)
    made = Cluster(cpus, rocksdb)
    try:
        made.start_head()
        yield made
    finally:
        made.stop()
