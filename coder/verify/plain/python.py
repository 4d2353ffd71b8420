"""pytest and unittest, as they print."""

import re

from coder.values import TestFailure
from coder.verify.outcome import MAX_FAILURES, Outcome, shorten
from coder.verify.plain import blocks

_FRAME = re.compile(r'^  File "([^"\n]+)", line (\d+)', re.MULTILINE)
_SUMMARY = re.compile(
    r"(?m)^(?:=+ )?((?:\d+ [a-z]+(?: [a-z]+)?(?:, )?)+|no tests ran) in [\d.]+s?(?: \([\d:]+\))?(?: =+)?$"
)
_NODE = re.compile(r"(?m)^(?:FAILED|ERROR|SUBFAIL(?:ED)?[^ \n]{0,200}) (\S+?(?:\[.*?\])?)(?: - (.*))?$")
_RAISED = re.compile(r"(?m)^(\S[^\n:]*\.\w+):(\d+): ")
_RAN = re.compile(r"(?m)^Ran (\d+) tests? in [\d.]+s\n+(OK|FAILED|NO TESTS RAN)?(?: \(([^)\n]*)\))?")


def pytest(text: str) -> Outcome | None:
    summaries = list(_SUMMARY.finditer(text))
    if not summaries:
        return None
    counts = {name.rstrip("s"): int(count) for count, name in re.findall(r"(\d+) ([a-z]+)", summaries[-1][1])}
    traces = {heading[1]: body for heading, body in blocks.sections(text, re.compile(r"(?m)^_{3,} (.+?) _{3,}$"))}
    failures = [_pytest_failure(name, message, traces) for name, message in _NODE.findall(text)[:MAX_FAILURES]]
    failed = counts.get("failed", 0) + counts.get("error", 0)
    skipped = counts.get("skipped", 0) + counts.get("xfailed", 0)
    return blocks.outcome(counts.get("passed", 0) + counts.get("xpassed", 0), failed, skipped, failures)


def _pytest_failure(name: str, message: str, traces: dict[str, str]) -> TestFailure:
    file, _, inner = name.partition("::")
    title = inner.replace("::", ".")
    titles = (title, f"ERROR at setup of {title}", f"ERROR at teardown of {title}", f"ERROR collecting {file}")
    body = next((traces[text] for text in titles if text in traces), "")
    body = re.split(r"(?m)^=+ ", body)[0]
    kind = re.match(r"([\w.]+)(?::|$)", message)
    raised = _RAISED.findall(body)
    own = [place for place in raised if place[0].endswith(file)] or raised
    at = (file, int(own[-1][1]) if own else 0)
    known = kind[1].rpartition(".")[2] if kind and kind[1] != "assert" else "AssertionError" if message else ""
    return blocks.failure(name, body, at, known, message)


def unittest(text: str) -> Outcome | None:
    runs = list(_RAN.finditer(text))
    if not runs:
        return None
    passed = failed = skipped = 0
    for run in runs:
        counts = {name: int(count) for name, count in re.findall(r"([a-z][a-z ]*)=(\d+)", run[3] or "")}
        bad = sum(counts.get(name, 0) for name in ("failures", "errors", "unexpected successes"))
        idle = counts.get("skipped", 0) + counts.get("expected failures", 0)
        passed, failed, skipped = passed + max(int(run[1]) - bad - idle, 0), failed + bad, skipped + idle
    return blocks.outcome(passed, failed, skipped, _unittest_failures(text))


def _unittest_failures(text: str) -> list[TestFailure]:
    failures = []
    for heading, rest in blocks.sections(text, re.compile(r"(?m)^={70}\n(?:FAIL|ERROR): (.*)\n"))[:MAX_FAILURES]:
        body = re.split(r"(?m)^-{70}\nRan ", rest)[0].rpartition("-" * 70 + "\n")[2].rstrip()
        lines = [line for line in body.splitlines() if re.match(r"[A-Za-z_][\w.]*(?::|$)", line)]
        kind, _, message = (lines[-1] if lines else "").partition(": ")
        frames = _FRAME.findall(body)
        file, line = (frames[-1][0], int(frames[-1][1])) if frames else ("", 0)
        name = _unittest_name(heading[1])
        message = shorten(message or kind, 2_000)
        failures.append(TestFailure(name, file, line, kind.rpartition(".")[2], message, shorten(body)))
    return failures


def _unittest_name(heading: str) -> str:
    """`test_x (mod.Class.test_x)` (Python 3.11) and `test_x (mod.Class)` (before) as mod.Class.test_x."""
    match = re.match(r"(\S+) \(([^)]*)\)(.*)", heading)
    if not match:
        return heading.strip()
    method, place, parameters = match.groups()
    full = place if place.endswith(f".{method}") or method.startswith("setUp") else f"{place}.{method}"
    return f"{full}{parameters.rstrip()}"
