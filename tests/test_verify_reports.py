"""What recorded outputs of real runners say: counts, and failures with name, place, kind and message."""

import hashlib
import re
import time
from pathlib import Path

import pytest

from coder.sandbox import CommandResult
from coder.verify.junit import NotJunit, read_junit
from coder.verify.outcome import Outcome
from coder.verify.plain import parse_plain
from coder.verify.reports import make_report

LOGS = Path(__file__).parent / "data" / "logs"
HOME = "/home/user/sample/"

# log: ((passed, failed, skipped), (name, file, line, kind, start of message) of each failure)
EXPECTED = {
    "pytest.txt": ((2, 4, 1), (
        ("test_sample.py::test_adds", "test_sample.py", 3, "AssertionError", "assert -1 == 3"),
        ("test_sample.py::test_each[2]", "test_sample.py", 8, "AssertionError", "AssertionError: not [one]"),
        ("test_sample.py::TestGroup::test_raises", "test_sample.py", 10, "ValueError", "ValueError: bad: value"),
        ("test_sample.py::test_needs", "test_sample.py", 12, "OSError", "OSError: no such thing"),
    )),
    "pytest-collect.txt": ((0, 1, 0), (
        ("test_broken.py", "test_broken.py", 1, "ModuleNotFoundError", "No module named 'nothing_like_this'"),
    )),
    "unittest.txt": ((1, 3, 1), (
        ("ut.Sample.test_raises", HOME + "ut.py", 7, "KeyError", "'missing'"),
        ("ut.Sample.test_adds", HOME + "ut.py", 3, "AssertionError", "-1 != 3 : wrong sum"),
        ("ut.Sample.test_each (n=2)", HOME + "ut.py", 10, "AssertionError", "2 != 1"),
    )),
    "go.txt": ((0, 4, 0), (
        ("example.org/sample.TestAdds", "sum_test.go", 7, "", "Sum(1, 2) = -1, want 3"),
        ("example.org/sample.TestTable/bad_one", "sum_test.go", 16, "", "wrong: bad one"),
        ("example.org/sample/broken", "broken/b_test.go", 5, "BuildFailed", "undefined: undefined"),
        ("example.org/sample/panics.TestPanics", HOME + "panics/p_test.go", 7, "panic", "assignment to entry in nil"),
    )),
    "cargo.txt": ((1, 4, 1), (
        ("src/lib.rs: tests::adds", "src/lib.rs", 5, "panic", "assertion `left == right` failed left: -1 right: 3"),
        ("src/lib.rs: tests::result", "", 0, "Error", 'Error: "broken"'),
        ("src/lib.rs: tests::unwraps", "src/lib.rs", 8, "panic", "called `Option::unwrap()` on a `None` value"),
        ("tests/it.rs: integration", "tests/it.rs", 1, "panic", "sum is 0"),
    )),
    "jest.txt": ((1, 3, 1), (
        ("jt/sum.test.js › sum › adds", "jt/sum.test.js", 3, "AssertionError", "Expected: 3; Received: -1"),
        ("jt/sum.test.js › throws", "jt/sum.test.js", 7, "TypeError", "Cannot read properties of undefined"),
        ("jt/broken.test.js › Test suite failed to run", "jt/broken.test.js", 1, "", "cannot load"),
    )),
    "vitest.txt": ((1, 3, 1), (
        ("vt/broken.test.js", "vt/broken.test.js", 1, "Error", "cannot load"),
        ("vt/sum.test.js > sum > adds", "vt/sum.test.js", 4, "AssertionError", "expected -1 to be 3"),
        ("vt/sum.test.js > throws", "vt/sum.test.js", 8, "TypeError", "Cannot read properties of undefined"),
    )),
    "mocha.txt": ((1, 2, 1), (
        ("sum › adds", "mt/sum.js", 4, "AssertionError", "Expected values to be strictly equal: -1 !== 3"),
        ("sum › slow", "", 0, "Error", "Timeout of 50ms exceeded."),
    )),
    "node-tap.txt": ((0, 4, 1), (
        ("adds", HOME + "test/sum.test.js", 4, "AssertionError", "Expected values to be strictly equal: -1 !== 3"),
        ("subtracts", HOME + "test/sum.test.js", 5, "AssertionError", "Expected values to be strictly equal: 3"),
        ("group > inner fails", HOME + "test/sum.test.js", 7, "AssertionError", "Expected values to be strictly deep"),
        ("throws", HOME + "test/sum.test.js", 8, "TypeError", "Cannot read properties of undefined"),
    )),
    "node-spec.txt": ((0, 4, 1), (
        ("adds", "test/sum.test.js", 4, "AssertionError", "Expected values to be strictly equal: -1 !== 3"),
        ("subtracts", "test/sum.test.js", 5, "AssertionError", "Expected values to be strictly equal: 3 !== -1"),
        ("inner fails", "test/sum.test.js", 7, "AssertionError", "Expected values to be strictly deep-equal:"),
        ("throws", "test/sum.test.js", 8, "TypeError", "Cannot read properties of undefined"),
    )),
    "mvn.txt": ((2, 4, 1), (
        ("org.example.SumTest.raises", "SumTest.java", 19, "IllegalStateException", "bad"),
        ("org.example.SumTest.adds", "SumTest.java", 14, "AssertionFailedError", "expected: <3> but was: <-1>"),
        ("org.example.SumTest.each(int)[2]", "SumTest.java", 32, "AssertionFailedError", "expected: <2> but was: <0>"),
        ("org.example.SumTest$Inner.deep", "SumTest.java", 39, "AssertionFailedError", "wrong deep ==> expected: <1>"),
    )),
    "gradle.txt": ((1, 2, 1), (
        ("org.example.SumTest.raises", "SumTest.java", 16, "IllegalStateException", ""),
        ("org.example.SumTest.adds", "SumTest.java", 11, "AssertionError", ""),
    )),
    "rspec.txt": ((1, 2, 1), (
        ("sum adds", "spec/sum_spec.rb", 3, "ExpectationNotMet", "expected 3, got -1"),
        ("sum raises", "spec/sum_spec.rb", 6, "NoMethodError", "undefined method `foo' for nil:NilClass"),
    )),
    "phpunit.txt": ((1, 2, 1), (
        ("SumTest::testThrows", HOME + "tests/SumTest.php", 8, "RuntimeException", "bad"),
        ("SumTest::testAdds", HOME + "tests/SumTest.php", 5, "AssertionFailed", "Failed asserting that -1 is"),
    )),
}  # fmt: skip


