"""The API around a repo: who asks, create, settings, info, tree. The paths are in `app.API`."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from aiohttp import web

from adapters.localhub import cards, info
from adapters.localhub.answers import No, no_repo
from adapters.localhub.repos import Repo, Shelf, check_name
from adapters.localhub.tokens import Tokens, Who, check_may_read_files, check_may_see, check_may_write


@dataclass(frozen=True)
class Hub:
    shelf: Shelf
    tokens: Tokens

    def again(self, repo: Repo) -> Repo:
        """The repo as it stands now, asked within `shelf.locked()`: it may have changed since the request came."""
        found = self.shelf.find(repo.kind, repo.id)
        if found is None:
            raise no_repo()
        return found


HUB = web.AppKey("hub", Hub)


def repo_id(request: web.Request) -> str:
    return f"{request.match_info['namespace']}/{request.match_info['name']}"


def seen(request: web.Request) -> tuple[Hub, Repo]:
    """The repo of the path, if the asker may know of it."""
    hub = request.app[HUB]
    return hub, check_may_see(hub.tokens.who(request), hub.shelf.find(request.match_info["kind"], repo_id(request)))


def readable(request: web.Request) -> tuple[Hub, Repo]:
    hub, repo = seen(request)
    check_may_read_files(hub.tokens.who(request), repo)
    return hub, repo


def writable(request: web.Request) -> tuple[Hub, Repo, Who]:
    hub, repo = seen(request)
    return hub, repo, check_may_write(hub.tokens.who(request), repo.namespace, repo.kind[:-1])


def revision(request: web.Request) -> str:
    return request.match_info.get("revision") or "main"


async def body(request: web.Request) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise No(400, f"The request is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise No(400, "The request must be a JSON object")
    return values


async def whoami(request: web.Request) -> web.Response:
    who = request.app[HUB].tokens.who(request)
    if who is None:
        raise No(401, "Invalid username or password.")
    orgs = [{"type": "org", "name": org, "fullname": org, "roleInOrg": who.role} for org in who.orgs]
    token = {"displayName": "local", "role": who.role, "createdAt": info.stamp(0)}
    told = {"type": "user", "id": who.name, "name": who.name, "fullname": who.name, "email": "", "isPro": False}
    told |= {"canPay": False, "orgs": orgs, "auth": {"type": "access_token", "accessToken": token}}
    return web.json_response(told)


def named(values: dict[str, Any], who: Who | None) -> tuple[str, str]:
    """(kind, repo id) of a create or delete request."""
    kind = f"{values.get('type') or 'model'}s"
    namespace = values.get("organization") or (who.name if who else "")
    repo = f"{namespace}/{values.get('name', '')}"
    check_name(repo)
    if kind not in ("models", "datasets"):
        raise No(400, f"This Hub keeps models and datasets, not {kind}")
    return kind, repo


def page(request: web.Request, kind: str, repo: str) -> str:
    return f"{request.scheme}://{request.host}/{'' if kind == 'models' else kind + '/'}{repo}"


async def create(request: web.Request) -> web.Response:
    hub, values = request.app[HUB], await body(request)
    who = hub.tokens.who(request)
    kind, repo = named(values, who)
    who = check_may_write(who, repo.split("/")[0], kind[:-1])
    visibility = values.get("visibility") or ("private" if values.get("private") else "public")
    if visibility not in ("public", "private"):
        raise No(400, f"Unknown visibility: {visibility}")
    url = page(request, kind, repo)
    with hub.shelf.locked():
        if hub.shelf.find(kind, repo):
            told = {"error": f"You already created this {kind[:-1]} repo: {repo}", "url": url}
            return web.json_response(told, status=409)
        made = hub.shelf.create(kind, repo, visibility, who.name)
    return web.json_response({"url": url, "name": repo, "id": repo, "private": made.is_private})


async def delete(request: web.Request) -> web.Response:
    hub, values = request.app[HUB], await body(request)
    who = hub.tokens.who(request)
    kind, repo = named(values, who)
    found = check_may_see(who, hub.shelf.find(kind, repo))
    check_may_write(who, found.namespace)
    with hub.shelf.locked():
        hub.shelf.delete(hub.again(found))
    return web.json_response({})


async def settings(request: web.Request) -> web.Response:
    hub, repo, _ = writable(request)
    values = await body(request)
    with hub.shelf.locked():
        changed = with_settings(hub.again(repo), values)
        hub.shelf.save(changed)
    told = {"private": changed.is_private, "visibility": changed.visibility, "gated": changed.gated or False}
    return web.json_response(told)


def with_settings(repo: Repo, values: dict[str, Any]) -> Repo:
    visibility = values.get("visibility", repo.visibility)
    if "private" in values:
        visibility = "private" if values["private"] else "public"
    gated = values.get("gated", repo.gated) or ""
    if visibility not in ("public", "private") or gated not in ("", "auto", "manual"):
        raise No(400, "Unknown visibility or gating")
    return replace(repo, visibility=visibility, gated=gated)


async def validate_card(request: web.Request) -> web.Response:
    values = await body(request)
    errors, warnings = cards.faults(str(values.get("content", "")))
    told = {"errors": [{"message": one} for one in errors], "warnings": [{"message": one} for one in warnings]}
    return web.json_response(told, status=400 if errors else 200)


async def list_repos(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    who, author = hub.tokens.who(request), request.query.get("author")
    words = request.query.get("search", "").lower()
    told = []
    for repo in hub.shelf.list(request.match_info["kind"]):
        is_mine = who is not None and who.owns(repo.namespace)
        if (is_mine or not repo.is_private) and author in (None, repo.namespace) and words in repo.id.lower():
            told.append(info.info(hub.shelf, repo, hub.shelf.at(repo, "main")))
    return web.json_response(told[: int(request.query.get("limit", "1000"))])


async def repo_info(request: web.Request) -> web.Response:
    hub, repo = seen(request)
    has_blobs = request.query.get("blobs", "").lower() in ("true", "1")
    return web.json_response(info.info(hub.shelf, repo, hub.shelf.at(repo, revision(request)), has_blobs))


async def auth_check(request: web.Request) -> web.Response:
    if request.path.endswith("/write"):
        writable(request)
    else:
        readable(request)
    return web.json_response({})


async def tree(request: web.Request) -> web.Response:
    hub, repo = readable(request)
    found = hub.shelf.at(repo, revision(request))
    folder = request.match_info.get("path", "").strip("/")
    is_recursive = request.query.get("recursive", "").lower() in ("true", "1")
    told = info.tree(found, folder, is_recursive)
    if folder and not told:
        raise No(404, f"{folder} does not exist", "EntryNotFound")
    return web.json_response(told)


async def paths_info(request: web.Request) -> web.Response:
    hub, repo = readable(request)
    found = hub.shelf.at(repo, revision(request))
    paths = {str(path).rstrip("/") for path in (await request.post()).getall("paths", [])}
    return web.json_response([one for one in info.tree(found, "", True) if one["path"] in paths])


async def refs(request: web.Request) -> web.Response:
    _, repo = readable(request)
    pulls = {name: sha for name, sha in repo.refs.items() if name.startswith("refs/pr/")}
    branches = {name: sha for name, sha in repo.refs.items() if name not in pulls}
    told: dict[str, Any] = {
        "branches": [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": sha} for name, sha in branches.items()
        ],
        "tags": [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha} for name, sha in repo.tags.items()],
        "converts": [],
    }
    if request.query.get("include_prs"):
        told["pullRequests"] = [{"name": name, "ref": name, "targetCommit": sha} for name, sha in pulls.items()]
    return web.json_response(told)


async def commits(request: web.Request) -> web.Response:
    hub, repo = readable(request)
    told = [
        {"id": one.id, "title": one.title, "message": one.message, "date": info.stamp(one.at)}
        | {"authors": [{"user": one.author}]}
        for one in hub.shelf.history(repo, revision(request))
    ]
    return web.json_response(told)


async def nothing(request: web.Request) -> web.Response:
    raise no_repo()
