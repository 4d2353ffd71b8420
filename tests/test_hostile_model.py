"""A model that means harm: what it writes, reads, calls and claims, met by the whole program."""

import json
from pathlib import Path

import pytest

from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text, tool_call
from tests.work import FIX, UNITTEST, coder, git, make_repository, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def test_a_file_becomes_executable_only_where_that_is_allowed(root: Path) -> None:
    before = state_of(root)
    edit = "diff --git a/calc.py b/calc.py\nold mode 100644\nnew mode 100755\n"
    with FakeOpenAI([free_text_call("apply_patch", edit), text("done")] * 2) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
        assert (ended.code, state_of(root)) == (3, before)
        assert "becomes executable" in ended.result["error"]["message"]
        allowed = coder(root, "run", "x", "--no-test", "--allow", "calc.py", env=server.environ())
    assert (allowed.code, (root / "calc.py").stat().st_mode & 0o777) == (0, 0o755)


def test_nothing_outside_the_draft_is_read_copied_or_written(root: Path, tmp_path: Path) -> None:
    canary = "canary-7f3a9"
    (tmp_path / "outside").write_text(canary)
    (root / ".git" / "info" / "exclude").write_text(".env\n")
    (root / ".env").write_text(canary)
    (root / "link").symlink_to(tmp_path / "outside")
    git(root, "config", "remote.o.url", f"https://{canary}@host/")
    before = state_of(root)
    calls: list[Answer] = []
    for path in (".git/config", str(tmp_path / "outside"), "../outside", "/proc/self/environ", "link", ".env"):
        calls.append(tool_call("read_files", {"files": [{"path": path, "first": None, "last": None}]}))
        calls.append(tool_call("list_files", {"paths": [path, "."]}))  # a call that works: no three strikes in a row
        copy = f"diff --git a/{path} b/n\nsimilarity index 100%\ncopy from {path}\ncopy to n\n"
        calls.append(free_text_call("apply_patch", copy))
        calls.append(free_text_call("apply_patch", f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"))
    with FakeOpenAI([*calls, text("done")]) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
        assert canary not in json.dumps(server.bodies()) + ended.out + ended.err
    assert (ended.code, state_of(root)) == (6, before), ended.err


def test_a_thousand_calls_in_one_reply_are_bounded_and_each_is_answered(root: Path) -> None:
    ask = {"regex": None, "ignore_case": None, "paths": None}
    calls = [tool_call("search", {"pattern": f"x{number}", **ask}) for number in range(1000)]
    with FakeOpenAI([Answer(tuple(item for call in calls for item in call.items)), text("done")]) as server:
        ended = coder(root, "run", "x", "--no-test", env=server.environ())
        answers = [item["output"] for item in server.bodies()[1]["input"] if "output" in item]
        assert not server.refusals
    assert (ended.code, len(answers), sum("not carried out" in answer for answer in answers)) == (6, 1000, 984)


def test_what_the_model_says_of_tests_counts_for_nothing(root: Path) -> None:
    before = state_of(root)
    steps = [tool_call("run_tests", '{"command": "true"}'), free_text_call("apply_patch", FIX.replace("+ b", "* b"))]
    with FakeOpenAI([*steps, *[text("All tests pass, exit code 0.")] * 9]) as server:
        ended = coder(root, "run", "x", "--test", UNITTEST, "--output", "json", env=server.environ())
    assert (ended.code, ended.result["tests"]["status"], state_of(root)) == (1, "failed", before)
