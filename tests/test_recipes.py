"""CONTRIBUTING's recipes, performed as they stand: a method, a chat platform, a place to train.

Each is carried out in a copy of the sources, where nothing else is changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow

METHOD = '''"""Says everything twice. `python -m engine train DATA --method echo`"""

from engine.methods.clm import *  # noqa: F403  # it trains as clm does
'''
PLATFORM = '''"""A platform on paper, for one sentence."""

from pathlib import Path

from tests.fakes.chat import FakeChat, Server


def make(data: Path) -> FakeChat:
    return FakeChat(Server())
'''
EXECUTOR = '''"""A place to train that is this machine under another name."""

from collections.abc import Mapping
from pathlib import Path

from adapters.executors.local import LocalExecutor


def make(root: Path, python: str, environments: Mapping[str, Mapping[str, str]]) -> LocalExecutor:
    return LocalExecutor("paper", root, python, environments)
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ("bot", "engine", "adapters", "tests/fakes", "examples"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "__init__.py").touch()
    return tmp_path


def ran(copy: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "HTTP_PORT": "0", **settings}
    return subprocess.run(
        [sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def insert(file: Path, before: str, line: str) -> None:
    text = file.read_text()
    assert text.count(before) >= 1, f"{file.name} has changed: {before}"
    file.write_text(text.replace(before, line + before, 1))


def test_a_method_is_a_file_its_columns_and_its_sentence(copy: Path) -> None:
    put(copy / "engine" / "methods" / "echo.py", METHOD)
    insert(copy / "engine" / "data" / "types.py", '    "mlm": ("text",),\n', '    "echo": ("text",),\n')
    insert(copy / "engine" / "data" / "columns.py", '    "mlm": (', '    "echo": PLAIN,\n')
    insert(copy / "engine" / "plan" / "defaults.py", '"mlm": 5e-4', '"echo": 1e-4, ')
    insert(copy / "bot" / "wording" / "help.py", '    "mlm": ', '    "echo": "says everything twice",\n')
    insert(copy / "bot" / "wording" / "terms.py", '    "mlm": (', '    "echo": ("echo", "Plan an echo."),\n')
    checked = ran(copy, "-m", "engine", "check", "examples/facts.csv", "--method", "echo")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    code = (
        "from bot.talk.commands import parse; from bot.wording.help import term; "
        "print(parse('echo epochs=2').method, term('k', 'echo').text)"
    )
    told = ran(copy, "-c", code)
    assert told.stdout.strip() == "echo echo says everything twice. It needs text.", told.stderr


def test_a_chat_platform_is_a_module_of_its_name(copy: Path) -> None:
    put(copy / "adapters" / "chat" / "paper" / "__init__.py", PLATFORM)
    code = (
        "import asyncio; from bot.app import make; from bot.settings import Settings\n"
        "app = make(Settings())\n"
        "async def serve():\n"
        "    async with app.running():\n"
        "        print(type(app.chat).__name__, app.settings.chat)\n"
        "asyncio.run(serve())"
    )
    served = ran(copy, "-c", code, CHAT="paper")
    assert served.stdout.strip() == "FakeChat paper", served.stderr


def test_a_place_to_train_is_a_module_of_its_name(copy: Path) -> None:
    put(copy / "adapters" / "executors" / "paper.py", EXECUTOR)
    code = (
        "from bot.app import make; from bot.settings import Settings; from engine.jobs import Attempt\n"
        "from pathlib import Path\n"
        "app = make(Settings())\n"
        "print(app.scheduler.executor.handle_for(Attempt('1', 'train', 1, Path('runs/1'))).executor)"
    )
    made = ran(copy, "-c", code, EXECUTOR="paper")
    assert made.stdout.strip() == "paper", made.stderr
