"""What `python -m engine rights`, `base` and `python -m engine release` print."""

import json
import os
import sys
import time
from pathlib import Path

from engine.commands.check import refuse
from engine.hub import client, rights, room
from engine.hub.upload.claim import release
from engine.refusal import Refusal

PATIENCE_S = 8.0
"""How long trouble of the Hub is waited out before somebody who asks for a plan hears of it."""


def tell_rights(namespace: str, as_json: bool) -> int:
    """Exit code 0 where the token may push to `namespace` (without one: wherever it may, by name), else 1."""
    deadline = time.monotonic() + PATIENCE_S
    if not namespace:
        return tell_namespaces(deadline, as_json)
    try:
        me = rights.checked(os.environ.get("HF_TOKEN") or None, namespace, client.endpoint(), deadline)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    owner = str(me["name"])
    doubt = room.doubt(me, os.environ.get("HF_TOKEN") or "", namespace, client.endpoint(), deadline)
    told = {"owner": owner, "namespace": namespace, "doubt": doubt}
    sys.stdout.write(f"{json.dumps(told) if as_json else f'{owner} may push to {namespace}. {doubt}'.strip()}\n")
    return 0


def tell_namespaces(deadline: float, as_json: bool) -> int:
    try:
        found = rights.namespaces(os.environ.get("HF_TOKEN") or None, client.endpoint(), deadline)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    words = f"The token may push to {', '.join(found)}."
    sys.stdout.write(f"{json.dumps({'namespaces': found}) if as_json else words}\n")
    return 0


def tell_base(model: str, cache: Path, as_json: bool) -> int:
    """Exit code 0 where the base model can be had, else 1."""
    from engine.hub.download.look import look

    try:
        found = look(model, token=client.reader(), cache=cache)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    told = {"id": found.id, "revision": found.revision, "kind": found.kind}
    sys.stdout.write(f"{json.dumps(told) if as_json else f'{found.id} can be had.'}\n")
    return 0


def tell_release(folder: Path, as_json: bool) -> int:
    """Exit code 0 where no repo of the run is left without its model, 1 where that is not known."""
    is_done = release(folder)
    words = "Nothing of it is left on the Hub." if is_done else "The Hub could not be asked; try again later."
    sys.stdout.write(f"{json.dumps({'released': is_done}) if as_json else words}\n")
    return 0 if is_done else 1


def tell_pack(folder: Path, as_json: bool) -> int:
    """Exit code 0 also where there is nothing to pack. Raises Refusal where the file would tell of this machine."""
    from engine.hub.upload.pack import pack

    try:
        made = pack(folder)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    sys.stdout.write(f"{json.dumps({'file': made.name if made else ''}) if as_json else made or 'No lora to pack.'}\n")
    return 0
