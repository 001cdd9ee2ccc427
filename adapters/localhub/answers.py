"""What the Hub says when it says no, in the form that its client reads."""

from aiohttp import web


class No(Exception):
    """An answer with an error status. `code` is what the client maps to its exceptions:

    RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo, or empty. `headers` are added to the answer.
    """

    def __init__(self, status: int, text: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.headers = headers or {}

    def response(self) -> web.Response:
        headers = {**self.headers, "X-Error-Message": " ".join(self.text.split())}
        if self.code:
            headers["X-Error-Code"] = self.code
        return web.json_response({"error": self.text}, status=self.status, headers=headers)


def no_repo() -> No:
    return No(404, "Repository not found", "RepoNotFound")


def no_login() -> No:
    """What a stranger hears of a private repo. The code is needed because this Hub speaks http."""
    return No(401, "Invalid username or password.", "RepoNotFound")


def no_revision(name: str) -> No:
    return No(404, f"Invalid rev id: {name}", "RevisionNotFound")


def no_entry(commit: str) -> No:
    return No(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit})
