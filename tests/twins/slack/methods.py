"""The methods of the Web API that a chat bot calls, each with the scope that it needs."""

import json
from collections.abc import Callable
from typing import Any

from tests.twins.slack.limits import check, check_view, pings
from tests.twins.slack.workspace import BOT, BOT_ID, TEAM, Channel, Payload, SlackError, Workspace

Form = dict[str, str]
HISTORY = {"C": "channels:history", "G": "groups:history", "D": "im:history"}


def _json(form: Form, name: str, empty: str = "[]") -> Any:
    try:
        return json.loads(form.get(name) or empty)
    except ValueError:
        raise SlackError("invalid_blocks" if name == "blocks" else "invalid_json") from None


def _writable(at: Workspace, form: Form) -> Channel:
    channel = at.channel(form.get("channel", ""), BOT)
    if channel.is_archived:
        raise SlackError("is_archived")
    if BOT not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _content(at: Workspace, form: Form) -> Payload:
    blocks, text = _json(form, "blocks"), form.get("text", "")
    if not text and not blocks:
        raise SlackError("no_text")
    check(blocks)
    if not at.has_charts and any(block["type"] == "data_visualization" for block in blocks):
        raise SlackError("invalid_blocks")
    for who in pings(text, blocks):
        at.pings[who] += 1
    return {"text": text[:40_000], "blocks": blocks}


def auth_test(at: Workspace, form: Form) -> Payload:
    return {"team_id": TEAM, "user_id": BOT, "user": at.users[BOT], "bot_id": BOT_ID, "team": "twin", "url": at.base}


def post_message(at: Workspace, form: Form) -> Payload:
    channel = _writable(at, form)
    message: Payload = {"user": BOT, "bot_id": BOT_ID, **_content(at, form)}
    if form.get("thread_ts"):
        message["thread_ts"] = form["thread_ts"]
    if form.get("metadata"):
        message["metadata"] = _json(form, "metadata")
    said = at.add(channel.id, message)
    return {"channel": channel.id, "ts": said["ts"], "message": said}


def update(at: Workspace, form: Form) -> Payload:
    channel = _writable(at, form)
    message = at.message(channel.id, form.get("ts", ""))
    if message.get("user") != BOT:
        raise SlackError("cant_update_message")
    if len(form.get("text", "")) > 4000:
        raise SlackError("msg_too_long")
    message |= {**_content(at, form), "edited": {"user": BOT, "ts": at.stamp()}}
    at.edits[message["ts"]] += 1
    return {"channel": channel.id, "ts": message["ts"], "text": message["text"]}


