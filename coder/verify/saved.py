"""Reports and logs that an earlier run left behind, as TestReports. A file that is none is told by its name."""

import hashlib
import stat
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import structs

from coder.errors import UserError
from coder.text import redact
from coder.values import TestFailure, TestReport
from coder.verify.junit import NotJunit, read_junit
from coder.verify.outcome import Outcome, shorten
from coder.verify.reports import read_log

MAX_BYTES = 64 * 1024 * 1024
_HEAD = MAX_BYTES // 8  # of a longer log: this much of its start, the rest from its end
_TAIL = 6_000  # characters of a log of no known runner that its one failure carries


def read_saved(
    junit: Sequence[str], logs: Sequence[str], keep: Path, secrets: Collection[str] = ()
) -> tuple[TestReport, ...]:
    """The reports in the named files; `-` is standard input. Raises UserError naming the file at fault.

    With both kinds the reports count, and the first of the logs is what they are explained by. What is read from
    standard input is kept in the directory `keep`, so that the report can name its log.
    """
    found = [_read_report(name, secrets) for name in junit]
    for name in logs:
        path, text = _read_text(name, keep)
        if not junit:
            found.append(_from_log(name, path, text, secrets))
        elif not found[0].log:
            found[0] = structs.replace(found[0], log=str(path), log_sha256=_digest(text))
    return tuple(found)


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _read_report(name: str, secrets: Collection[str]) -> TestReport:
    content = _read(name)
    if len(content) > MAX_BYTES:
        raise UserError(f"{_shown(name)} is larger than {MAX_BYTES >> 20} MiB", "give the reports of single suites")
    try:
        outcome = read_junit(content)
    except NotJunit as error:
        raise UserError(f"{_shown(name)} is no JUnit report: {error}", "give a log with --log instead") from None
    return _report(outcome, "", "", secrets)


def _read_text(name: str, keep: Path) -> tuple[Path, str]:
    content = _read(name)
    if b"\0" in content[:8_000]:
        raise UserError(f"{_shown(name)} is not text", "give the log that the tests printed")
    if not content.strip():
        raise UserError(f"{_shown(name)} is empty", "give the log that the tests printed")
    path = Path(name).absolute()
    if name == "-":
        path = keep / "standard-input.log"
        path.write_bytes(content)
        path.chmod(0o600)
    return path, _bounded(content)


def _bounded(content: bytes) -> str:
    if len(content) <= MAX_BYTES:
        return content.decode("utf-8", "replace")
    head, tail = content[:_HEAD], content[-(MAX_BYTES - _HEAD) :]
    return f"{head.decode('utf-8', 'replace')}\n[…]\n{tail.decode('utf-8', 'replace')}"


def _read(name: str) -> bytes:
    """The bytes of a regular file or of standard input. A log may be longer than MAX_BYTES, but not endless."""
    most = 4 * MAX_BYTES
    try:
        if name == "-":
            if sys.stdin is None:
                raise UserError("standard input is closed", "name the file")
            return sys.stdin.buffer.read(most)
        path = Path(name)
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
            raise UserError(f"{_shown(name)} is not a regular file", "use - for standard input")
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}", "name the file that the tests wrote") from None


def _from_log(name: str, path: Path, text: str, secrets: Collection[str]) -> TestReport:
    """A log of no known runner counts as one failure, for whoever gives it says that something failed."""
    outcome = read_log(text)
    if outcome is None:
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        outcome = Outcome(failed=1, failures=(TestFailure(name, message=shorten(last, 500), trace=text[-_TAIL:]),))
    return _report(outcome, str(path), _digest(text), secrets)


def _report(outcome: Outcome, log: str, digest: str, secrets: Collection[str]) -> TestReport:
    known = tuple(secrets)
    failures = [
        structs.replace(each, message=redact(each.message, known), trace=redact(each.trace, known))
        for each in outcome.failures
    ]
    return TestReport(
        (),
        "",
        None if outcome.failed else 0,
        outcome.ran,
        outcome.passed,
        outcome.failed,
        outcome.skipped,
        tuple(failures),
        log=log,
        log_sha256=digest,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
