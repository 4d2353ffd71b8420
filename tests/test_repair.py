"""Failing tests go back to the model a bounded number of times, and no further once it runs in circles."""

import sys
from pathlib import Path

import pytest

from coder.config import LimitSettings, Settings
from coder.session.checks import CheckOptions
from coder.session.findings import headline
from coder.session.session import SessionOptions
from coder.values import ReviewDecision
from tests.conversation import User, told
from tests.fake_openai import Answer, FakeOpenAI, forever, free_text_call, text
from tests.work import make_repository

TESTS = """import unittest, calc
class T(unittest.TestCase):
    def test_old(self): self.fail("as ever")
""" + "".join(f"    def test_{name.lower()}(self): self.assertEqual(calc.{name}, 1)\n" for name in "ABCDE")
RESULT = "[coder: the final draft was tested.]"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    values = "".join(f"{name} = 1\n" for name in "ABCDE")
    return make_repository(tmp_path / "repo", {"calc.py": values, "test_calc.py": TESTS})


def edit(*changes: tuple[str, str]) -> list[Answer]:
    lines = "".join(f"@@\n-{old}\n+{new}\n" for old, new in changes)
    patch = f"*** Begin Patch\n*** Update File: calc.py\n{lines}*** End Patch\n"
    return [free_text_call("apply_patch", patch), text("done")]


def repair(root: Path, *edits: list[Answer], rounds: int = 3) -> tuple[list[str], str]:
    """The test results that the model was told, and what the proposal says of itself."""
    options = SessionOptions(checks=CheckOptions(commands=(f"{sys.executable} -m unittest",), sandbox="off"))
    script = {"gpt-5.4-mini": [step for steps in edits for step in steps], "gpt-5.4-nano": forever(text("no JSON"))}
    with FakeOpenAI(script) as server:
        settings = Settings(base_url=server.base_url, api_key_env="", limits=LimitSettings(repair_rounds=rounds))
        user = User(root, settings, options)
        states: list[str] = []

        def review(question):  # type: ignore[no-untyped-def]
            states.append(headline(question.proposal.evidence))
            return ReviewDecision()

        user.review = review
        ended = user.turns("s", "change it")
        bodies = server.bodies("gpt-5.4-mini")
    assert len(states) == 1, ended
    return [message for message in told(bodies[-1]) if message.startswith(RESULT)], states[0]


CIRCLE = [edit(("A = 1", "A = 2")), edit(("A = 2", "A = 1"), ("B = 1", "B = 2")),
          edit(("B = 2", "B = 1"), ("C = 1", "C = 2")), edit(("C = 2", "C = 1"), ("D = 1", "D = 2"))]  # fmt: skip


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_failures_go_back_so_many_times_and_no_more(root: Path, rounds: int) -> None:
    results, state = repair(root, *CIRCLE[: rounds + 1], rounds=rounds)
    assert len(results) == rounds
    assert all("Tests FAIL on the draft: 2 of 6 fail, 1 of them new." in result for result in results)
    assert state == "Tests FAIL on the draft: 2 of 6 fail, 1 of them new."


def test_the_same_failures_twice_end_it_early(root: Path) -> None:
    results, state = repair(root, edit(("A = 1", "A = 2")), edit(("A = 2", "A = 3")))
    assert len(results) == 1 and "test_calc.T.test_a" in results[0]
    assert state == "Tests FAIL on the draft: 2 of 6 fail, 1 of them new."


def test_a_repaired_draft_says_what_still_fails_as_before(root: Path) -> None:
    results, state = repair(root, edit(("A = 1", "A = 2")), edit(("A = 2", "A = 1"), ("E = 1", "E = 1  # one")))
    assert len(results) == 1
    assert state == "No new failures on the draft: 1 of 6 fail, 1 as they did before the change."
