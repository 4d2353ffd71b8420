"""`coder run` end to end: the real program, real git, a real sandbox, real HTTP."""

from pathlib import Path

import pytest

from tests import work
from tests.fake_openai import FakeOpenAI, forever, free_text_call, text
from tests.warm import coder
from tests.work import CALC, FIX, FIXED, UNITTEST, git, make_repository, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


DIFF = """--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
"""
FIXES = [free_text_call("apply_patch", FIX), text("add() now adds.")]


def test_a_task_becomes_a_tested_applied_change(root: Path) -> None:
    with FakeOpenAI(FIXES) as server:
        ended = work.coder(root, "run", "mend add", "--test", UNITTEST, "--output", "json", env=server.environ())
        assert not server.refusals
    assert (ended.code, ended.result["status"]) == (0, "done"), ended.err
    assert (root / "calc.py").read_text() == FIXED
    assert ended.result["files"] == [{"path": "calc.py", "kind": "modified", "added": 1, "removed": 1}]
    assert ended.result["tests"]["status"] == "passed"
    assert len(ended.result["tests"]["fixed"]) == 1
    assert ended.result["checkpoint"]
    assert ended.result["summary"] == "add() now adds."


def test_undo_restores_what_a_run_changed(root: Path) -> None:
    before = state_of(root)
    with FakeOpenAI([FIXES[0], text("All tests pass.")]) as server:
        ended = coder(root, "run", "mend add", "--no-test", env=server.environ())
    assert "no tests ran" in ended.out  # whatever the model says of them
    assert (root / "calc.py").read_text() == FIXED
    assert coder(root, "undo", "--yes").code == 0
    assert state_of(root) == before


@pytest.mark.parametrize(
    "reply",
    [
        f"Here it is:\n\n```diff\n{DIFF}```\n",
        f"Here it is:\n\n{FIX}",
    ],
    ids=["fenced diff", "V4A envelope"],
)
def test_an_edit_written_as_text_is_accepted_too(root: Path, reply: str) -> None:
    with FakeOpenAI([text(reply)]) as server:
        ended = coder(root, "run", "mend add", "--test", UNITTEST, "--output", "json", env=server.environ())
    assert ended.code == 0, ended.err
    assert (root / "calc.py").read_text() == FIXED


def test_a_change_whose_tests_fail_is_not_applied(root: Path) -> None:
    wrong = FIX.replace("a + b", "a * b")
    before = state_of(root)
    with FakeOpenAI([free_text_call("apply_patch", wrong), *[text("done")] * 9]) as server:
        ended = coder(root, "run", "mend add", "--test", UNITTEST, "--output", "json", env=server.environ())
    assert (ended.code, ended.result["status"]) == (1, "failed"), ended.err
    assert "return a * b" in ended.result["patch"]
    assert state_of(root) == before


def test_a_task_that_needs_no_change_ends_unchanged(root: Path) -> None:
    with FakeOpenAI([text("It is right as it is.")]) as server:
        ended = coder(root, "run", "mend add", "--no-test", "--output", "json", env=server.environ())
    assert (ended.code, ended.result["status"]) == (6, "unchanged")


def test_a_patch_file_leaves_the_tree_alone(root: Path, tmp_path: Path) -> None:
    before = state_of(root)
    with FakeOpenAI(FIXES) as server:
        ended = coder(root, "run", "mend", "--no-test", "--patch", str(tmp_path / "fix.patch"), env=server.environ())
    assert ended.code == 0, ended.err
    assert state_of(root) == before
    git(root, "apply", str(tmp_path / "fix.patch"))
    assert (root / "calc.py").read_text() == FIXED


def test_the_patch_on_stdout_is_all_that_is_there(root: Path) -> None:
    with FakeOpenAI(FIXES) as server:
        ended = coder(root, "run", "mend", "--no-test", "--patch", "-", env=server.environ())
    assert ended.out.startswith("diff --git a/calc.py b/calc.py\n")
    assert ended.out.endswith("+    return a + b\n")


def test_a_dry_run_changes_nothing(root: Path) -> None:
    before = state_of(root)
    with FakeOpenAI(FIXES) as server:
        ended = coder(root, "run", "mend", "--no-test", "--dry-run", "--output", "json", env=server.environ())
    assert (ended.code, state_of(root)) == (0, before)
    assert "+    return a + b" in ended.result["patch"]