def post_ephemeral(at: Workspace, form: Form) -> Payload:
    channel = _writable(at, form)
    if form["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content(at, form)
    ts = at.stamp()
    at.private.append(
        {**content, "ts": ts, "channel": channel.id, "user": form["user"], "thread_ts": form.get("thread_ts")}
    )
    return {"message_ts": ts}


def _shown(form: Form, message: Payload) -> Payload:
    hidden = () if form.get("include_all_metadata") == "true" else ("metadata",)
    return {name: value for name, value in message.items() if name not in hidden}


def _page(form: Form, messages: list[Payload]) -> Payload:
    """A page of messages; a cursor is where the next one begins."""
    begin, limit = int(form.get("cursor") or 0), int(form.get("limit", 100))
    more = begin + limit < len(messages)
    shown = [_shown(form, message) for message in messages[begin : begin + limit]]
    return {
        "messages": shown,
        "has_more": more,
        "response_metadata": {"next_cursor": str(begin + limit) if more else ""},
    }


def history(at: Workspace, form: Form) -> Payload:
    channel = _readable(at, form)
    oldest = float(form.get("oldest", 0))
    roots = [m for m in at.messages[channel.id] if m.get("thread_ts", m["ts"]) == m["ts"] and float(m["ts"]) > oldest]
    return _page(form, roots[::-1])


def replies(at: Workspace, form: Form) -> Payload:
    channel, oldest = _readable(at, form), float(form.get("oldest", 0))
    thread = [m for m in at.messages[channel.id] if form["ts"] in (m["ts"], m.get("thread_ts"))]
    if not thread:
        raise SlackError("thread_not_found")
    return _page(form, [m for m in thread if float(m["ts"]) > oldest or m["ts"] == form["ts"]])


def _readable(at: Workspace, form: Form) -> Channel:
    channel = at.channel(form.get("channel", ""), BOT)
    need(at, HISTORY[channel.id[0]])
    if BOT not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def conversations(at: Workspace, form: Form) -> Payload:
    mine = (channel for channel in at.channels.values() if BOT in channel.members)
    return {"channels": [{"id": c.id, "name": c.name, "is_im": c.is_im, "is_private": c.is_private} for c in mine]}


def channel_info(at: Workspace, form: Form) -> Payload:
    channel = at.channel(form["channel"], BOT)
    if channel.is_im and BOT not in channel.members:
        raise SlackError("channel_not_found")
    told: Payload = {"id": channel.id, "name": channel.name, "is_im": channel.is_im, "is_private": channel.is_private}
    return {"channel": told if channel.is_im else {**told, "is_member": BOT in channel.members}}


def open_direct(at: Workspace, form: Form) -> Payload:
    if form["users"] not in at.users:
        raise SlackError("user_not_found")
    return {"channel": {"id": at.direct(form["users"]).id}}


def user_info(at: Workspace, form: Form) -> Payload:
    name = at.users.get(form["user"])
    if name is None:
        raise SlackError("user_not_found")
    profile = {"display_name": name, "real_name": name.title()}
    told = {"id": form["user"], "name": name, "team_id": TEAM, "profile": profile}
    return {"user": {**told, **at.facts.get(form["user"], {})}}


def groups(at: Workspace, form: Form) -> Payload:
    told = [{"id": f"S{handle}", "handle": handle, "users": sorted(users)} for handle, users in at.groups.items()]
    return {"usergroups": told}


def file_info(at: Workspace, form: Form) -> Payload:
    if form["file"] not in at.files:
        raise SlackError("file_not_found")
    return {"file": at.files[form["file"]].facts}


def file_list(at: Workspace, form: Form) -> Payload:
    shared = {file["id"] for message in at.messages[form["channel"]] for file in message.get("files", ())}
    return {"files": [at.files[name].facts for name in sorted(shared, reverse=True) if name in at.files]}


def upload_url(at: Workspace, form: Form) -> Payload:
    name = at.number("F")
    at.uploads[name] = {"name": form["filename"], "length": int(form["length"]), "content": b""}
    return {"file_id": name, "upload_url": f"{at.base}/upload/{name}"}


def upload_complete(at: Workspace, form: Form) -> Payload:
    channel = at.channel(form["channel_id"], BOT)
    if BOT not in channel.members:
        raise SlackError("not_in_channel")
    files = []
    for told in _json(form, "files"):
        upload = at.uploads.pop(told["id"])
        if len(upload["content"]) != upload["length"]:
            raise SlackError("file_upload_size_mismatch")
        files.append(at.keep(upload["name"], upload["content"], BOT).facts)
    thread = {"thread_ts": form["thread_ts"]} if form.get("thread_ts") else {}
    at.add(channel.id, {"subtype": "file_share", "user": BOT, "bot_id": BOT_ID, "text": "", "files": files, **thread})
    return {"files": files}


def open_view(at: Workspace, form: Form) -> Payload:
    at.take_trigger(form.get("trigger_id", ""))
    view = _json(form, "view", "{}")
    check_view(view)
    view = {**view, "id": at.number("V"), "state": {"values": {}}}
    at.views[view["id"]] = view
    return {"view": view}


def publish_view(at: Workspace, form: Form) -> Payload:
    view = _json(form, "view", "{}")
    check_view(view)
    at.homes[form["user_id"]] = view
    return {"view": view}


METHODS: dict[str, tuple[str, Callable[[Workspace, Form], Payload]]] = {
    "auth.test": ("", auth_test),
    "chat.postMessage": ("chat:write", post_message),
    "chat.update": ("chat:write", update),
    "chat.postEphemeral": ("chat:write", post_ephemeral),
    "conversations.history": ("", history),
    "conversations.replies": ("", replies),
    "conversations.info": ("channels:read groups:read im:read", channel_info),
    "conversations.open": ("im:write", open_direct),
    "users.conversations": ("channels:read groups:read im:read", conversations),
    "users.info": ("users:read", user_info),
    "usergroups.list": ("usergroups:read", groups),
    "files.info": ("files:read", file_info),
    "files.list": ("files:read", file_list),
    "files.getUploadURLExternal": ("files:write", upload_url),
    "files.completeUploadExternal": ("files:write", upload_complete),
    "views.open": ("", open_view),
    "views.publish": ("", publish_view),
}
"""Each method's scopes, as its reference page names them; those of the history go by the channel's kind."""


def need(at: Workspace, scope: str) -> None:
    missing = [one for one in scope.split() if one not in at.scopes]
    if missing:
        raise SlackError("missing_scope", needed=missing[0], provided=",".join(sorted(at.scopes)))
