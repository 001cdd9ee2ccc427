"""Doors that stand open beside the bot: a Ray cluster that takes jobs from whoever reaches it is not used."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from aiohttp import web

from bot.setup import doctor
from bot.setup.findings import Finding
from tests.cluster import TOKEN, cluster

SERVE_S = 120.0


@asynccontextmanager
async def jobs_api(needs: str) -> AsyncIterator[str]:
    """Ray's Jobs API as far as a door goes; `needs` is the token it asks for, empty where it asks for none."""

    async def answer(request: web.Request) -> web.Response:
        is_let_in = not needs or request.headers.get("Authorization") == f"Bearer {needs}"
        return web.json_response([]) if is_let_in else web.Response(status=401)

    application = web.Application()
    application.add_routes([web.get("/api/jobs/", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"HTTP_PORT": "0", "EXECUTOR": "ray", "HF_ENDPOINT": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)


def wrong(found: list[Finding]) -> str:
    return "\n".join(finding.text for finding in found if finding.state == "wrong")


@pytest.mark.parametrize("token", ["", "a-token"])
async def test_an_open_cluster_is_named_whatever_token_we_send(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    async with jobs_api("") as address:
        monkeypatch.setenv("RAY_JOBS_URL", address)
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        assert "takes jobs from whoever reaches it (status 200 without a token)" in wrong(await doctor.examine(True))


async def test_a_wrong_token_is_named_and_the_right_one_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async with jobs_api("right-token") as address:
        monkeypatch.setenv("RAY_JOBS_URL", address)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong-token")
        assert "refuses RAY_AUTH_TOKEN" in wrong(await doctor.examine(True))
        monkeypatch.setenv("RAY_AUTH_TOKEN", "right-token")
        assert wrong(await doctor.examine(True)) == ""


async def test_serve_does_not_start_beside_an_open_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    async with jobs_api("") as address:
        monkeypatch.setenv("RAY_JOBS_URL", address)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        command = [sys.executable, "-m", "bot", "serve"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=SERVE_S)
    assert done.returncode == 1 and "takes jobs from whoever reaches it" in done.stderr


async def test_a_cluster_that_is_away_is_no_reason_not_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOBS_URL", "http://127.0.0.1:9")
    found = await doctor.examine(True)
    assert wrong(found) == "" and any("runs wait until it does" in finding.text for finding in found)


@pytest.mark.slow
async def test_a_real_cluster_with_a_token_lets_nobody_in_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(cpus=1) as there:
        for verb, path in (("GET", "/api/jobs/"), ("POST", "/api/jobs/"), ("DELETE", "/api/jobs/raysubmit_1")):
            answer = httpx2.request(verb, there.url + path, json={"entrypoint": "true"} if verb == "POST" else None)
            assert answer.status_code in (401, 403), (verb, answer.status_code)
        monkeypatch.setenv("RAY_JOBS_URL", there.url)
        monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
        found = await doctor.examine(True)
        assert wrong(found) == "" and any("nobody without one" in finding.text for finding in found)
