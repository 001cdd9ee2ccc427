"""The whole bot as a process of its own, for the tests that kill it: `python -m tests.faults.bot SETTINGS.json PORT`.

Everything is real but the platform; with `"children": "quick"` in the settings the children are `child.py` here.
"""

import asyncio
import json
import sys
from pathlib import Path

from pydantic import SecretStr

from adapters.executors.local import LocalExecutor
from bot import log
from bot.__main__ import _until_signalled
from bot.app import App, make
from bot.settings import Settings
from engine.executor import Slot
from engine.lease import Lost
from engine.refusal import Refusal
from tests.faults.chat import LoopbackChat

CHILD = Path(__file__).with_name("child.py")


def app_from(values: dict[str, str], port: str) -> App:
    chosen = Settings(
        _env_file=None,
        data=Path(values["data"]),
        cache=Path(values["cache"]),
        chat="loopback",
        database_url=values.get("database_url", ""),
        default_model="local/mini",
        hf_endpoint=values["endpoint"],
        hf_public_endpoint="",
        hf_token=SecretStr(values["token"]),
        hf_namespace="local",
        http_port=0,
    )
    if values["children"] == "real":
        return make(chosen, LoopbackChat(port))
    commits = {kind: {"COMMITS": values["commits"]} for kind in ("fetch", "push")}
    local = LocalExecutor("local", chosen.runs, chosen.python, commits, [Slot("cpu", 0, 1.0)], 2.0, ("-P", str(CHILD)))
    return App(chosen, LoopbackChat(port), local, local)


def main() -> int:
    log.to(sys.stderr)
    values = json.loads(Path(sys.argv[1]).read_text())
    app = app_from(values, sys.argv[2])
    if "lease_s" in values:
        app.lease.lease_s, app.lease.renew_s, app.lease.poll_s = float(values["lease_s"]), 0.3, 0.2  # type: ignore[union-attr]
    try:
        asyncio.run(_until_signalled(app.serve()))
    except (Refusal, Lost) as ended:
        sys.stderr.write(f"{ended}\n")
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
