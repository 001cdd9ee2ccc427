"""Pages for people: the models of this Hub, and one page a repo with its card, its files and how to load it."""

import re
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.localhub import cards, info
from adapters.localhub.answers import No
from adapters.localhub.api import HUB, Hub, readable, repo_id, revision, seen
from adapters.localhub.repos import KINDS, Commit, File, Repo
from adapters.localhub.tokens import COOKIE, EMBEDDED, Who

STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; form-action 'none'; base-uri 'none'"
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
OWN_PATH = re.compile(r"(?:/[A-Za-z0-9_][\w.-]*){1,3}", re.ASCII)
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
PARTS = {"load": "Load it", "card": "Card", "files": "Files", "history": "History"}
NAV = "".join(f'<a href="#{part}">{title}</a>' for part, title in PARTS.items())
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="stylesheet" href="/-/style.css"><script src="/-/copy.js" defer></script></head>
<body><header><a href="/">Local Hub</a><span>models that were trained here, kept on this machine</span></header>
<main>{main}</main><footer>It answers on this machine only.</footer></body></html>
"""


def html(title: str, main: str, status: int = 200) -> web.Response:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    text = PAGE.format(title=escape(title), main=main)
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def size(count: float) -> str:
    for unit, name in SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def short(count: int) -> str:
    """A number of parameters, as people say it: 135M, 1.7B."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)


def day(at: float) -> str:
    return strftime("%Y-%m-%d %H:%M", gmtime(at))


def badge(repo: Repo) -> str:
    word = "private" if repo.is_private else "public"
    return f'<span class="badge {word}">{word}</span>' + ('<span class="badge">gated</span>' if repo.gated else "")


async def enter(request: web.Request) -> web.StreamResponse:
    """The link that the start of the Hub prints: it lets this browser read the private repos too.

    `to` names a page of this Hub to go on to, e.g. `/local/facts-sft`; anything else leads to the list.
    """
    key = request.query.get("key", "")
    if key != request.app[HUB].tokens.page_key:
        raise No(403, "This link is not, or no longer, right. Open the one that the local Hub printed when it started.")
    to = request.query.get("to", "")
    response = web.Response(status=302, headers={"Location": to if OWN_PATH.fullmatch(to) else "/"})
    response.set_cookie(COOKIE, key, httponly=True, samesite="Strict", max_age=30 * 24 * 3600)
    return response


async def style(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "style.css")


async def script(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "copy.js")


async def models(request: web.Request) -> web.StreamResponse:
    """What was trained here, newest first, then the base models that came along."""
    hub = request.app[HUB]
    who = hub.tokens.who(request)
    every = [repo for kind in KINDS for repo in hub.shelf.list(kind)]
    shown = sorted((repo for repo in every if is_shown(who, repo)), key=lambda repo: -hub.shelf.at(repo, "main").at)
    ours = [repo for repo in shown if repo.namespace != EMBEDDED]
    bases = [repo for repo in shown if repo.namespace == EMBEDDED]
    empty = "<p>Nothing is here yet: the first run will put its model here.</p>"
    lists = [listing("Trained here", hub, ours) or empty, listing("Base models that come along", hub, bases)]
    return html("Local Hub", f"{''.join(lists)}{hidden_note(len(every) - len(shown))}")


def listing(title: str, hub: Hub, repos: Sequence[Repo]) -> str:
    rows = "".join(line(hub, repo) for repo in repos)
    head = f'<h2>{title} <span class="quiet">{len(repos)}</span></h2>'
    return f'{head}<ul class="repos">{rows}</ul>' if rows else ""


def is_shown(who: Who | None, repo: Repo) -> bool:
    return not repo.is_private or (who is not None and who.owns(repo.namespace))


def hidden_note(count: int) -> str:
    if not count:
        return ""
    are = "is a private repo" if count == 1 else f"are {count} private repos"
    return f'<p class="quiet">There {are} besides. The link that the local Hub printed when it started shows them.</p>'


def line(hub: Hub, repo: Repo) -> str:
    commit = hub.shelf.at(repo, "main")
    card = cards.card_data(info.readme(hub.shelf, commit))
    facts = [str(card.get("pipeline_tag") or ("dataset" if repo.kind == "datasets" else ""))]
    counted = info.safetensors(hub.shelf, commit)
    facts += [f"{'LoRA of ' if is_lora(commit) else ''}{short(counted['total'])} parameters"] if counted else []
    facts.append(size(sum(file.size for file in commit.files)))
    facts += [f"from {base(card)}"] if base(card) else []
    facts.append(f"{day(commit.at)} UTC")
    told = " · ".join(escape(fact) for fact in facts if fact)
    return f'<li><a href="{escape(path(repo))}">{escape(repo.id)}</a>{badge(repo)}<small>{told}</small></li>'


def is_lora(commit: Commit) -> bool:
    return commit.file("adapter_config.json") is not None


def path(repo: Repo) -> str:
    return f"/{'datasets/' if repo.kind == 'datasets' else ''}{repo.id}"


def base(card: dict[str, Any]) -> str:
    value = card.get("base_model") or ""
    return str(value[0] if isinstance(value, list) and value else value or "")


