"""Committing what a session applied: with the review, later, over several turns, and never anything else."""

from pathlib import Path

import pytest

from coder.errors import Refused, UserError
from coder.events import Review
from coder.session.checks import CheckOptions
from coder.session.session import Session, SessionOptions
from coder.values import ReviewDecision
from tests.conversation import User
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.work import IDENTITY, git, make_repository

LINES = "one\ntwo\nthree\nfour\nfive\nsix\n"
FILES = {"a.txt": LINES, "b.txt": "four\n"}


def edit(path: str, old: str, new: str):
    return free_text_call(
        "apply_patch", f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n"
    )


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two turns: the first changes a line of a.txt, the second another one and b.txt."""
    root = make_repository(tmp_path / "repo", FILES)
    script = [edit("a.txt", "one", "1"), text("Done."), edit("a.txt", "two", "2"), edit("b.txt", "four", "4"), text("")]
    with FakeOpenAI(script) as server:
        for name, value in {**server.environ(), **IDENTITY}.items():
            monkeypatch.setenv(name, value)
        yield User(root)


def test_what_several_turns_applied_becomes_one_commit_without_other_work(user: User):
    async def work(session: Session):
        await session.run("first\nin full")
        (user.root / "a.txt").write_text("1\ntwo\nthree\nfour\nmine\nsix\n")
        (user.root / "staged.txt").write_text("mine\n")
        git(user.root, "add", "staged.txt")
        await session.run("second")
        assert session.commits.paths() == ("a.txt", "b.txt")
        await session.commits.make(session.commits.message())
        with pytest.raises(UserError, match="nothing that was applied"):
            await session.commits.make("again")

    user.session("s", work)
    assert git(user.root, "log", "-1", "--format=%B").strip() == "first\n\n- first\n- second"
    assert git(user.root, "show", "HEAD:a.txt") == LINES.replace("one", "1").replace("two", "2")
    assert git(user.root, "show", "HEAD:b.txt") == "4\n"
    assert git(user.root, "status", "--porcelain") == " M a.txt\nA  staged.txt\n"


def test_a_review_may_commit_at_once_and_a_resumed_session_knows(user: User):
    def review(question: Review) -> ReviewDecision:
        assert question.base("a.txt") == LINES.encode() and question.base("c.txt") is None
        return ReviewDecision({"a.txt": frozenset({0})}, commit_message=f"{question.message}!")

    user.review = review
    (outcome,) = user.turns("s", "number the lines")
    assert git(user.root, "log", "-1", "--format=%B").strip() == "number the lines!"
    assert git(user.root, "rev-parse", "HEAD").strip() == outcome.commit

    async def again(session: Session):
        assert session.commits.waiting() == ()

    user.session("s", again, resume=True)


def test_a_refused_commit_leaves_the_files_applied_and_can_be_tried_again(user: User):
    hook = user.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today\nexit 1\n")
    hook.chmod(0o755)
    user.options = SessionOptions(checks=CheckOptions(none=True), trusted=True)
    user.review = lambda question: ReviewDecision({"a.txt": frozenset({0})}, commit_message="now")

    async def work(session: Session):
        outcome = await session.run("number the lines")
        assert outcome.commit == "" and outcome.checkpoint
        assert any("not today" in said and "/commit" in said for said in user.notices())
        hook.unlink()

    user.session("s", work)
    assert (user.root / "a.txt").read_text() == LINES.replace("one", "1")

    async def later(session: Session):
        await session.commits.make(session.commits.message())

    user.session("s", later, resume=True)
    assert git(user.root, "show", "HEAD:a.txt") == LINES.replace("one", "1")
    assert git(user.root, "log", "-1", "--format=%s").strip() == "number the lines"


def test_what_was_taken_back_elsewhere_is_not_committed(user: User):
    async def work(session: Session):
        await session.run("number the lines")
        (user.root / "a.txt").write_text(FILES["a.txt"])
        with pytest.raises(Refused, match="nothing of what was applied"):
            await session.commits.make("now")

    user.session("s", work)
    assert git(user.root, "rev-list", "--count", "HEAD").strip() == "1"