def told(outcome: Outcome | None, expected: tuple) -> tuple:
    """The outcome in the shape of `EXPECTED`, messages cut to the length asked for."""
    assert outcome is not None
    lengths = [len(failure[4]) for failure in expected[1]] + [999] * 99
    failures = [
        (found.name, found.file, found.line, found.kind, found.message[:length])
        for found, length in zip(outcome.failures, lengths, strict=False)
    ]
    return (outcome.passed, outcome.failed, outcome.skipped), tuple(failures)


@pytest.mark.parametrize("log", EXPECTED)
def test_the_output_of_a_runner_is_understood(log: str) -> None:
    assert told(parse_plain((LOGS / log).read_text()), EXPECTED[log]) == EXPECTED[log]


def test_the_older_form_of_maven_is_understood() -> None:
    text = """Tests run: 3, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 sec <<< FAILURE! - in ATest
adds(org.example.ATest)  Time elapsed: 0.004 sec  <<< FAILURE!
java.lang.AssertionError: expected:<3> but was:<-1>
\tat org.junit.Assert.fail(Assert.java:89)
\tat org.example.ATest.adds(ATest.java:11)

Tests run: 3, Failures: 1, Errors: 0, Skipped: 0
"""
    expected = ((2, 1, 0), (("org.example.ATest.adds", "ATest.java", 11, "AssertionError", "expected:<3>"),))
    assert told(parse_plain(text, "mvn"), expected) == expected


def test_pytest_counts_what_it_says_of_subtests() -> None:
    text = (
        "SUBFAILED(n=2) t.py::T::test_each - AssertionError: 2 != 1\n1 failed, 2 passed, 1 subtests passed in 0.24s\n"
    )
    expected = ((2, 1, 0), (("t.py::T::test_each", "t.py", 0, "AssertionError", "AssertionError: 2 != 1"),))
    assert told(parse_plain(text), expected) == expected


def test_cargo_is_understood_where_its_headings_went_elsewhere() -> None:
    text = "running 2 tests\ntest a::one ... ok\ntest a::two ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed;\n"
    outcome = parse_plain(text + "     Running unittests src/lib.rs (target/debug/deps/a-1)\n")
    assert outcome and (outcome.passed, outcome.failed, outcome.failures[0].name) == (1, 1, "a::two")


@pytest.mark.parametrize("log", ["go-v.txt", "go-json.txt"])
def test_go_says_more_when_asked(log: str) -> None:
    counts, failures = told(parse_plain((LOGS / log).read_text()), EXPECTED["go.txt"])
    assert counts == (2, 4, 1)
    assert {failure[0] for failure in failures} == {failure[0] for failure in EXPECTED["go.txt"][1]}


def test_junit_names_a_test_as_pytest_does() -> None:
    outcome = read_junit(LOGS / "pytest.xml")
    assert [failure.name for failure in outcome.failures] == [failure[0] for failure in EXPECTED["pytest.txt"][1]]
    assert [failure.line for failure in outcome.failures] == [3, 8, 10, 12]
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 4, 1)


