"""The Hub as one web application: its routes, its answers to errors, and the check that it is asked on loopback."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from adapters.localhub import api, commits, files, pages
from adapters.localhub.answers import No
from adapters.localhub.repos import Shelf
from adapters.localhub.tokens import Tokens

log = logging.getLogger(__name__)
COMMIT_LIMIT = 256 * 1024**2
"""Bytes of one request that is not an LFS upload."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into an answer that the client understands, and refuse pages that were led here by DNS."""
    try:
        if request.host.rpartition(":")[0] not in HOSTS and request.host not in HOSTS:
            raise No(403, "This Hub answers on loopback only")
        response = await handler(request)
    except No as no:
        response = no.response()
    except web.HTTPException as error:
        response = No(error.status, error.reason).response()
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.DecodeError) as error:
        log.warning("%s %s: %r", request.method, request.path, error)
        response = No(400, f"The request is not what this Hub expects: {error}").response()
    if not response.prepared:
        response.headers["X-Request-Id"] = uuid.uuid4().hex
    return response


KIND = "/api/{kind:models|datasets}"
REPO = KIND + "/{namespace}/{name}"
FILE = "/{namespace}/{name}"
API = (
    ("GET", "/api/whoami-v2", api.whoami),
    ("POST", "/api/repos/create", api.create),
    ("DELETE", "/api/repos/delete", api.delete),
    ("POST", "/api/validate-yaml", api.validate_card),
    ("GET", KIND, api.list_repos),
    ("GET", REPO, api.repo_info),
    ("GET", REPO + "/revision/{revision}", api.repo_info),
    ("GET", REPO + "/auth-check", api.auth_check),
    ("GET", REPO + "/auth-check/write", api.auth_check),
    ("PUT", REPO + "/settings", api.settings),
    ("POST", REPO + "/preupload/{revision}", commits.preupload),
    ("POST", REPO + "/commit/{revision}", commits.commit),
    ("GET", REPO + "/tree/{revision}", api.tree),
    ("GET", REPO + "/tree/{revision}/{path:.*}", api.tree),
    ("POST", REPO + "/paths-info/{revision}", api.paths_info),
    ("GET", REPO + "/refs", api.refs),
    ("GET", REPO + "/commits/{revision}", api.commits),
    ("POST", REPO + "/discussions", commits.open_pull),
    ("GET", REPO + r"/discussions/{number:\d+}", commits.pull),
    ("POST", REPO + r"/discussions/{number:\d+}/merge", commits.merge_pull),
    ("POST", REPO + "/branch/{branch}", commits.branch),
    ("DELETE", REPO + "/branch/{branch}", commits.branch),
    ("POST", REPO + "/tag/{revision}", commits.tag),
    ("DELETE", REPO + "/tag/{revision}", commits.tag),
    ("GET", REPO + "/xet-write-token/{revision}", files.xet_token),
    ("PUT", "/-/lfs/{sha256}", files.put),
    ("POST", "/-/lfs/verify", files.verify),
    ("*", "/api/{rest:.*}", api.nothing),
)
PAGES = (
    ("GET", "/", pages.models),
    ("GET", "/-/enter", pages.enter),
    ("GET", "/-/style.css", pages.style),
    ("GET", "/-/copy.js", pages.script),
)


def with_kind(handler: Handler, kind: str) -> Handler:
    """Datasets have their kind in the path of their files, models have none."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request.match_info["kind"] = kind
        return await handler(request)

    return handle


def make_app(data: Path) -> web.Application:
    """The Hub over the state in `data`."""
    app = web.Application(middlewares=[answer], client_max_size=COMMIT_LIMIT)
    app[api.HUB] = api.Hub(Shelf(data), Tokens(data))
    for method, path, handler in (*API, *PAGES):
        app.router.add_route(method, path, handler)
    for head, kind in (("/datasets", "datasets"), ("", "models")):
        repo = head + FILE
        app.router.add_post(repo + ".git/info/lfs/objects/batch", with_kind(files.batch, kind))
        app.router.add_get(repo + "/resolve/{revision}/{path:.+}", with_kind(files.resolve, kind))
        app.router.add_get(repo, with_kind(pages.repo, kind))
        app.router.add_get(repo + "/commit/{revision}", with_kind(pages.repo, kind))
        app.router.add_get(repo + "/tree/{revision}", with_kind(pages.repo, kind))
        app.router.add_get(repo + r"/discussions/{number:\d+}", with_kind(pages.pull_request, kind))
    app.on_response_prepare.append(files.own_etag)
    return app
