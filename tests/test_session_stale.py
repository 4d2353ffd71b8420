"""Files that change while their proposal is reviewed."""

from pathlib import Path
from typing import Any

import pytest

from coder.errors import Exit
from coder.events import Review
from coder.session.policy import accept_all
from coder.values import ReviewDecision
from tests.conversation import User, told
from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text
from tests.work import make_repository

LINES = "".join(f"line {number}\n" for number in range(30))
EDIT = """*** Begin Patch
*** Update File: a.txt
@@
-line 3
+LINE 3
*** Update File: b.txt
@@
-line 3
+LINE 3
*** End Patch
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def edit(body: dict[str, Any]) -> Answer:
        task = told(body)[-1]
        return free_text_call("apply_patch", task if task.startswith("***") else EDIT)

    with FakeOpenAI([edit, text("Louder.")]) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield User(make_repository(tmp_path / "repo", {"a.txt": LINES, "b.txt": LINES}))


def test_a_conflict_is_shown_anew_on_what_is_there_now_and_overwrites_nothing(user: User):
    asked: list[Review] = []

    def review(question: Review) -> ReviewDecision:
        asked.append(question)
        if not question.again:
            (user.root / "a.txt").write_text(LINES.replace("line 3\n", "mine\n"))
            (user.root / "b.txt").write_text(LINES.replace("line 20\n", "mine\n"))
        return accept_all(question.proposal.files)

    user.review = review
    (outcome,) = user.turns("s", "be loud")
    assert [question.again for question in asked] == [False, True]
    assert [file.path for file in asked[1].proposal.files] == ["b.txt"]
    assert "left out, since you changed the same lines: a.txt" in asked[1].proposal.warnings
    assert b"mine" in (asked[1].base("b.txt") or b"") and asked[1].proposal.evidence.status == "not_run"
    assert outcome.exit is Exit.DONE
    assert (user.root / "a.txt").read_text() == LINES.replace("line 3\n", "mine\n")
    assert (user.root / "b.txt").read_text() == LINES.replace("line 20\n", "mine\n").replace("line 3\n", "LINE 3\n")


def test_of_a_file_in_conflict_the_other_hunks_are_shown_anew(user: User):
    edit = EDIT.replace("*** Update File: b.txt", " line 4\n@@\n-line 25\n+LINE 25\n*** Update File: b.txt")

    def review(question: Review) -> ReviewDecision:
        (user.root / "a.txt").write_text(LINES.replace("line 3\n", "mine\n"))
        return accept_all(question.proposal.files)

    user.review = review
    (outcome,) = user.turns("s", edit)
    assert "left out where you changed the same lines: some of a.txt" in outcome.proposal.warnings
    assert (user.root / "a.txt").read_text() == LINES.replace("line 3\n", "mine\n").replace("line 25\n", "LINE 25\n")


def test_who_does_not_look_again_gets_nothing_written(user: User):
    def review(question: Review) -> ReviewDecision:
        (user.root / "a.txt").write_text(LINES.replace("line 3\n", "mine\n"))
        return ReviewDecision() if question.again else accept_all(question.proposal.files)

    user.review = review
    (outcome,) = user.turns("s", "be loud")
    assert outcome.exit is Exit.FAILED and "a.txt changed since the task began" in outcome.summary
    assert (user.root / "b.txt").read_text() == LINES
