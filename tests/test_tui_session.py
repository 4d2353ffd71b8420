"""The screen over the real session: real git, real sandbox, real HTTP; only the keys come from the pilot."""

import asyncio
import re
from pathlib import Path

import pytest

from coder.cli.open import session_opener
from coder.cli.setup import Setup
from coder.config import Config, Settings
from coder.events import Ask, Emit
from coder.repo.discover import discover
from coder.session.checks import CheckOptions
from coder.session.session import Session, SessionOptions
from coder.store import find_places
from tests.fake_openai import FakeOpenAI, forever, free_text_call, text, unauthorized
from tests.screen_kit import Shown, drive
from tests.scripted import telling
from tests.work import CALC, FIX, FIXED, UNITTEST, make_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def use(root: Path, server: FakeOpenAI, act: object, checks: CheckOptions) -> None:
    settings = Settings(base_url=server.base_url, api_key_env="")
    setup = Setup(find_places(), discover(root), True, Config(settings, {}))
    opener = session_opener(setup, SessionOptions(checks=checks, trusted=True))

    async def open_session(emit: Emit, ask: Ask) -> Session:
        return await asyncio.to_thread(opener, emit, ask)

    drive(telling(), act, open_session=open_session)  # type: ignore[arg-type]


def test_a_change_is_tested_reviewed_applied_and_undone(root: Path) -> None:
    async def act(screen: Shown) -> None:
        await screen.write("mend add")
        await screen.sees("tests passed · 1 fixed", 30)
        await screen.sees("Review")
        await screen.grace()
        await screen.press("a", "enter")
        await screen.sees("✓ applied  1 file")
        await screen.sees("done · $0.")
        assert (root / "calc.py").read_text() == FIXED
        assert re.search(r"gpt-5.4-mini  [a-z]+ \d/\d", screen.text), "the tier that ran the tests"
        await screen.write("/undo")
        await screen.sees("Take back")
        await screen.press("y")
        await screen.sees("✓ undone  1 file")
        assert (root / "calc.py").read_text() == CALC

    with FakeOpenAI([free_text_call("apply_patch", FIX), text("add() now adds.")]) as server:
        use(root, server, act, CheckOptions(commands=(UNITTEST,)))
        assert not server.refusals


def test_a_comment_is_told_to_the_model_with_the_next_task(root: Path) -> None:
    async def act(screen: Shown) -> None:
        await screen.write("mend add")
        await screen.sees("May this command run?", 30)
        await screen.grace()
        await screen.press("n")
        await screen.sees("Review")
        await screen.grace()
        await screen.press("c")
        await screen.write("use operator.add")
        await screen.press("escape", "y")
        await screen.sees("I will.", 30)
        assert (root / "calc.py").read_text() == CALC

    with FakeOpenAI([free_text_call("apply_patch", FIX), text("add() now adds."), text("I will.")]) as server:
        use(root, server, act, CheckOptions())
        assert "the user says of the hunk at line 1: use operator.add" in str(server.requests[-1].body["input"])
        assert not server.refusals


def test_the_tests_run_again_on_the_screen_all_or_those_that_failed(root: Path) -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/test failed")
        await screen.sees("no test failed before", 30)
        await screen.write("/test run")
        await screen.sees("tests failed", 30)
        await screen.sees("1 AssertionError: -1 != 5")
        await screen.write("/test failed")
        await screen.sees("of 1 failed test, 1 failed again", 30)
        await screen.write("/open 2")
        await screen.sees("there is no cause 2")

    with FakeOpenAI(forever(unauthorized())) as server:
        use(root, server, act, CheckOptions(commands=(UNITTEST,)))