async def repo(request: web.Request) -> web.StreamResponse:
    """The card, the facts and the files of a repo."""
    try:
        hub, found = seen(request)
        readable(request)
    except No as no:
        if no.code not in ("RepoNotFound", "GatedRepo"):
            raise
        text = (
            "There is no such repo, or it is private. The link that the local Hub printed when it started shows those."
        )
        return html("Not found", f"<h1>{escape(repo_id(request))}</h1><p>{text}</p>", status=404)
    commit = hub.shelf.at(found, revision(request))
    readme = info.readme(hub.shelf, commit)
    here = f"{request.scheme}://{request.host}"
    namespace, name = map(escape, found.id.split("/"))
    main = f"""<h1><span class="quiet">{namespace}/</span>{name} {badge(found)}</h1>
<nav>{NAV}</nav>
<div class="sides"><aside>{chips(hub, found, commit, cards.card_data(readme))}</aside><div>
<h2 id="load">Load it</h2>{snippet_block(snippet(here, hub.shelf.root / "token", found, readme))}
<div class="card" id="card">{render(cards.split(readme)[1], f"{path(found)}/resolve/{commit.id}/")}</div>
<h2 id="files">Files</h2><p class="quiet">at commit <code>{commit.id}</code></p>
{file_table(found, commit)}
<h2 id="history">History</h2>{history(hub, found, commit)}</div></div>"""
    return html(found.id, main)


async def pull_request(request: web.Request) -> web.StreamResponse:
    """The same, as it would be with the pull request of that number."""
    request.match_info["revision"] = f"refs/pr/{request.match_info['number']}"
    return await repo(request)


def history(hub: Hub, found: Repo, commit: Commit) -> str:
    """The commits up to this one, with the tags that name them."""
    rows = "".join(history_row(found, one) for one in hub.shelf.history(found, commit.id))
    return f'<ul class="repos">{rows}</ul>'


def history_row(found: Repo, commit: Commit) -> str:
    tags = "".join(f'<span class="badge">{escape(tag)}</span>' for tag, sha in found.tags.items() if sha == commit.id)
    href = escape(f"{path(found)}/commit/{commit.id}")
    told = f"<code>{commit.id[:12]}</code> · {escape(commit.author)} · {day(commit.at)} UTC"
    return f'<li><a href="{href}">{escape(commit.title)}</a>{tags}<small>{told}</small></li>'


def chips(hub: Hub, found: Repo, commit: Commit, card: dict[str, Any]) -> str:
    counted = info.safetensors(hub.shelf, commit)
    facts = {
        "Task": card.get("pipeline_tag"),
        "Base model": base(card),
        "Library": card.get("library_name"),
        "Licence": card.get("license"),
        "LoRA weights" if is_lora(commit) else "Parameters": short(counted["total"]) if counted else "",
        "Size": size(sum(file.size for file in commit.files)),
        "Who can open it": f"only {found.namespace}" if found.is_private else "everybody on this machine",
        "Tags": ", ".join(found.tags),
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts.items() if value)
    return f"<dl>{told}</dl>"


def snippet(here: str, token: Path, found: Repo, readme: str) -> str:
    """A shell command that loads the repo through the unmodified client: by the card's own program where it has one."""
    code = PYTHON.search(readme)
    kind = ", repo_type='dataset'" if found.kind == "datasets" else ""
    program = (
        code[1].strip() if code else f"import huggingface_hub as hub\nprint(hub.snapshot_download('{found.id}'{kind}))"
    )
    allowed = f'HF_TOKEN="$(cat {shlex.quote(str(token))})" ' if found.is_private else ""
    return f"HF_ENDPOINT={here} {allowed}python - <<'END'\n{program}\nEND"


def snippet_block(text: str) -> str:
    return f'<div class="snippet"><pre><code>{escape(text)}</code></pre><button type="button">Copy</button></div>'


def file_table(found: Repo, commit: Commit) -> str:
    rows = "".join(file_row(found, commit, file) for file in commit.files)
    return f"<table><thead><tr><th>File</th><th>Size</th><th>sha256</th></tr></thead><tbody>{rows}</tbody></table>"


def file_row(found: Repo, commit: Commit, file: File) -> str:
    href = escape(f"{path(found)}/resolve/{commit.id}/{file.path}")
    name = f'<a href="{href}">{escape(file.path)}</a>'
    return f"<tr><td>{name}</td><td>{size(file.size)}</td><td><code>{file.sha256}</code></td></tr>"


def render(markdown: str, files: str) -> str:
    """Markdown as HTML. Raw HTML in it is shown, not run; pictures of the repo are shown, others are not fetched."""
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = reader.parse(markdown)
    point_at(tokens, files)
    return str(reader.renderer.render(tokens, reader.options, {}))


def point_at(tokens: Sequence[Token], files: str) -> None:
    """Lead relative addresses to the files of the repo."""
    for token in tokens:
        point_at(token.children or (), files)
        name = {"image": "src", "link_open": "href"}.get(token.type)
        target = str(token.attrs.get(name, "")) if name else ""
        if name and "://" not in target and not target.startswith(("#", "/", "mailto:")):
            token.attrs[name] = files + target.removeprefix("./")
        if token.type == "link_open":
            token.attrs["rel"] = "noopener noreferrer nofollow"
