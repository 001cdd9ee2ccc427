"""Slash commands, the menu on a message, buttons: each is stored first and answered then, within three seconds."""

from typing import TYPE_CHECKING, Any, cast

import aiohttp
import discord
import structlog
from discord import app_commands

from adapters.chat.discord import commands, messages
from adapters.chat.discord.places import on_message, open_thread, place_of, remember_root
from adapters.chat.discord.surfaces import fields
from adapters.chat.discord.views import shown
from bot.chat import Command, Denied, Handler, Incoming, Message, Place, Press, Upload
from bot.redact import redactor
from bot.talk.commands import parse
from engine.data.types import NEEDS
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.discord.chat import Discord

log = structlog.get_logger()
MENU_TYPE = 3
HINT = (
    " I do not see dropped files here: attach yours to the command, mention me in the message that carries it, "
    f"or use its menu Apps > {commands.MENU}."
)

Interaction = discord.Interaction[Any]


async def took(chat: "Discord", handler: Handler, interaction: Interaction) -> None:
    data = cast("dict[str, Any]", interaction.data or {})
    try:
        match interaction.type:
            case discord.InteractionType.autocomplete:
                await suggest(interaction, data)
            case discord.InteractionType.application_command if data.get("type") == MENU_TYPE:
                await pointed_at(chat, handler, interaction, data)
            case discord.InteractionType.application_command if data["options"][0]["name"] == "form":
                await show_form(interaction)
            case discord.InteractionType.application_command:
                await commanded(chat, handler, interaction, data, *commands.words(data))
            case discord.InteractionType.modal_submit if data.get("custom_id") == commands.FORM:
                await commanded(chat, handler, interaction, data, *commands.filled(data))
            case discord.InteractionType.modal_submit:
                await submitted(chat, handler, interaction, data)
            case discord.InteractionType.component:
                await pressed(chat, handler, interaction, data)
    except Refusal as refusal:
        await privately(chat, interaction, messages.at_field(refusal))
    except Denied as denied:
        await privately(
            chat, interaction, f"I lack the permission {denied.permission} here. Who manages the server can give it."
        )
    except discord.NotFound as late:
        log.warning("answered too late", interaction=interaction.id, reason=late.text)


async def suggest(interaction: Interaction, data: dict[str, Any]) -> None:
    names = commands.base_models(commands.focused(data))
    await interaction.response.autocomplete([app_commands.Choice(name=name, value=name) for name in names])


async def privately(chat: "Discord", interaction: Interaction, text: str) -> None:
    """Answer so that only the person sees it."""
    view, _ = shown(Message(f"interaction/{interaction.id}", text), chat.kept.custom_id)
    if interaction.response.is_done():
        await interaction.followup.send(view=view, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, ephemeral=True)
    view.stop()


async def stored(handler: Handler, *what: Incoming) -> None:
    for incoming in what:
        if refusal := await handler(incoming):
            raise refusal


# ---- /finetune


async def show_form(interaction: Interaction) -> None:
    modal = commands.form()
    await interaction.response.send_modal(modal)
    modal.stop()


async def commanded(
    chat: "Discord", handler: Handler, interaction: Interaction, data: dict[str, Any], text: str, file: str
) -> None:
    """Its card is the answer, and opens the thread in which a plan is talked over. The card repeats what was typed, so
    a token in it is taken out first: until then nobody else has seen it."""
    text = redactor.text(text)
    what = Incoming(
        f"discord/{interaction.id}", _place(chat, interaction, text), messages.person(interaction.user), Command(text)
    )
    files = [attached(chat, what, data["resolved"]["attachments"][file])] if file else []
    if files:
        parse(text)
    async with chat.opening(what.place):
        await stored(handler, *files, what)
        await _answer(chat, interaction, what, data["resolved"]["attachments"][file]["filename"] if file else "")


def _place(chat: "Discord", interaction: Interaction, text: str) -> Place:
    here = place_of(chat.kept, interaction.channel, interaction.user.id)
    is_plan = text.split()[0] in NEEDS
    return Place(f"{here.id}/i{interaction.id}") if is_plan and here.id.isdigit() else here


def attached(chat: "Discord", what: Incoming, file: dict[str, Any]) -> Incoming:
    """The file of a command: it lies in no message, so its address is kept until it was fetched, a day at most."""
    chat.kept.put("url", file["id"], file["url"])
    return Incoming(
        f"discord/{file['id']}", what.place, what.person, Upload(f"slash/{file['id']}", file["filename"], file["size"])
    )


async def _answer(chat: "Discord", interaction: Interaction, what: Incoming, file: str) -> None:
    text = what.what.text if isinstance(what.what, Command) else ""
    asked = f"{what.person.name}: /finetune {text}" + (f" on {file}" if file else "")
    hint = "" if file or chat.connection.reads_content else HINT
    view, _ = shown(Message(what.key, asked + hint), chat.kept.custom_id)
    sent = await interaction.response.send_message(view=view, silent=True)
    view.stop()
    if "/i" in what.place.id and sent.message_id:
        remember_root(chat.kept, what.place, sent.message_id)
        name = f"{text.split()[0]} · {file}" if file else f"{text.split()[0]} for {what.person.name}"
        await open_thread(interaction.client, chat.kept, what.place, name)


