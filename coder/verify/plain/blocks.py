"""What the parsers share: exception lines, places in traces, and blocks between headings."""

import re
from collections.abc import Iterable

from coder.values import TestFailure
from coder.verify.outcome import MAX_FAILURES, Outcome, shorten

_EXCEPTION = re.compile(
    r"^[ \t]*(?:E[ \t]+)?(?:Caused by: |Uncaught )?"
    r"((?:[\w$]+[.:]+)*(?:[A-Z]\w*(?:Error|Exception|Failure|Failed|Exit|Interrupt)|Error|Exception))"
    r"(?: \[[^\]\n]*\])?(?::[ \t]*(.*))?$",
    re.MULTILINE,
)


def exception(text: str) -> tuple[str, str]:
    """(kind, message) of the first line of `text` that names an exception; ("", "") without one.

    A message that ends in a colon takes the next line that says something with it.
    """
    found = _EXCEPTION.search(text)
    if not found:
        return "", ""
    message = (found[2] or "").strip()
    if message.endswith(":") or not message:
        message = f"{message} {first_line(text[found.end() :])}".strip()
    return re.split(r"[.:]+", found[1])[-1], message


def first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def place(text: str, pattern: re.Pattern[str]) -> tuple[str, int]:
    """The first (file, line) that `pattern` finds, ("", 0) without one. Its groups are the file and the line."""
    found = pattern.search(text)
    return (found[1], int(found[2])) if found else ("", 0)


def failure(name: str, body: str, at: tuple[str, int], kind: str = "", message: str = "") -> TestFailure:
    """A failure from its block of text; kind and message are read from the block where they are not given."""
    found_kind, found_message = exception(body)
    return TestFailure(
        name,
        at[0],
        at[1],
        kind or found_kind,
        shorten(message or found_message or first_line(body), 2_000),
        shorten(body.strip("\n")),
    )


def sections(text: str, heading: re.Pattern[str]) -> list[tuple[re.Match[str], str]]:
    """Each match of `heading` with the text up to the next one."""
    found = list(heading.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] if found else []
    return [(match, text[match.end() : end]) for match, end in zip(found, ends, strict=True)]


def number(text: str, word: str) -> int:
    """The number before (`3 failed`) or after (`Failures: 3`) a word; 0 without one."""
    found = re.search(rf"(\d+) {word}\b|\b{word}[:=] ?(\d+)", text)
    return int(found[1] or found[2]) if found else 0


def outcome(passed: int, failed: int, skipped: int, failures: Iterable[TestFailure]) -> Outcome:
    """Failures once each by name; never fewer failed than there are failures."""
    unique = tuple({failure.name: failure for failure in failures}.values())
    return Outcome(passed, max(failed, len(unique)), skipped, unique[:MAX_FAILURES])
