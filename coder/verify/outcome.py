"""What a parser found in the output of a test run. Parsers make it; `reports` turns it into a TestReport."""

from msgspec import Struct

from coder.values import TestFailure

MAX_TRACE = 8_000
MAX_FAILURES = 2_000


class Outcome(Struct, frozen=True):
    """Counts of one run and its failures. Errors count as failed; `passed` are names, where the runner gives them."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[TestFailure, ...] = ()

    @property
    def ran(self) -> int:
        return self.passed + self.failed

    def plus(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            (self.failures + other.failures)[:MAX_FAILURES],
        )


def shorten(text: str, limit: int = MAX_TRACE) -> str:
    """`text` without its middle when it is longer than `limit`: a trace says most at both ends."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n[…]\n{text[-limit // 2 :]}"
