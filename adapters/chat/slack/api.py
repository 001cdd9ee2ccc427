"""Slack's Web API as this adapter calls it: paced, and its errors in the words of the port."""

import asyncio
import json
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from adapters.chat.slack.pace import Pace
from adapters.chat.slack.settings import SlackSettings
from bot.chat import Denied, Gone, TryLater

GONE = {
    "cant_update_message",
    "channel_not_found",
    "cannot_dm_bot",
    "edit_window_closed",
    "file_deleted",
    "file_not_found",
    "is_archived",
    "message_not_found",
    "messages_tab_disabled",
    "not_in_channel",
    "thread_not_found",
    "user_disabled",
    "user_not_found",
    "user_not_in_channel",
    "users_not_found",
}
NO_LONGER_OURS = {"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"}
AGAIN = {"fatal_error", "internal_error", "request_timeout", "service_unavailable"}
RETRY_S = 5.0
BROKEN_S = 60.0
SETTLE_S = 3.0
SLACK = (".slack.com", ".slack-edge.com", ".slack-files.com")
WHISPER = aiohttp.ClientTimeout(total=10)


class Refused(Exception):
    """Slack would not do it, for a reason that the port has no word for; `error` is Slack's."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Lost(TryLater):
    """Slack was called and gave no answer: what was asked for may be done, or not."""


class Calls(Protocol):
    async def call(self, method: str, **arguments: Any) -> dict[str, Any]: ...


class Api:
    """`broken` is set, with Slack's reason, once the token is no longer taken."""

    def __init__(self, settings: SlackSettings) -> None:
        self.token = settings.bot_token.get_secret_value()
        # Its own retries would post twice where only the answer was lost.
        self.url = settings.api_url
        self.client = AsyncWebClient(token=self.token, base_url=settings.api_url, timeout=30, retry_handlers=[])
        self.pace = Pace()
        self.broken = ""
        self.is_broken = asyncio.Event()
        self.begun: set[asyncio.Task[AsyncSlackResponse]] = set()

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Slack's answer. Raises Gone, Denied, TryLater (Lost where it may be done), or Refused with Slack's own word.

        Everything is sent as a form, the one way that all methods take.
        """
        if self.broken:
            raise TryLater(BROKEN_S)
        channel = str(arguments.get("channel", ""))
        self.pace.take(method, channel)
        form = {name: _text(value) for name, value in arguments.items() if value is not None}
        try:
            answer = await asyncio.shield(self._begun(method, form))
        except SlackApiError as error:
            raise self._in_our_words(method, channel, error) from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Lost(RETRY_S) from None
        return answer.data if isinstance(answer.data, dict) else {}

    def _begun(self, method: str, form: dict[str, str]) -> asyncio.Task[AsyncSlackResponse]:
        """A call that is not cut off where its caller is: Slack may have done it already, and its connection is to
        be closed in order."""
        task = asyncio.ensure_future(self.client.api_call(method, data=form))
        self.begun.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[AsyncSlackResponse]) -> None:
        self.begun.discard(task)
        if not task.cancelled():
            task.exception()

    async def whisper(self, url: str, text: str) -> None:
        """Say `text` to whoever pressed or typed what brought this `response_url`, and to nobody else. It works where
        the bot is no member, five times in half an hour. Raises Gone afterwards."""
        if not is_slacks(url, self.url):
            raise Gone(url)
        said = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            async with aiohttp.ClientSession(timeout=WHISPER) as session, session.post(url, json=said) as answer:
                if answer.status != 200:
                    raise Gone(f"{url}: {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise TryLater(RETRY_S) from None

    async def settled(self) -> None:
        """Wait for the calls that are under way, for a moment."""
        if self.begun:
            await asyncio.wait(self.begun, timeout=SETTLE_S)

    def _in_our_words(self, method: str, channel: str, failure: SlackApiError) -> Exception:
        response: Any = failure.response
        told = response.data if isinstance(getattr(response, "data", None), dict) else {}
        status, error = getattr(response, "status_code", 0), str(told.get("error", ""))
        if status == 429 or error in ("ratelimited", "rate_limited"):
            wait = float(getattr(response, "headers", {}).get("Retry-After", RETRY_S))
            self.pace.closed(method, channel, wait)
            return TryLater(wait)
        if error in NO_LONGER_OURS:
            self.broken = error
            self.is_broken.set()
            return TryLater(BROKEN_S)
        if error in GONE:
            return Gone(f"{channel}: {error}")
        if error == "missing_scope":
            return Denied(str(told.get("needed", error)))
        if status >= 500 or error in AGAIN:
            return Lost(RETRY_S)
        return Refused(error or str(failure))


class Patient:
    """The same calls, waiting for as long as Slack or our own pace asks to."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        while True:
            try:
                return await self.api.call(method, **arguments)
            except TryLater as wait:
                await asyncio.sleep(wait.seconds)


def is_slacks(url: str, api_url: str) -> bool:
    """Whether an address is one of Slack's own; what is secret is sent to no other."""
    there, api = urlsplit(url), urlsplit(api_url)
    if (there.scheme, there.netloc) == (api.scheme, api.netloc):
        return True
    return there.scheme == "https" and f".{there.hostname}".endswith(SLACK)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
