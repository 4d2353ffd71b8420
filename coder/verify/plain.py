"""Outcomes from what test runners print for people. One parser a runner; each says None to output it does not know."""

import re
from collections.abc import Callable

from coder.values import TestFailure
from coder.verify.outcome import MAX_FAILURES, Outcome, shorten

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PYTEST_SUMMARY = re.compile(r"(?m)^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s?(?: \([\d:]+\))?(?: =+)?$")
_FRAME = re.compile(r'^  File "([^"\n]+)", line (\d+)', re.MULTILINE)


def parse_plain(text: str) -> Outcome | None:
    """The outcome that `text`, the output of some runner, reports; None when no runner is recognised in it."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    found = [outcome for parser in PARSERS if (outcome := parser(text)) is not None]
    return found[0] if found else None


def _unittest(text: str) -> Outcome | None:
    runs = list(re.finditer(r"(?m)^Ran (\d+) tests? in [\d.]+s\n+(OK|FAILED|NO TESTS RAN)?(?: \(([^)\n]*)\))?", text))
    if not runs:
        return None
    total = Outcome()
    for run in runs:
        counts = {name: int(number) for name, number in re.findall(r"([a-z ]+)=(\d+)", run[3] or "")}
        bad = sum(counts.get(name, 0) for name in ("failures", "errors", " errors", "unexpected successes",
                                                   " unexpected successes"))  # fmt: skip
        idle = sum(number for name, number in counts.items() if name.strip() == "skipped")
        total = total.plus(Outcome(max(int(run[1]) - bad - idle, 0), bad, idle))
    return Outcome(total.passed, total.failed, total.skipped, _unittest_failures(text))


def _unittest_failures(text: str) -> tuple[TestFailure, ...]:
    failures = []
    blocks = re.split(r"(?m)^={70}\n", text)[1:]
    for block in blocks[:MAX_FAILURES]:
        heading = re.match(r"(?:FAIL|ERROR): (.*)\n", block)
        if not heading:
            continue
        body = re.split(r"(?m)^-{70}\nRan ", block)[0]
        trace = body.partition("-" * 70 + "\n")[2].rstrip()
        last = next(
            (line for line in reversed(trace.splitlines()) if re.match(r"[\w.]+(?:Error|Exception|\b.*):", line)), ""
        )
        kind, _, message = last.partition(": ")
        frames = _FRAME.findall(trace)
        file, line = (frames[-1][0], int(frames[-1][1])) if frames else ("", 0)
        name = _unittest_name(heading[1])
        failures.append(
            TestFailure(name, file, line, kind.rpartition(".")[2], shorten(message or last), shorten(trace))
        )
    return tuple(failures)


def _unittest_name(heading: str) -> str:
    """`test_x (mod.Class.test_x)` (Python 3.11) and `test_x (mod.Class)` (before) as mod.Class.test_x."""
    match = re.match(r"(\S+) \(([^)]*)\)(.*)", heading)
    if not match:
        return heading.strip()
    method, place, parameters = match.groups()
    full = place if place.endswith(f".{method}") or method.startswith("setUp") else f"{place}.{method}"
    return f"{full}{parameters.rstrip()}"


def _pytest(text: str) -> Outcome | None:
    summaries = list(_PYTEST_SUMMARY.finditer(text))
    if not summaries:
        return None
    counts = {name.rstrip("s"): int(number) for number, name in re.findall(r"(\d+) ([a-z]+)", summaries[-1][1])}
    failures = tuple(
        TestFailure(name, name.partition("::")[0], 0, _first_word(message), message)
        for name, message in re.findall(r"(?m)^(?:FAILED|ERROR) (\S+(?: \S+)*?)(?: - (.*))?$", text)[:MAX_FAILURES]
    )
    failed = counts.get("failed", 0) + counts.get("error", 0)
    return Outcome(counts.get("passed", 0), failed, counts.get("skipped", 0), failures)


def _first_word(message: str) -> str:
    match = re.match(r"([\w.]+)(?::|$)", message)
    return match[1].rpartition(".")[2] if match else ""


PARSERS: tuple[Callable[[str], Outcome | None], ...] = (_pytest, _unittest)
