"""From a finished command to a TestReport: the machine-readable report where there is one, else its output."""

import dataclasses
import hashlib
from pathlib import Path

from coder.sandbox.values import CommandResult
from coder.values import TestFailure, TestReport
from coder.verify.commands import runner_of
from coder.verify.junit import NotJunit, read_junit
from coder.verify.outcome import Outcome, shorten
from coder.verify.plain import parse_plain

JUNIT_FILE = "$TMPDIR/coder-junit.xml"
_TAIL = 4_000


def extra_environment(argv: tuple[str, ...]) -> dict[str, str]:
    """Variables that make a runner write a report, its own arguments untouched."""
    if runner_of(argv) == "pytest":
        return {"PYTEST_ADDOPTS": f"--junit-xml={JUNIT_FILE} -o junit_family=xunit1"}
    return {}


def make_report(argv: tuple[str, ...], tree: str, root: Path, result: CommandResult, sandbox: str) -> TestReport:
    """What the run of `argv` on `tree` says. A command whose output names no tests counts as one test:
    itself. Paths of failures are relative to `root` where they lie in it."""
    raw = result.log.read_bytes()
    text = raw.decode("utf-8", "replace")
    outcome = _machine_readable(result) or parse_plain(text) or Outcome()
    known = outcome.ran or outcome.skipped or _says_none(argv, text)
    if not known:
        outcome = _as_one_check(argv, result, text)
    elif result.exit_code != 0 and not outcome.failed:
        # it failed for a reason that is no test: a crash, a coverage threshold, an error of the runner itself
        extra = _as_one_check(argv, result, text)
        outcome = dataclasses.replace(outcome, failed=1, failures=extra.failures)
    return TestReport(
        argv,
        tree,
        result.exit_code,
        outcome.ran,
        outcome.passed,
        outcome.failed,
        outcome.skipped,
        tuple(_below(root, failure) for failure in outcome.failures),
        result.duration_s,
        result.timed_out,
        str(result.log),
        hashlib.sha256(raw).hexdigest(),
        sandbox,
    )


def _below(root: Path, failure: TestFailure) -> TestFailure:
    prefix = f"{root}/"
    file, trace = failure.file.removeprefix(prefix), failure.trace.replace(prefix, "")
    return dataclasses.replace(failure, file=file, trace=trace)


def read_log(text: str) -> Outcome | None:
    """The outcome in the saved output of a runner; None when none is recognised."""
    return parse_plain(text)


def read_log_file(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _machine_readable(result: CommandResult) -> Outcome | None:
    content = result.artifacts.get(JUNIT_FILE)
    if content is None:
        return None
    try:
        return read_junit(content)
    except NotJunit:
        return None


def _says_none(argv: tuple[str, ...], text: str) -> bool:
    """Whether a test runner ran and found nothing to run, which is not success."""
    return parse_plain(text) is not None or runner_of(argv) in ("pytest", "unittest")


def _as_one_check(argv: tuple[str, ...], result: CommandResult, text: str) -> Outcome:
    name = " ".join(argv)
    if result.exit_code == 0:
        return Outcome(passed=1)
    why = f"stopped: {result.stopped}" if result.exit_code is None else f"exit code {result.exit_code}"
    kind = {"time": "TimeLimit", "memory": "MemoryLimit", "processes": "ProcessLimit", "disk": "DiskLimit"}
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    failure = TestFailure(name, "", 0, kind.get(result.stopped, ""), shorten(f"{why}: {last}", 500), text[-_TAIL:])
    return Outcome(failed=1, failures=(failure,))
