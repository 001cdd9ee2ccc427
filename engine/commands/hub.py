"""What `python -m engine rights` and `python -m engine release` print."""

import json
import os
import sys
import time
from pathlib import Path

from engine.commands.check import refuse
from engine.hub import client, rights
from engine.hub.claim import release
from engine.refusal import Refusal

PATIENCE_S = 8.0
"""How long trouble of the Hub is waited out before somebody who asks for a plan hears of it."""


def tell_rights(namespace: str, as_json: bool) -> int:
    """Exit code 0 where the token may push to `namespace`, else 1."""
    deadline = time.monotonic() + PATIENCE_S
    try:
        owner = rights.check(os.environ.get("HF_TOKEN") or None, namespace, client.endpoint(), deadline)
    except Refusal as refusal:
        return refuse(refusal, as_json)
    told = {"owner": owner, "namespace": namespace}
    sys.stdout.write(f"{json.dumps(told) if as_json else f'{owner} may push to {namespace}.'}\n")
    return 0


def tell_release(folder: Path, as_json: bool) -> int:
    """Exit code 0 where no repo of the run is left without its model, 1 where that is not known."""
    is_done = release(folder)
    words = "Nothing of it is left on the Hub." if is_done else "The Hub could not be asked; try again later."
    sys.stdout.write(f"{json.dumps({'released': is_done}) if as_json else words}\n")
    return 0 if is_done else 1
