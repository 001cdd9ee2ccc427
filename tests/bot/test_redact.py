"""No secret leaves the bot: not in a log line, not in a message, in none of its encodings."""

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from pydantic import SecretStr

from bot import log, store
from bot.app import App, make
from bot.chat import Command, File, Incoming, Message, Person, Place, Table
from bot.migrate import upgrade
from bot.redact import GONE, Redactor, encodings, redactor, secrets_of
from bot.settings import Settings
from engine.database import Database
from tests.fakes.chat import FakeChat, Server

SECRET = 'p4ss/w"ord+ünd=more'
ANN, THREAD = Person("U1", "ann"), Place("C1/1")
DATA = SECRET.encode()
QUOTED = {
    "plain": SECRET,
    "url": quote(SECRET, safe=""),
    "json": json.dumps(SECRET),
    "hex": DATA.hex(),
    **{f"base64 at {n}": base64.b64encode(b"x" * n + DATA + b"tail").decode() for n in range(3)},
    **{f"urlsafe at {n}": base64.urlsafe_b64encode(b"x" * n + DATA).decode() for n in range(3)},
}
SHAPES = (
    "hf_" + "aB3dE6gH9j" * 3,
    "xoxb-" + "1234567890-" * 3 + "abcdefABCDEF",
    "xapp-1-" + "A0123456789",
    "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    "ghp_" + "a1B2c3D4e5" * 4,
)


@pytest.mark.parametrize("how", QUOTED)
def test_a_known_secret_is_taken_out_in_every_encoding(how: str) -> None:
    said = Redactor([SECRET]).text(f"before {QUOTED[how]} after")
    assert said.startswith("before ") and said.endswith(" after") and GONE in said
    assert not any(form in said for form in encodings(SECRET))


@pytest.mark.parametrize("token", SHAPES)
def test_a_token_that_nobody_told_us_of_is_known_by_its_shape(token: str) -> None:
    assert Redactor().text(f"a {token} b") == f"a {GONE} b"


@pytest.mark.parametrize(
    "words",
    ["hf_hub_download and hf_token", "local/facts-sft-2026-11-24", "a" * 64, "1.2.3 of meta-llama/Llama-3.1-8B"],
)
def test_words_that_are_no_secret_stay(words: str) -> None:
    assert Redactor([SECRET, "short"]).text(words) == words


def test_every_part_of_a_message_is_redacted() -> None:
    message = Message(
        *("k", f"text {SECRET}", f"title {SECRET}"),
        fields=(("name", SECRET),),
        table=Table(("a",), ((SECRET,),)),
        code=SECRET,
        files=(File("log.txt", Path("/x")),),
        mentions=(ANN,),
    )
    clean = Redactor([SECRET]).value(message)
    assert SECRET not in repr(clean)
    assert (clean.files, clean.mentions, clean.text) == (message.files, (ANN,), f"text {GONE}")


def test_variables_that_are_named_like_secrets_are_known() -> None:
    variables = {"HF_TOKEN": "a", "SLACK_SIGNING_SECRET": "b", "DB_PASSWORD": "c", "HF_HOME": "d", "X_API_KEY": None}
    assert list(secrets_of(variables)) == ["a", "b", "c"]


def test_the_settings_know_their_secrets() -> None:
    url = "postgresql+psycopg://bot:pa55word-x@db/threadtune"
    chosen = Settings(
        _env_file=None, hf_token=SecretStr("hf_some"), hf_read_token=SecretStr("hf_read"), database_url=url
    )
    assert chosen.secrets == ("hf_some", "hf_read", "pa55word-x")
    assert "pa55word-x" not in Redactor(chosen.secrets).text(f"cannot reach {url}")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the log writes; afterwards it is as it was."""
    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    stream = io.StringIO()
    log.to(stream)
    redactor.know([SECRET])
    yield stream
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def test_no_line_of_the_log_holds_a_secret(lines: io.StringIO) -> None:
    ours = structlog.get_logger()
    ours.error("said", word=SECRET, inner={"deep": [SECRET]})
    try:
        raise ValueError(SECRET)
    except ValueError:
        ours.exception("broke")
        logging.getLogger("library").exception("so it did with %s", SECRET)
    text = lines.getvalue()
    assert text.count(GONE) >= 5 and "ValueError" in text
    assert not any(form in text for form in encodings(SECRET))
    json.loads(text.splitlines()[0])


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    made = make(Settings(_env_file=None, data=tmp_path, chat="fake", http_port=0), FakeChat(Server()))
    upgrade(made.settings.database)
    yield made
    for task in made.tasks:
        await task
    made.database.close()


async def test_a_token_that_was_pasted_is_answered_to_that_person_alone_and_kept_nowhere(app: App) -> None:
    token = SHAPES[0]
    assert await app.handle(Incoming("k1", THREAD, ANN, Command(f"sft token={token}"))) is None
    for task in list(app.tasks):
        await task
    said = await app.database.read(store.said, "k1/answer")
    assert said and said.only_for == ANN
    assert "revoke" in said.text and "settings/tokens" in said.text and token not in repr(said)
    kept = b"".join(path.read_bytes() for path in app.settings.data.glob("*.db*"))
    assert b"C1/1" in kept and token.encode() not in kept


async def test_each_thing_that_somebody_does_is_traced_by_its_key(app: App, lines: io.StringIO) -> None:
    for key in ("k1", "k2"):
        assert await app.handle(Incoming(key, THREAD, ANN, Command("list"))) is None
    for task in list(app.tasks):
        await task
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["event"], line["incoming"]) for line in said] == [("answered", "k1"), ("answered", "k2")]


async def test_nothing_that_is_said_lies_in_the_database_with_a_secret(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    upgrade(f"sqlite:///{tmp_path / 'x.db'}")
    await database.write(store.say, THREAD, Message("k", f"the token is {SHAPES[0]}"))
    said = await database.read(store.said, "k")
    assert said and said.text == f"the token is {GONE}"
    database.close()
