"""What deploy/ holds is linted by the tools of its own kind, and what it starts is started."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
PATIENCE_S = 120.0


def ran(*command: str | Path, **more: Any) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def tool(name: str) -> Path:
    found = BIN / name
    if not found.exists():
        pytest.skip(f"{name} is not installed; pip install -e '.[dev]' brings it")
    return found


def test_the_dockerfile_is_good_by_hadolint() -> None:
    ran(tool("hadolint"), DEPLOY / "Dockerfile")


def test_both_images_run_as_a_user_with_tini_as_process_1() -> None:
    stages = re.split(r"^FROM ", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    named = {stage.split(" AS ")[1].split()[0]: stage for stage in stages}
    assert 'ENTRYPOINT ["tini", "--"]' in named["base"]
    for target in ("bot", "train"):
        assert named[target].startswith("base AS")
        assert named[target].rstrip().endswith("USER 10001")


def test_everything_that_the_dockerfile_copies_is_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            kept = (ROOT / ".dockerignore").read_text().splitlines()
            assert f"!{source}" in kept, source


def test_the_compose_file_is_one_and_knows_both_profiles() -> None:
    ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services["trainer"]["profiles"] == ["gpu"] and services["trainer"]["build"]["target"] == "train"
    assert services["bot"]["profiles"] == ["remote"] and services["bot"]["build"]["target"] == "bot"
    for service in ("trainer", "bot"):
        assert services[service]["cap_drop"] == ["ALL"] and services[service]["read_only"]


def test_the_kubernetes_manifest_is_valid() -> None:
    ran(tool("kubernetes-validate"), "--strict", DEPLOY / "kubernetes.yaml")


def test_the_health_probes_ask_for_pages_that_there_are() -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text() + (DEPLOY / "Dockerfile").read_text()
    assert set(re.findall(r"/(?:health|ready)z", text)) == {"/healthz", "/readyz"}


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(DEPLOY / "threadtune.service")
    return parsed


def test_the_unit_stops_the_bot_alone_and_waits_before_it_restarts(
    tmp_path: Path, unit: configparser.ConfigParser
) -> None:
    service = unit["Service"]
    assert service["KillMode"] == "process" and service["Restart"] == "always"
    assert int(service["RestartSec"]) > 90
    if shutil.which("systemd-analyze"):
        here = tmp_path / "threadtune.service"
        text = (DEPLOY / "threadtune.service").read_text()
        here.write_text(text.replace("/opt/threadtune/.venv/bin/python", sys.executable))
        ran("systemd-analyze", "verify", "--man=no", here)


def test_the_units_command_serves_and_ends_at_sigterm(tmp_path: Path, unit: configparser.ConfigParser) -> None:
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[0] == "/opt/threadtune/.venv/bin/python"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HTTP_PORT": str(port), "CHAT": "console"}
    command = [sys.executable, *words[1:]]
    with (tmp_path / "log").open("w") as log:
        bot = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            told = wait_for(f"http://127.0.0.1:{port}/readyz")
            assert json.loads(told)["stopped"] == []
            bot.send_signal(signal.SIGTERM)
            assert bot.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
        finally:
            bot.kill()
            bot.wait()
            assert bot.stdin
            bot.stdin.close()


def wait_for(address: str) -> bytes:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # our own, on loopback
                body: bytes = answer.read()
                return body
        except OSError:
            assert time.monotonic() < until, f"{address} does not answer"
            time.sleep(0.1)


def test_the_runbooks_backup_brings_everything_back(tmp_path: Path) -> None:
    text = (DEPLOY / "README.md").read_text()
    backup, restore = re.search(r"^tar --exclude.*$", text, re.M), re.search(r"^tar -xzf.*$", text, re.M)
    assert backup and restore
    kept = tmp_path / "data" / "runs" / "1"
    kept.mkdir(parents=True)
    (kept / "spec.json").write_text("{}")
    (tmp_path / "data" / "cache").mkdir()
    (tmp_path / "data" / "cache" / "model").write_text("large")
    ran(*shlex.split(backup[0]), cwd=tmp_path)
    shutil.rmtree(tmp_path / "data")
    ran(*shlex.split(restore[0]), cwd=tmp_path)
    assert (kept / "spec.json").read_text() == "{}"
    assert not (tmp_path / "data" / "cache").exists()


def test_the_runbooks_downgrade_takes_the_database_back(tmp_path: Path) -> None:
    found = re.search(r'python -c "(from bot.migrate import downgrade.*)"', (DEPLOY / "README.md").read_text())
    assert found
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATA": str(tmp_path)}
    make = "from bot.migrate import upgrade; from bot.settings import Settings; upgrade(Settings().database)"
    ran(sys.executable, "-c", make, cwd=tmp_path, env=environment)
    ran(sys.executable, "-c", found[1], cwd=tmp_path, env=environment)
    look = "import sqlite3; print(sqlite3.connect('threadtune.db').execute('select * from alembic_version').fetchall())"
    assert ran(sys.executable, "-c", look, cwd=tmp_path).strip() == "[('0003',)]"


@pytest.mark.slow
def test_the_slim_images_steps_build_in_a_clean_directory(tmp_path: Path) -> None:
    """Needs a package index; the train image's steps are the same script with torch."""
    source = tmp_path / "src"
    for name in (line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    command = ["sh", str(source / "deploy" / "build.sh"), "bot", str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package index answers here, so the image's steps were not built")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    look = "import importlib.util as u; print([n for n in ('torch', 'transformers', 'trl') if u.find_spec(n)])"
    assert ran(tmp_path / "made" / "bin" / "python", "-c", look, cwd=tmp_path).strip() == "[]"