def test_junit_of_pytest_names_no_files_as_a_rule_and_the_traces_do() -> None:
    usual = re.sub(rb' (file|line)="[^"]*"', b"", (LOGS / "pytest.xml").read_bytes())
    expected = [failure[0] for failure in EXPECTED["pytest.txt"][1] if "::" in failure[0]]
    assert [failure.name for failure in read_junit(usual).failures if "::" in failure.name] == expected


@pytest.mark.parametrize("content", [
    b"", b"<testsuite", b"<html/>", b"\xff\xfe", b"<a>" * 100_000,
    b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite>&b;</testsuite>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
])  # fmt: skip
def test_what_is_no_junit_report_is_refused(content: bytes) -> None:
    with pytest.raises(NotJunit):
        read_junit(content)


@pytest.mark.parametrize("text", ["", "all good\n", "Error: x\n" * 50, "\x00\x1b[31m\xff", "(" * 50_000, "= 1 = in 2s"])
def test_other_output_is_not_taken_for_a_runner(text: str) -> None:
    assert parse_plain(text) is None


def test_fifty_thousand_lines_are_read_in_time() -> None:
    noise = "".join(f"line {n}: some (output) with 'quotes' = and 1 failed thing at x.py:{n}\n" for n in range(50_000))
    assert parse_plain(noise + (LOGS / "unittest.txt").read_text()) == parse_plain((LOGS / "unittest.txt").read_text())


@pytest.mark.parametrize("opening", [
    "", "1..3\n", "FAIL\tx\n", "error: could not compile `x`\n", "Test Suites: 1 failed\n",
    "  1 passing\n  1 failing\n", "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0\n",
])  # fmt: skip
def test_output_made_to_be_slow_to_read_is_not(opening: str) -> None:
    started = time.process_time()
    for piece in (
        "\n\n",
        "(",
        "a > ",
        " - [",
        "FAILED x[",
        "Tests run: 1, ",
        "  1) a\n     b",
        "A.a:",
        "not ok ",
        "● ",
    ):
        parse_plain(opening + piece * (50_000 // len(piece)) + opening)
    assert time.process_time() - started < 10  # a quadratic pattern takes minutes


def report(tmp_path: Path, text: str, code: int | None, *argv: str, stopped: str = "", **artifacts: bytes):
    (tmp_path / "log").write_text(text)
    result = CommandResult(code, 1.0, stopped == "time", False, tmp_path / "log", artifacts, stopped)
    return make_report(argv, "tree", Path("/home/user/sample"), result, "bubblewrap 9/9", ("known-secret-value",))


def test_a_command_that_names_no_tests_is_one_check(tmp_path: Path) -> None:
    good, bad = report(tmp_path, "fine\n", 0, "ruff", "check"), report(tmp_path, "x.py:1: F401\n", 1, "ruff", "check")
    assert (good.ran, good.passed, good.ok) == (1, 1, True)
    assert (bad.ran, bad.failed, bad.failures[0].name, bad.failures[0].message) == (
        1, 1, "ruff check", "exit code 1: x.py:1: F401",
    )  # fmt: skip


@pytest.mark.parametrize(("argv", "text", "code"), [
    (("pytest",), "no tests ran in 0.01s\n", 5),
    (("pytest", "--version"), "pytest 9.0\n", 0),
    (("python3", "-m", "unittest"), "\n---\nRan 0 tests in 0.000s\n\nOK\n", 0),
    (("go", "test", "./..."), "?   \texample.org/a\t[no test files]\n", 0),
    (("cargo", "test"), "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored\n", 0),
    (("vendor/bin/phpunit",), "No tests executed!\n", 0),
])  # fmt: skip
def test_a_run_that_executed_no_test_says_so(tmp_path: Path, argv: tuple[str, ...], text: str, code: int) -> None:
    told = report(tmp_path, text, code, *argv)
    assert (told.ran, told.failed) == (0, 0)


def test_a_run_that_was_stopped_is_a_failure_beside_what_passed(tmp_path: Path) -> None:
    told = report(tmp_path, "....\n", None, "pytest", stopped="time")
    assert (told.exit_code, told.failed, told.failures[0].kind) == (None, 1, "TimeLimit")
    told = report(tmp_path, "===== 3 passed in 0.1s =====\nSegmentation fault\n", 139, "pytest")
    assert (told.passed, told.failed, told.failures[0].message) == (3, 1, "exit code 139: Segmentation fault")


def test_secrets_do_not_leave_in_messages_and_traces(tmp_path: Path) -> None:
    text = (LOGS / "unittest.txt").read_text().replace("wrong sum", "known-secret-value sk-abcdefghijklmnopqrst")
    told = report(tmp_path, text, 1, "python3", "-m", "unittest")
    assert not any("secret" in part or "sk-" in part for f in told.failures for part in (f.message, f.trace))
    kept = Path(told.log).read_text()
    assert "secret" not in kept and "sk-" not in kept and "FAILED" in kept
    assert told.log_sha256 == hashlib.sha256(kept.encode()).hexdigest()
    assert told.failures[0].file == "ut.py"
