"""From a finished command to a TestReport: the machine-readable report where there is one, else its output."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import structs

from coder.sandbox.values import CommandResult
from coder.store import read_redacted
from coder.text import redact
from coder.values import TestFailure, TestReport
from coder.verify.commands import runner_of
from coder.verify.junit import NotJunit, read_junit
from coder.verify.outcome import Outcome, shorten
from coder.verify.plain import PARSERS, clean, parse_plain

JUNIT_FILE = "$TMPDIR/coder-junit.xml"
_DEPTHS = ("", "*/", "*/*/")
_REPORTS = {
    "mvn": tuple(f"{depth}target/surefire-reports/TEST-*.xml" for depth in _DEPTHS),
    "gradle": tuple(f"{depth}build/test-results/*/TEST-*.xml" for depth in _DEPTHS),
    "pytest": (JUNIT_FILE,),
}
_EXTRA = {
    "pytest": {"PYTEST_ADDOPTS": f"--junit-xml={JUNIT_FILE} -o junit_family=xunit1"},
    "go": {"GOFLAGS": "-v"},  # the only way to learn how many tests passed
}
_STOPPED = {"time": "TimeLimit", "memory": "MemoryLimit", "processes": "ProcessLimit", "disk": "DiskLimit"}
_TAIL = 4_000


def extra_environment(argv: tuple[str, ...], selected: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that make a runner report in full, its own arguments untouched, joined with those of a selection."""
    extra = dict(_EXTRA.get(runner_of(argv), {}))
    for name, value in (selected or {}).items():
        extra[name] = f"{extra[name]} {value}" if name in extra else value
    return extra


def wanted_files(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Where the runner leaves machine-readable reports, as `Sandbox.run` takes it."""
    return _REPORTS.get(runner_of(argv), ())


def make_report(
    argv: tuple[str, ...], tree: str, root: Path, result: CommandResult, sandbox: str, secrets: Collection[str] = ()
) -> TestReport:
    """What the run of `argv` on `tree` says. A command whose output names no tests counts as one test: itself.

    Paths of failures are relative to `root` where they lie in it. Messages and traces go to models and screens:
    `secrets`, and what looks like one, are taken out of them and of the log.
    """
    text = read_redacted(result.log, tuple(secrets))
    outcome = _outcome(argv, result, text)
    failures = [_redacted(_located(root, failure), tuple(secrets)) for failure in outcome.failures]
    return TestReport(
        argv,
        tree,
        result.exit_code,
        outcome.ran,
        outcome.passed,
        outcome.failed,
        outcome.skipped,
        tuple(failures),
        result.duration_s,
        result.timed_out,
        str(result.log),
        hashlib.sha256(result.log.read_bytes()).hexdigest(),
        sandbox,
    )


def _outcome(argv: tuple[str, ...], result: CommandResult, text: str) -> Outcome:
    runner = runner_of(argv)
    outcome = _machine_readable(result) or parse_plain(text, runner)
    if outcome is None and runner in PARSERS and result.exit_code == 0:
        return Outcome()  # a test runner that says nothing of tests ran none
    if outcome is None:
        return _as_one_check(argv, result, text)
    if result.exit_code == 0 or outcome.failed:
        return outcome
    # it failed for a reason that is no test: a crash, a coverage threshold, the time limit, the runner itself
    return outcome.plus(_as_one_check(argv, result, text)) if outcome.ran else _or_none_ran(argv, result, text)


def _or_none_ran(argv: tuple[str, ...], result: CommandResult, text: str) -> Outcome:
    """Nothing ran. For pytest (5) and unittest (5) that is a failure of its own, which is no test's."""
    return Outcome() if result.exit_code == 5 else _as_one_check(argv, result, text)


def _machine_readable(result: CommandResult) -> Outcome | None:
    """The sum of the reports that were brought back; None without a readable one."""
    total: Outcome | None = None
    for content in result.artifacts.values():
        try:
            found = read_junit(content)
        except NotJunit:
            continue
        total = found if total is None else total.plus(found)
    return total


def _as_one_check(argv: tuple[str, ...], result: CommandResult, text: str) -> Outcome:
    if result.exit_code == 0:
        return Outcome(passed=1)
    why = f"stopped: {result.stopped}" if result.exit_code is None else f"exit code {result.exit_code}"
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    kind, message = _STOPPED.get(result.stopped, ""), shorten(f"{why}: {last}", 500)
    return Outcome(failed=1, failures=(TestFailure(" ".join(argv), "", 0, kind, message, clean(text[-_TAIL:])),))


def _located(root: Path, failure: TestFailure) -> TestFailure:
    """Paths below `root`. Go names a file without its directory, which is the end of the package's name."""
    prefix = f"{root}/"
    file, trace = failure.file.removeprefix(prefix), failure.trace.replace(prefix, "")
    if file.endswith(".go") and "/" not in file and not (root / file).exists():
        parts = failure.name.split("/")
        parts[-1] = parts[-1].partition(".")[0]
        tries = ("/".join([*parts[start:], file]) for start in range(len(parts)))
        file = next((path for path in tries if (root / path).exists()), file)
    return structs.replace(failure, file=file, trace=trace)


def _redacted(failure: TestFailure, secrets: tuple[str, ...]) -> TestFailure:
    return structs.replace(failure, message=redact(failure.message, secrets), trace=redact(failure.trace, secrets))


def read_log(text: str) -> Outcome | None:
    """The outcome in the saved output of a runner; None when none is recognised."""
    return parse_plain(text)
