"""Ray's Jobs API over HTTP, as much of it as we need. Raises Unreachable where the cluster does not answer."""

from collections.abc import Mapping
from typing import Any

import httpx2

TIMEOUT_S = 20.0
OVER = ("SUCCEEDED", "FAILED", "STOPPED")


class Unreachable(Exception):
    """The cluster said nothing, or nothing that can be understood; it says nothing about a job."""


class Jobs:
    def __init__(self, address: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._address = address.rstrip("/")
        self._settings: dict[str, Any] = {"headers": headers, "timeout": TIMEOUT_S, "trust_env": False}

    async def start(self, id: str, entrypoint: str, variables: Mapping[str, str], more: Mapping[str, Any]) -> None:
        """Submit a job; one that has that id already is left as it is."""
        if await self.job(id) is not None:
            return
        body = {"submission_id": id, "entrypoint": entrypoint, "runtime_env": {"env_vars": dict(variables)}, **more}
        answer = await self._ask("POST", "/api/jobs/", body)
        # A second submit of an id is answered with a plain 500: whether the job is there is what counts.
        if answer.status_code != 200 and await self.job(id) is None:
            raise Unreachable(f"Ray did not take the job ({answer.status_code}): {_last_line(answer.text)}")

    async def job(self, id: str) -> dict[str, Any] | None:
        """What Ray says of a job: `status`, `message`, `driver_exit_code` …; None where it knows none of that id."""
        answer = await self._ask("GET", f"/api/jobs/{id}")
        if answer.status_code == 404:
            return None
        return dict(_content(answer))

    async def jobs(self) -> list[dict[str, Any]]:
        return list(_content(await self._ask("GET", "/api/jobs/")))

    async def stop(self, id: str) -> None:
        """Ask Ray to end a job; harmless for one that is over or unknown."""
        await self._ask("POST", f"/api/jobs/{id}/stop")

    async def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        try:
            async with httpx2.AsyncClient(**self._settings) as client:
                answer = await client.request(verb, self._address + path, json=body)
        except httpx2.HTTPError as error:
            raise Unreachable(f"Ray at {self._address} does not answer: {type(error).__name__}.") from error
        if answer.status_code in (401, 403):
            raise Unreachable(f"Ray at {self._address} refuses the token: set RAY_AUTH_TOKEN to the cluster's.")
        return answer


def _content(answer: httpx2.Response) -> Any:
    if answer.status_code != 200:
        raise Unreachable(f"Ray answered {answer.status_code}: {_last_line(answer.text)}")
    return answer.json()


def _last_line(text: str) -> str:
    """A traceback's last line says what is wrong."""
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "nothing more"
