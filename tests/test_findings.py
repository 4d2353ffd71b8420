"""What the tests said, in words; where it points to; and the tests once more, all of them or what failed."""

import shlex
import sys
from pathlib import Path

import pytest

from coder.context.tokens import count_tokens
from coder.errors import UserError
from coder.session.checks import compare_again
from coder.session.findings import describe, headline
from coder.session.pointing import editor_words, find_place
from coder.values import Evidence, TestFailure, TestReport, TriageCard
from coder.verify.cluster import cluster
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.inside import inside
from tests.work import CALC, FIX, TEST, UNITTEST, coder, make_repository


def failed(*names: str, ran: int = 57, message: str = "ValueError: bad") -> TestReport:
    found = tuple(TestFailure(name, "a.py", number, "ValueError", message) for number, name in enumerate(names, 1))
    return TestReport(("pytest", "-q"), "t", 1, ran, ran - len(names), len(names), failures=found)


@pytest.mark.parametrize(
    "words", ["test_{0}", "漢字試験{0}" * 9, "a/very/long/path/to/" * 20 + "test_{0}.py::T::t", "\x00{0}"]
)
def test_ten_thousand_lines_of_a_log_become_few_tokens(words: str) -> None:
    names = [words.format(number) for number in range(2_000)]
    report = failed(*names, ran=2_000, message="kind {0}" * 50)
    kinds = [
        TestFailure(f.name, f.file, f.line, f"Kind{n % 400}", f.name * 3, "E   x\n" * 9)
        for n, f in enumerate(report.failures)
    ]
    evidence = Evidence(
        "failed",
        "t",
        (TestReport(("pytest",), "t", 1, 2_000, 0, 2_000, failures=tuple(kinds)),),
        new_failures=tuple(names),
    )
    told = describe(evidence, cluster(evidence))
    assert 300 < count_tokens(told) <= 1_500
    assert told.startswith("Tests FAIL on the draft: 2,000 of 2,000 fail, 2,000 of them new.") and " more" in told


def test_the_state_of_a_proposal_is_told_as_it_is() -> None:
    report, good = failed("a", "b"), TestReport(("pytest",), "t", 0, 57, 57)
    for evidence, sentence in (
        (Evidence("passed", "t", (report,), preexisting=("a", "b")),
         "No new failures on the draft: 2 of 57 fail, 2 as they did before the change."),
        (Evidence("failed", "t", (report,), new_failures=("a",), preexisting=("b",)),
         "Tests FAIL on the draft: 2 of 57 fail, 1 of them new."),
        (Evidence("failed", "t", (TestReport(("pytest",), "t", 0),), note="no test was run by: pytest"),
         "Tests FAIL on the draft: no test was run by: pytest."),
        (Evidence("passed", "t", (good,)), "All tests pass on the draft."),
        (Evidence(note="no sandbox"), "Tests did not run: no sandbox."),
    ):  # fmt: skip
        assert headline(evidence) == sentence


def test_a_cause_points_into_the_tree_and_nowhere_else(tmp_path: Path) -> None:
    root = tmp_path / "r"
    (root / "src").mkdir(parents=True)
    for path in (root / "src" / "a.py", tmp_path / "outside.py"):
        path.write_text("")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    cards = (
        TriageCard("x", (), locations=(("../outside.py", 3), ("link.py", 1), ("src/a.py", 7))),
        TriageCard("y", ()),
    )
    assert find_place(root, cards, "1") == find_place(root, cards, "") == (root / "src" / "a.py", 7)
    assert find_place(root, (), "src/a.py:12") == (root / "src" / "a.py", 12)
    for text_ in ("2", "3", "0", "../outside.py", "/etc/passwd:1", "link.py", "src", "-x"):
        with pytest.raises(UserError):
            find_place(root, cards, text_)


def test_editors_are_told_the_line_in_their_own_way() -> None:
    path = Path("/r/a b.py")
    assert editor_words("emacsclient -nw", path, 3) == ["emacsclient", "-nw", "+3", "/r/a b.py"]
    assert editor_words("code --wait", path, 3) == ["code", "--wait", "--goto", "/r/a b.py:3"]
    assert editor_words("/opt/hx", path, 3) == ["/opt/hx", "/r/a b.py:3"]


def test_the_tests_are_run_again_all_or_those_that_failed_and_an_editor_opens_where(tmp_path: Path) -> None:
    more = "import unittest\nclass U(unittest.TestCase):\n    def test_more(self): pass\n"
    root = make_repository(tmp_path / "repo", {"calc.py": CALC, "test_calc.py": TEST, "test_more.py": more})
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    editor.chmod(0o755)
    flags = ("--plain", "--set", f'test.commands=["{UNITTEST}"]')
    script = "/test failed\n/test run\n/test failed\n/open 1\n/open 9\n"
    ended = coder(root, *flags, env={"EDITOR": str(editor), "VISUAL": ""}, stdin=script)
    assert "no test failed before" in ended.err and "Tests FAIL on the draft: 1 of 2 fail." in ended.out, ended.err
    again = shlex.join([sys.executable, "-m", "unittest", "-k", "test_calc.T.test_add"])
    narrowed = f"{again}\ntests: exit code 1, 0 passed, 1 failed"
    assert narrowed in ended.err and "of 1 failed test, 1 failed again" in ended.err, ended.err
    assert (tmp_path / "opened").exists(), ended.err
    assert (tmp_path / "opened").read_text() == f"+7 {root}/test_calc.py\n"
    assert "there is no cause 9" in ended.err


@pytest.mark.parametrize(
    ("exit_code", "ran", "failing", "told"),
    [
        (1, 3, ("a",), "of 3 failed tests, 1 failed again; passed this time: b, c"),
        (0, 3, (), "of 3 failed tests, 0 failed again; passed this time: a, b, c"),
        (None, 1, ("a",), "of 3 failed tests, 1 failed again; 2 may not have been run"),
        (0, 0, (), "of 3 failed tests, 0 failed again; 3 may not have been run"),
    ],
)
def test_a_test_passed_again_only_if_it_was_run(
    exit_code: int | None, ran: int, failing: tuple[str, ...], told: str
) -> None:
    before = TestReport(("t",), "x", 1, 3, failures=tuple(map(TestFailure, "abc")))
    after = TestReport(("t",), "x", exit_code, ran, failures=tuple(map(TestFailure, failing)))
    assert compare_again([before], [after]) == told


def test_after_a_change_the_tests_run_on_what_lies_there_now(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    flags = ("--plain", "--set", f'test.commands=["{UNITTEST}"]')
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("add() now adds.")]) as server:
        ended = inside(root, *flags, env=server.environ(), stdin="mend add\ny\n/test run\n")
    assert ended.out.count("fixed: test_calc.T.test_add") == 2, ended.out
