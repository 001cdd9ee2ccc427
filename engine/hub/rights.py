"""Whether a token may push to a namespace, said before any work is done."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.hub import client
from engine.refusal import Refusal

SETTINGS = f"{client.PUBLIC}/settings/tokens"
WRITE = "repo.write"
WRITING_ROLES = ("admin", "write", "contributor")


def check(token: str | None, namespace: str, address: str = "", deadline: float = 0) -> str:
    """The name of the token's owner. Raises Refusal for a token that is missing, wrong, read-only or of others."""
    return str(checked(token, namespace, address, deadline)["name"])


def checked(token: str | None, namespace: str, address: str = "", deadline: float = 0) -> Mapping[str, Any]:
    """What the Hub says of a token that may push to `namespace`. Raises Refusal.

    Passing trouble of the Hub is waited out until `deadline`, by time.monotonic().
    """
    if not token:
        raise Refusal(
            f"There is no token to push with: make one with write rights at {SETTINGS}, set HF_TOKEN.", "token"
        )
    me = whoami(token, namespace, address, deadline)
    owner = str(me["name"])
    access: Mapping[str, Any] = me.get("auth", {}).get("accessToken", {})
    if access.get("role") == "read":
        raise Refusal(f"The token of {owner} may only read: make one with write rights at {SETTINGS}.", "token")
    check_namespace(me, owner, namespace)
    fine = access.get("fineGrained")
    if access.get("role") == "fineGrained" and isinstance(fine, Mapping):
        check_scopes(fine, owner, namespace)
    return me


def whoami(token: str, namespace: str, address: str, deadline: float) -> Mapping[str, Any]:
    """What the Hub says of the token. Raises Refusal."""
    try:
        told: Mapping[str, Any] = client.retried(client.connect(token, address).whoami, deadline)
    except client.TROUBLE as error:
        if client.status(error) in (401, 403):
            raise Refusal(
                f"The Hub does not know our token (HF_TOKEN): make a new one with write rights at {SETTINGS}.", "token"
            ) from error
        raise client.explain(error, namespace, address or client.endpoint(), True) from error
    return told


def namespaces(token: str | None, address: str = "", deadline: float = 0) -> list[str]:
    """Those that the token may push to, its owner first. Raises Refusal where there is none."""
    me = whoami(token or "", "", address, deadline)
    names = [str(me["name"]), *(str(org["name"]) for org in me.get("orgs", []))]
    found, reasons = [], []
    for name in names:
        try:
            check(token, name, address, deadline)
        except Refusal as refusal:
            reasons.append(refusal)
        else:
            found.append(name)
    if not found:
        raise reasons[0]
    return found


def where_to_get_one(address: str) -> str:
    if client.is_loopback(address or client.endpoint()):
        return "take the one in the local Hub's file `token`"
    return f"make one with write rights at {SETTINGS}"


def check_namespace(me: Mapping[str, Any], owner: str, namespace: str) -> None:
    orgs = {str(org["name"]): str(org.get("roleInOrg", "write")) for org in me.get("orgs", [])}
    if namespace == owner:
        return
    if namespace not in orgs:
        mine = " or ".join([owner, *orgs])
        raise Refusal(
            f"{owner} is no member of {namespace}, so nothing can be pushed there: name {mine}, or ask {namespace} "
            "to let them in.",
            "namespace",
        )
    if orgs[namespace] not in WRITING_ROLES:
        raise Refusal(
            f"{owner} may only read in {namespace}: ask its administrators for the role “write” or “contributor”.",
            "namespace",
        )


def check_scopes(fine: Mapping[str, Any], owner: str, namespace: str) -> None:
    """A fine-grained token names what it may do, for all or for single users, organisations and repos."""
    if WRITE in [*fine.get("global", []), *permissions(fine, namespace)]:
        return
    raise Refusal(
        f"The fine-grained token of {owner} may not write in {namespace}: add “Write access to contents of all repos” "
        f"for {namespace} at {SETTINGS}.",
        "token",
    )


def permissions(fine: Mapping[str, Any], namespace: str) -> Iterator[str]:
    for scope in fine.get("scoped", []):
        entity = scope.get("entity", {})
        if entity.get("type") in ("user", "org") and entity.get("name") == namespace:
            yield from scope.get("permissions", [])
