"""Who is asking. One write token lies in the data folder (`token`, readable by its owner only); its user is `local`.

More people may be named in `people.json` there: `{"hf_…": {"name": "ann", "role": "read", "orgs": [], "gated": []}}`.
Without a token only public repos can be read. The pages are opened with a key that is made from the token, never
with the token itself.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from adapters.localhub.answers import No, no_login, no_repo
from adapters.localhub.repos import Repo

LOCAL = "local"
EMBEDDED = "embedded"
COOKIE = "localhub"


@dataclass(frozen=True)
class Who:
    """A person with a token. `role` is read or write; `gated` names the gated repos that were opened to them."""

    name: str
    role: str = "read"
    orgs: tuple[str, ...] = ()
    gated: tuple[str, ...] = ()

    def owns(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs


def local_token(data: Path) -> str:
    """The write token of this Hub, made at the first call."""
    path = data / "token"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(f"hf_{secrets.token_hex(17)}")
    return path.read_text(encoding="utf-8").strip()


class Tokens:
    def __init__(self, data: Path) -> None:
        self.token = local_token(data)
        people = data / "people.json"
        more = msgspec.json.decode(people.read_bytes(), type=dict[str, Who]) if people.exists() else {}
        self.people: Mapping[str, Who] = {**more, self.token: Who(LOCAL, "write", (EMBEDDED,))}

    def sign(self, text: str) -> str:
        return hmac.new(self.token.encode(), text.encode(), hashlib.sha256).hexdigest()

    def is_signed(self, text: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text), signature)

    @property
    def page_key(self) -> str:
        return self.sign("pages")

    def who(self, request: web.Request) -> Who | None:
        """The person behind a request, None without a token; a token that nobody has is refused."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            return self._reader(request)
        if kind != "Bearer" or token not in self.people:
            raise No(401, "Invalid credentials in Authorization header")
        return self.people[token]

    def _reader(self, request: web.Request) -> Who | None:
        """The browser of the local user: it may look, never change."""
        is_look = request.method in ("GET", "HEAD")
        has_key = hmac.compare_digest(request.cookies.get(COOKIE, ""), self.page_key)
        return Who(LOCAL, "read", (EMBEDDED,)) if is_look and has_key else None

    def leaks_into(self, content: bytes) -> bool:
        return any(token.encode() in content for token in self.people)


def check_may_see(who: Who | None, repo: Repo | None) -> Repo:
    """The repo, if it exists for this person; a stranger cannot tell a private repo from none."""
    is_mine = repo is not None and who is not None and who.owns(repo.namespace)
    if repo is None or (repo.is_private and not is_mine):
        raise no_repo() if who else no_login()
    return repo


def check_may_read_files(who: Who | None, repo: Repo) -> None:
    if not repo.gated or (who and (who.owns(repo.namespace) or repo.id in who.gated)):
        return
    status = 403 if who else 401
    text = f"Access to {repo.kind[:-1]} {repo.id} is restricted. Ask its owner for access on the repo's page."
    raise No(status, text, "GatedRepo")


def check_may_write(who: Who | None, namespace: str, what: str = "model") -> Who:
    if who is None:
        raise No(401, "Invalid username or password.")
    if who.role != "write" or not who.owns(namespace):
        raise No(403, f'You don\'t have the rights to create a {what} under the namespace "{namespace}"')
    return who
