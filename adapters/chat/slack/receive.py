"""Everything that Slack delivers → the bot's handler → what Slack is told, once it is stored."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import structlog

from adapters.chat.slack.api import Refused
from adapters.chat.slack.blocks import clean, escape
from adapters.chat.slack.files import completed
from adapters.chat.slack.reading import (
    Bot,
    Payload,
    incomings,
    is_direct,
    is_from_a_person,
    press,
    pressed_at,
    slash,
)
from adapters.chat.slack.surfaces import drops, fields, forms, home
from bot.chat import Denied, Gone, Handler, Incoming, Message, Person, Place, TryLater
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.slack.chat import SlackChat

log = structlog.get_logger()
REMEMBERED = 2000
LATE = "Slack did not let me open the form in time. Please press it once more."


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
            case "view_submission" if body["view"].get("callback_id") == fields.CALLBACK:
                return await self._filled_in(body)
            case "view_submission":
                return await forms.submitted(self, body)
            case "block_suggestion":
                return forms.suggested(body)
            case "message_action":
                await self._opening(body, forms.open_for_message(self, body))
            case None if "command" in body:
                return await self._slash(body)
        return None

    async def _event(self, event: Payload) -> None:
        match event.get("type"):
            case "message":
                await self.message(event, event["channel"])
            case "app_home_opened" if event.get("tab") == "home":
                await home.opened(self, event)
            case "member_joined_channel" if event.get("user") == self.me.user:
                await self.quietly(home.welcome(self.chat, self.me, event["channel"]))

    async def message(self, message: Payload, channel: str) -> None:
        """A message, whether Slack delivered it or the history brought it."""
        refused: list[tuple[Incoming, Refusal]] = []
        asked: list[Incoming] = []
        async with self.order:
            if is_from_a_person(message, self.me):
                message = await completed(self.chat.api, message)
                person = await self.chat.people.person(message["user"])
                done, asked = drops.sorted_out(
                    self.chat.settings.drops, incomings(message, channel, self.me, person), channel
                )
                for incoming in done:
                    refusal = await self._hand_over(incoming)
                    refused += [(incoming, refusal)] if refusal else []
            self.chat.stands.note(channel, message["ts"])
        for incoming, refusal in refused:
            await self._tell(incoming, refusal)
        for incoming in asked:
            await self.quietly(drops.ask(self.chat, incoming))

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
        value = action.get("value") or ""
        if action.get("action_id") == home.OPEN_FORM:
            form = forms.open_form(self, body["trigger_id"], forms.Start(body["user"]["id"]))
            await self._opening(body, form)
        elif body.get("view") and value.startswith(home.COMMAND):
            await home.command(self, body, value.removeprefix(home.COMMAND))
        elif action.get("type") == "button" and not action.get("url") and value:
            await self._button(body, value)

    async def _button(self, body: Payload, value: str) -> None:
        """A press; with a form behind it, the form first; of a file that waits to be asked for, the file."""
        if button := fields.unpacked(value):
            view = fields.view(button, pressed_at(body).place(self.me.team).id)
            opening = self.chat.api.call("views.open", trigger_id=body["trigger_id"], view=view)
            await self._opening(body, opening)
        elif value.startswith(drops.TAKE):
            await drops.taken(self, body, value)
        else:
            await self.do(press(body, self.me, await self.person(body)))

    async def do(self, *things: Incoming) -> None:
        """Hand over; what is refused is said to whoever did it."""
        if refusal := await self.hand_over(*things):
            await self._tell(things[-1], refusal)

    async def _filled_in(self, body: Payload) -> Payload | None:
        """The form behind a button came back: the press, with what was filled in. A refusal stands at its field."""
        what, place = fields.answered(body["view"])
        incoming = Incoming(f"slack/{body['view']['id']}", Place(place), await self.person(body), what)
        refusal = await self.hand_over(incoming)
        if refusal is None:
            return None
        at = refusal.field if refusal.field in what.values else next(iter(what.values))
        return {"response_action": "errors", "errors": {at: refusal.text}}

    async def _opening(self, body: Payload, opening: Awaitable[Any]) -> str:
        """Open a form; why it did not open is said to whoever asked, and returned. Slack lets a form be opened within
        three seconds of the click, and once."""
        try:
            await opening
        except Refusal as refusal:
            why = refusal.text
        except (Gone, Denied, TryLater, Refused) as reason:
            log.warning("form not opened", reason=repr(reason))
            why = LATE
        else:
            return ""
        if "command" not in body:
            await self.quietly(self._whisper(body, why))
        return why

    async def _whisper(self, body: Payload, text: str) -> None:
        """To whoever pressed something, and to nobody else, wherever that stands."""
        if url := body.get("response_url"):
            await self.chat.api.whisper(url, escape(clean(text)))
            return
        note = Message(f"slack/{body['trigger_id']}/late", text, only_for=await self.person(body))
        await self.chat.post(pressed_at(body).place(self.me.team), note)

    async def _slash(self, body: Payload) -> Payload | None:
        """A method, or nothing, opens the form; other words are answered to who typed them."""
        body = await self._where_heard(body)
        incoming = slash(body, self.me, await self.person(body))
        try:
            start = forms.wanted(incoming)
        except Refusal as refusal:
            return {"response_type": "ephemeral", "text": shown(refusal)}
        if start:
            late = await self._opening(body, forms.open_form(self, body["trigger_id"], start))
            return {"response_type": "ephemeral", "text": escape(late)} if late else None
        refused = await self.hand_over(incoming)
        return {"response_type": "ephemeral", "text": shown(refused)} if refused else None

    async def _where_heard(self, body: Payload) -> Payload:
        """What is typed in the direct messages of two other people is answered in those of the bot."""
        channel = body["channel_id"]
        if not is_direct(channel) or await self.chat.people.is_in(channel):
            return body
        return {**body, "channel_id": await self.chat.people.direct(body["user_id"])}

    async def _tell(self, incoming: Incoming, refusal: Refusal) -> None:
        note = Message(f"{incoming.key}/refusal", refusal.text, only_for=incoming.person)
        await self.quietly(self.chat.post(incoming.place, note))

    async def quietly(self, telling: Any) -> None:
        """What is only said, and not stored, must not keep Slack from its acknowledgement."""
        try:
            await telling
        except (Gone, Denied, TryLater, Refused) as reason:
            log.warning("not told", reason=repr(reason))


def shown(refusal: Refusal) -> str:
    return escape(clean(refusal.text))
