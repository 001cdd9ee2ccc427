"""A headless Chromium, spoken to in its own protocol: opens a page, clicks, and takes pictures."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
CLICK = """(() => { const found = [...document.querySelectorAll('button')].filter(
  each => each.textContent.trim() === %s && !each.disabled);
  if (found.length) found.at(-1).click();
  return found.length; })()"""

SHOW = """(() => { const found = [...document.querySelectorAll('body *')].filter(each =>
  [...each.childNodes].some(node => node.nodeType === 3 && node.data.includes(%s)));
  if (found.length) found.at(-1).scrollIntoView({block: 'start'}); })()"""


class Page:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self.socket.receive()).data)
            if answer.get("id") == number:
                result: dict[str, Any] = answer["result"]
                return result

    async def evaluate(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def clicks(self, label: str, timeout_s: float = 30) -> None:
        """The last button of that label, once there is one."""
        async with asyncio.timeout(timeout_s):
            while not await self.evaluate(CLICK % json.dumps(label)):  # noqa: ASYNC110  a page tells nobody
                await asyncio.sleep(0.2)

    async def sees(self, text: str, timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while text not in (await self.evaluate("document.body.innerText") or ""):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def picture(self, path: Path, text: str) -> None:
        """With the last place where this text stands on top."""
        await self.evaluate(SHOW % json.dumps(text))
        await asyncio.sleep(1)
        found = await self.call("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def browser(url: str, width: int = 1180, height: int = 1100) -> AsyncIterator[Page]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "there is no chromium here"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        size = f"--window-size={width},{height}"
        child = await asyncio.create_subprocess_exec(
            program, *FLAGS, size, f"--user-data-dir={home}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _page(session, Path(home))) as socket,
            ):
                page = Page(socket)
                await page.call("Page.enable")
                await page.call("Page.navigate", url=url)
                yield page
        finally:
            child.terminate()
            await child.wait()


async def _page(session: aiohttp.ClientSession, home: Path) -> str:
    """Where the first page listens, once the browser wrote its port down."""
    async with asyncio.timeout(90):
        while not (port := _port(home)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)


def _port(home: Path) -> str:
    """Empty until the browser has written it, whole: its line is ended."""
    file = home / "DevToolsActivePort"
    return next(iter(file.read_text().splitlines()[:-1]), "") if file.exists() else ""
