"""What can be wrong with a Ray cluster: no answer, a wrong token, or a door that is open to whoever reaches it."""

import httpx2

from adapters.executors.ray.settings import RaySettings
from bot.setup.findings import Finding, note, well, wrong

TIMEOUT_S = 10.0
REFUSED = (401, 403)


async def examine() -> list[Finding]:
    """Whoever may send a job to a cluster runs what they like on its nodes, so one without a login is not used."""
    settings = RaySettings()
    try:
        without, within = await status(settings, ""), await status(settings, settings.auth_token.get_secret_value())
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        kind = type(error).__name__
        return [note("Ray", f"{settings.jobs_url} does not answer ({kind}): runs wait until it does.")]
    return [said(settings.jobs_url, without, within)]


def said(address: str, without: int, within: int) -> Finding:
    """Of what the cluster answers without a token, and with ours."""
    if without not in REFUSED:
        return wrong(
            "Ray",
            f"The Ray cluster at {address} takes jobs from whoever reaches it (status {without} without a token): "
            "start it with RAY_AUTH_MODE=token and set RAY_AUTH_TOKEN to its token.",
        )
    if within in REFUSED:
        return wrong("Ray", f"The Ray cluster at {address} refuses RAY_AUTH_TOKEN: set it to the cluster's token.")
    return well("Ray", f"The Ray cluster at {address} takes our token, and nobody without one.")


async def status(settings: RaySettings, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        answer = await client.get(f"{settings.jobs_url.rstrip('/')}/api/jobs/", headers=headers)
    return answer.status_code
