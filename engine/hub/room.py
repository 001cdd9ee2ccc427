"""Whether an account still has room for a private model, as far as the Hub tells it beforehand."""

from collections.abc import Mapping
from typing import Any

from engine.hub import client

FREE_BYTES, PRO_BYTES = 100e9, 1e12
"""Private storage of an account without and with PRO, by the Hub's page on storage limits of August 2026. What an
organisation has is in its contract, which the Hub tells nobody."""
NEARLY = 0.95


def doubt(me: Mapping[str, Any], token: str, namespace: str, address: str, deadline: float) -> str:
    """A sentence where the account's private storage is nearly full; empty where it is not, or cannot be known.

    `me` is what the Hub says of the token's owner.
    """
    if me["name"] != namespace:
        return ""
    api = client.connect(token, address)
    try:
        listed = client.retried(
            lambda: list(api.list_models(author=namespace, expand=["private", "usedStorage"])), deadline
        )
    except client.TROUBLE:
        return ""  # it is only a doubt, and the push itself says what is wrong
    used = sum(model.used_storage or 0 for model in listed if model.private)
    return said(namespace, used, PRO_BYTES if me.get("isPro") else FREE_BYTES)


def said(namespace: str, used: float, limit: float) -> str:
    if used < NEARLY * limit:
        return ""
    return (
        f"The private models of {namespace} take {used / 1e9:.0f} of its {limit / 1e9:.0f} GB on the Hub, so there "
        "may be no room for another: remove some, raise the plan, or name another namespace."
    )