# ---- the menu on a message


async def pointed_at(chat: "Discord", handler: Handler, interaction: Interaction, data: dict[str, Any]) -> None:
    """Who points at a file of their own says with it that it may be used; for another's file, its uploader is asked."""
    target = await _message(chat, interaction.channel_id or 0, int(data["target_id"]))
    files = messages.data_files(target)
    if not files:
        raise Refusal("There is no dataset on that message: I read " + ", ".join(commands.FILES) + ".")
    if target.author.id == interaction.user.id:
        place = on_message(chat.kept, interaction.channel, target)
        who = messages.person(interaction.user)
        what = [messages.upload(target, file) for file in files]
        await stored(handler, *(Incoming(messages.use_key(each), place, who, each) for each in what))
        await privately(chat, interaction, "I answer in the thread on that message.")
        return
    await privately(
        chat, interaction, f"I ask {target.author.display_name}, who uploaded it, in the thread on that message."
    )
    await messages.offer(chat, interaction.channel, target, files)


async def _message(chat: "Discord", channel: int, message: int) -> discord.Message:
    client = await chat.connection.client()
    try:
        return await client.get_partial_messageable(channel, guild_id=_guild(client, channel)).fetch_message(message)
    except discord.NotFound:
        raise Refusal("That message is no longer there.") from None
    except discord.Forbidden:
        raise Refusal("I may not read that message: I lack the permission Read Message History.") from None
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        log.warning("message not read", message=message, reason=repr(error))
        raise Refusal("Discord does not let me read that message just now: try it again in a minute.") from None


def _guild(client: discord.Client, channel: int) -> int | None:
    found = client.get_channel(channel)
    return found.guild.id if isinstance(found, discord.abc.GuildChannel | discord.Thread) else None


# ---- buttons


async def pressed(chat: "Discord", handler: Handler, interaction: Interaction, data: dict[str, Any]) -> None:
    action = chat.kept.action(data["custom_id"])
    if action.startswith("use:"):
        await allowed(chat, handler, interaction, *map(int, action.split(":")[1:]))
        return
    if action.startswith("rows:"):
        await allowed_rows(chat, handler, interaction, *map(int, action.split(":")[1:]))
        return
    if button := fields.unpacked(action):
        modal = fields.modal(button, chat.kept.custom_id(fields.SUBMITTED + button.action))
        await interaction.response.send_modal(modal)
        modal.stop()
        return
    await put_down(chat, handler, interaction, Press(action))


async def submitted(chat: "Discord", handler: Handler, interaction: Interaction, data: dict[str, Any]) -> None:
    """The form behind a button was filled in: that is the press."""
    action = chat.kept.action(data["custom_id"]).removeprefix(fields.SUBMITTED)
    await put_down(chat, handler, interaction, fields.press(action, data))


async def put_down(chat: "Discord", handler: Handler, interaction: Interaction, press: Press) -> None:
    place = place_of(chat.kept, interaction.channel, interaction.user.id)
    await stored(handler, Incoming(f"discord/{interaction.id}", place, messages.person(interaction.user), press))
    await interaction.response.defer()


async def allowed(
    chat: "Discord", handler: Handler, interaction: Interaction, channel: int, message: int, attachment: int
) -> None:
    """The uploader said that the file may be used; only now anything of it reaches the bot."""
    target = await _own(chat, interaction, channel, message)
    files = [file for file in target.attachments if file.id == attachment]
    if not files:
        raise Refusal("That file is no longer there.")
    what = messages.upload(target, files[0])
    place = place_of(chat.kept, interaction.channel, interaction.user.id)
    await stored(handler, Incoming(messages.use_key(what), place, messages.person(interaction.user), what))
    await _agreed(chat, interaction, f"offer/{message}", what.name)


async def allowed_rows(chat: "Discord", handler: Handler, interaction: Interaction, channel: int, message: int) -> None:
    """The author said that the rows in a message may be used; it is read anew, for nothing of it was kept."""
    target = await _own(chat, interaction, channel, message)
    me = interaction.client.user
    words = messages.said(target.content, me.id if me else 0)
    place = place_of(chat.kept, interaction.channel, interaction.user.id)
    who = messages.person(interaction.user)
    await stored(handler, Incoming(f"discord/{target.id}", place, who, Command(words or "help")))
    await _agreed(chat, interaction, f"offer/{message}/rows", "the rows of this message")


async def _own(chat: "Discord", interaction: Interaction, channel: int, message: int) -> discord.Message:
    """The message that a consent is about. Raises Refusal for anybody but its author."""
    target = await _message(chat, channel, message)
    if target.author.id != interaction.user.id:
        raise Refusal(f"Only {target.author.display_name}, whose data it is, can say so.")
    return target


async def _agreed(chat: "Discord", interaction: Interaction, key: str, what: str) -> None:
    """In place of the question, and of its button."""
    view, _ = shown(Message(key, f"{interaction.user.display_name} lets me use {what}."), chat.kept.custom_id)
    await interaction.response.edit_message(view=view)
    view.stop()
