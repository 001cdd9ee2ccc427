"""What people type into forms goes into the inbox as commands do: never with a token in it."""

from pathlib import Path

from bot.app import make
from bot.chat import Incoming, Press
from tests.e2e.house import ANN, THREAD, settings
from tests.fakes.chat import FakeChat, Server


async def test_a_form_with_a_token_in_it_is_refused_at_its_field_and_not_stored(tmp_path: Path) -> None:
    """There is no database yet: had it been stored, this would have failed."""
    app = make(settings(tmp_path, "http://127.0.0.1:9", ""), FakeChat(Server()))
    press = Press("fill:0", {"row": "3", "text": "my key is hf_" + "a1B2" * 9})
    refusal = await app.handle(Incoming("k", THREAD, ANN, press))
    assert refusal and refusal.field == "text" and "secret" in refusal.text
    app.database.close()
