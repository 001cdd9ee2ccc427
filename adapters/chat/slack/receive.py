"""Everything that Slack delivers → the bot's handler → what Slack is told, once it is stored."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import structlog

from adapters.chat.slack.api import Refused
from adapters.chat.slack.blocks import clean, escape
from adapters.chat.slack.files import completed
from adapters.chat.slack.reading import (
    Bot,
    Payload,
    incomings,
    is_from_a_person,
    press,
    slash,
)
from adapters.chat.slack.surfaces import forms, home
from bot.chat import Denied, Gone, Handler, Incoming, Message, Person, TryLater
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.slack.chat import SlackChat

log = structlog.get_logger()
REMEMBERED = 2000


class Receiver:
    """`answer` is for all that Slack delivers; one thing at a time, so that a thread's messages keep their order."""

    def __init__(self, chat: "SlackChat", me: Bot, handler: Handler) -> None:
        self.chat, self.me, self.handler = chat, me, handler
        self.order = asyncio.Lock()
        self.done: OrderedDict[str, None] = OrderedDict()

    async def answer(self, body: Payload) -> Payload | None:
        """What Slack is told; None is a bare acknowledgement."""
        match body.get("type"):
            case "event_callback":
                await self._event(body["event"])
            case "block_actions":
                await self._pressed(body)
            case "view_submission":
                return await forms.submitted(self, body)
            case "block_suggestion":
                return forms.suggested(body)
            case "message_action":
                await forms.open_for_message(self, body)
            case None if "command" in body:
                return await self._slash(body)
        return None

    async def _event(self, event: Payload) -> None:
        match event.get("type"):
            case "message":
                await self.message(event, event["channel"])
            case "app_home_opened" if event.get("tab") == "home":
                await home.publish(self.chat.api, event["user"])
            case "member_joined_channel" if event.get("user") == self.me.user:
                await self._quietly(home.welcome(self.chat, self.me, event["channel"]))

    async def message(self, message: Payload, channel: str) -> None:
        """A message, whether Slack delivered it or the history brought it."""
        refused: list[tuple[Incoming, Refusal]] = []
        async with self.order:
            if is_from_a_person(message, self.me):
                message = await completed(self.chat.api, message)
                person = await self.chat.people.person(message["user"])
                for incoming in incomings(message, channel, self.me, person):
                    refusal = await self._hand_over(incoming)
                    refused += [(incoming, refusal)] if refusal else []
            self.chat.stands.note(channel, message["ts"])
        for incoming, refusal in refused:
            await self._tell(incoming, refusal)

    async def hand_over(self, *things: Incoming) -> Refusal | None:
        """In this order; the first refusal ends it."""
        async with self.order:
            for incoming in things:
                if refusal := await self._hand_over(incoming):
                    return refusal
        return None

    async def _hand_over(self, incoming: Incoming) -> Refusal | None:
        if incoming.key in self.done:
            return None
        refusal = await self.handler(incoming)
        self.done[incoming.key] = None
        if len(self.done) > REMEMBERED:
            self.done.popitem(last=False)
        return refusal

    async def person(self, body: Payload) -> Person:
        user = body.get("user") or {"id": body.get("user_id"), "name": body.get("user_name")}
        return await self.chat.people.person(user["id"], user.get("username") or user.get("name") or "")

    async def _pressed(self, body: Payload) -> None:
        action = body["actions"][0]
        if action.get("action_id") == home.OPEN_FORM:
            await forms.open_form(self, body["trigger_id"], forms.Start(body["user"]["id"]))
        elif body.get("view") and action.get("value", "").startswith(home.COMMAND):
            await home.command(self, body, action["value"].removeprefix(home.COMMAND))
        elif action.get("type") == "button" and not action.get("url") and action.get("value"):
            incoming = press(body, self.me, await self.person(body))
            if refusal := await self.hand_over(incoming):
                await self._tell(incoming, refusal)

    async def _slash(self, body: Payload) -> Payload | None:
        """A method, or nothing, opens the form; other words are answered to who typed them."""
        incoming = slash(body, self.me, await self.person(body))
        try:
            start = forms.wanted(incoming)
        except Refusal as refusal:
            return {"response_type": "ephemeral", "text": shown(refusal)}
        if start:
            await forms.open_form(self, body["trigger_id"], start)
            return None
        refused = await self.hand_over(incoming)
        return {"response_type": "ephemeral", "text": shown(refused)} if refused else None

    async def _tell(self, incoming: Incoming, refusal: Refusal) -> None:
        note = Message(f"{incoming.key}/refusal", refusal.text, only_for=incoming.person)
        await self._quietly(self.chat.post(incoming.place, note))

    async def _quietly(self, telling: Any) -> None:
        """What is only said, and not stored, must not keep Slack from its acknowledgement."""
        try:
            await telling
        except (Gone, Denied, TryLater, Refused) as reason:
            log.warning("not told", reason=repr(reason))


def shown(refusal: Refusal) -> str:
    return escape(clean(refusal.text))