def test_a_commit_holds_the_change_and_nothing_else(root: Path) -> None:
    (root / "notes.txt").write_text("mine\n")
    with FakeOpenAI(FIXES) as server:
        env = server.environ() | {"GIT_AUTHOR_NAME": "x"}
        git(root, "config", "user.name", "u")
        git(root, "config", "user.email", "u@e")
        ended = coder(root, "run", "mend add", "--no-test", "--commit", "--branch", "fix", "--output", "json", env=env)
    assert ended.code == 0, ended.err
    assert git(root, "log", "-1", "--format=%s %D").strip() == "mend add HEAD -> fix"
    assert git(root, "show", "--name-only", "--format=").split() == ["calc.py"]
    assert git(root, "status", "--porcelain").strip() == "?? notes.txt"


def test_what_will_keep_a_commit_from_being_made_is_said_before_any_request(root: Path) -> None:
    with FakeOpenAI(FIXES) as server:
        ended = coder(root, "run", "mend add", "--no-test", "--commit", "--branch", "main", env=server.environ())
        assert not server.requests
    assert (ended.code, "the branch main exists already" in ended.err) == (3, True)


def test_what_leaves_the_machine_is_told_whole_and_once_for_each_host(root: Path) -> None:
    with FakeOpenAI(forever(text("yes"))) as server:
        elsewhere = {**server.environ(), "OPENAI_BASE_URL": server.base_url.replace("127.0.0.1", "localhost")}
        ended = [coder(root, "ask", "why?", "-q", env=env) for env in (server.environ(), server.environ(), elsewhere)]
        summarized = coder(root, "summarize", "--yes", env={**server.environ(), "XDG_STATE_HOME": str(root.parent)})
    first, second, third = ([line for line in each.err.splitlines() if "What leaves" in line] for each in ended)
    assert "They go to 127.0.0.1" in first[0]
    assert second == []
    assert "They go to localhost" in third[0]
    assert "What leaves" in summarized.err


def test_uncommitted_staged_and_untracked_work_survives(root: Path) -> None:
    (root / "test_calc.py").write_text((root / "test_calc.py").read_text() + "# staged\n")
    git(root, "add", "test_calc.py")
    (root / "calc.py").write_text(CALC + "# unstaged\n")
    (root / "new.txt").write_text("untracked\n")
    index = (root / ".git" / "index").read_bytes()
    with FakeOpenAI(FIXES) as server:
        assert coder(root, "run", "mend add", "--no-test", env=server.environ()).code == 0
    assert (root / "calc.py").read_text() == FIXED + "# unstaged\n"
    assert (root / "new.txt").read_text() == "untracked\n"
    assert (root / ".git" / "index").read_bytes() == index


def test_a_protected_path_is_refused_unless_allowed(root: Path) -> None:
    edit = "*** Begin Patch\n*** Add File: .github/workflows/ci.yml\n+on: push\n*** End Patch\n"
    before = state_of(root)
    with FakeOpenAI([free_text_call("apply_patch", edit), text("done")] * 2) as server:
        ended = coder(root, "run", "add ci", "--no-test", "--output", "json", env=server.environ())
        assert (ended.code, ended.result["status"]) == (3, "refused")
        assert state_of(root) == before
        allowed = coder(root, "run", "add ci", "--no-test", "--allow", ".github/**", env=server.environ())
    assert allowed.code == 0, allowed.err


def test_every_event_line_has_type_and_seq_and_the_result_is_last(root: Path) -> None:
    with FakeOpenAI(FIXES) as server:
        ended = coder(root, "run", "mend", "--test", UNITTEST, "--output", "jsonl", env=server.environ())
    assert [line["seq"] for line in ended.lines] == list(range(len(ended.lines)))
    assert [line["type"] for line in ended.lines].count("result") == 1
    assert ended.lines[-1]["type"] == "result"
    assert {"session", "context", "tool_started", "test_finished", "proposal", "applied"} <= {
        line["type"] for line in ended.lines
    }


def test_piped_data_goes_with_the_task(root: Path) -> None:
    with FakeOpenAI([text("nothing to do")]) as server:
        coder(root, "run", "explain", "--no-test", env=server.environ(), stdin="Traceback: boom\n")
        assert "Traceback: boom" in str(server.requests[0].body["input"])


def test_without_a_key_the_ways_on_are_told(root: Path) -> None:
    ended = coder(root, "run", "mend", "--output", "json")
    assert (ended.code, ended.result["status"]) == (2, "usage")
    assert "coder demo" in ended.result["error"]["hint"]


def test_outside_a_repository_nothing_is_created(tmp_path: Path) -> None:
    ended = coder(tmp_path, "run", "mend", "--output", "json", env={"OPENAI_API_KEY": "sk-x"})
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
