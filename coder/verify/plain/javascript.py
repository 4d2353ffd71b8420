"""JavaScript's runners: jest, vitest, node's own, mocha, and TAP, which node prints too, as they print."""

import re

from coder.values import TestFailure
from coder.verify.outcome import Outcome
from coder.verify.plain import blocks

_JS_PLACE = re.compile(r"(?:\(|at |❯ )(?:file://)?((?!node:)(?!\S*node_modules)[^\s():]+\.[cm]?[jt]sx?):(\d+)(?::\d+)?")


def jest(text: str) -> Outcome | None:
    total = re.search(r"(?m)^Tests: +(.*?)(\d+) total$", text)
    suites = re.search(r"(?m)^Test Suites: +(.*)$", text)
    if not suites:
        return None
    counts = total[1] if total else ""
    skipped = sum(blocks.number(counts, word) for word in ("skipped", "todo", "pending"))
    failures: list[TestFailure] = []
    for file, body in blocks.sections(
        text[: suites.start()], re.compile(r"(?m)^[ \t]*(?:FAIL|PASS) (?:\S+ )??(\S+\.\w+)(?: .*)?$")
    ):
        for heading, part in blocks.sections(body, re.compile(r"(?m)^ +● (?!Console)(.+)$")):
            name = f"{file[1]} › {heading[1].strip()}"
            at = blocks.place(part, _JS_PLACE)
            failures.append(blocks.failure(name, part, at if at[0] else (file[1], 0), *_assertion(part)))
    return blocks.outcome(blocks.number(counts, "passed"), blocks.number(counts, "failed"), skipped, failures)


def _assertion(body: str) -> tuple[str, str]:
    """jest shows an assertion without the name of its exception."""
    if body.lstrip().startswith("expect("):
        expected = [line.strip() for line in body.splitlines() if re.match(r"\s+(Expected|Received)\b.*:", line)]
        return "AssertionError", "; ".join(expected) or blocks.first_line(body)
    return "", ""


def vitest(text: str) -> Outcome | None:
    files = re.search(r"(?m)^ *Test Files +(.*)$", text)
    if not files and "No test files found" not in text:
        return None
    total = re.search(r"(?m)^ *Tests +(.*)$", text)
    counts = total[1] if total else ""
    failures = []
    heading = re.compile(r"(?m)^ *FAIL +(?:\|\S+\| )?(\S+\.\w+)(?: > (.*?)| \[.*\])?$")
    for match, rest in blocks.sections(text, heading):
        body = re.split(r"(?m)^⎯+|^ *Test Files ", rest)[0]
        name = f"{match[1]} > {match[2]}" if match[2] else match[1]
        at = blocks.place(body, _JS_PLACE)
        failures.append(blocks.failure(name, body, at if at[0] else (match[1], 0)))
    skipped = blocks.number(counts, "skipped") + blocks.number(counts, "todo")
    return blocks.outcome(blocks.number(counts, "passed"), blocks.number(counts, "failed"), skipped, failures)


def node(text: str) -> Outcome | None:
    """node --test for a terminal. Suites count as tests there; only what failed by itself is a failure here."""
    counts = dict(re.findall(r"(?m)^ℹ (tests|pass|fail|cancelled|skipped|todo) (\d+)$", text))
    if "tests" not in counts or "pass" not in counts:
        return None
    failures = []
    listed = text.rpartition("✖ failing tests:")[2] if "✖ failing tests:" in text else ""
    for heading, body in blocks.sections(listed, re.compile(r"(?m)^test at (\S+?):(\d+):\d+\n+✖ (.*?) \([\d.]+m?s\)$")):
        if not re.match(r"'?\d+ subtests? failed", blocks.first_line(body)):
            failures.append(blocks.failure(heading[3], body, (heading[1], int(heading[2]))))
    bad = int(counts.get("fail", 0)) + int(counts.get("cancelled", 0))
    idle = int(counts.get("skipped", 0)) + int(counts.get("todo", 0))
    return blocks.outcome(int(counts["pass"]), len(failures) or bad, idle, failures)


def mocha(text: str) -> Outcome | None:
    passing = re.search(r"(?m)^ +(\d+) passing\b", text)
    if not passing:
        return None
    failing = re.search(r"(?m)^ +(\d+) failing$", text)
    pending = re.search(r"(?m)^ +(\d+) pending$", text)
    failures = []
    if failing:
        for match, body in blocks.sections(
            text[failing.end() :], re.compile(r"(?m)^  \d+\) (.+(?:\n {3,}.+)*?):?\n(?=\n|     \S)")
        ):
            name = " › ".join(part.strip().rstrip(":") for part in match[1].splitlines())
            failures.append(blocks.failure(name, body, blocks.place(body, _JS_PLACE)))
    return blocks.outcome(
        int(passing[1]), int(failing[1]) if failing else 0, int(pending[1]) if pending else 0, failures
    )


_TAP_LINE = re.compile(r"^( *)(not ok|ok)\b(?: +\d+)?(?: +-)?(?: +(.*?))?(?: *# *(SKIP|TODO)\b.*)?$", re.IGNORECASE)
_TAP_SUBTEST = re.compile(r"^( *)# Subtest: (.*)$")


def tap(text: str) -> Outcome | None:
    """TAP 12 to 14. A test with subtests counts through them, unless it failed though none of them did."""
    if not re.search(r"(?m)^(TAP version \d+|1\.\.\d+)", text):
        return None
    passed = skipped = 0
    failures: list[TestFailure] = []
    names: dict[int, str] = {}
    below: dict[int, int] = {}  # results seen at a depth since the last one above it
    failed_below: dict[int, int] = {}
    lines = text.splitlines()
    for position, line in enumerate(lines):
        if subtest := _TAP_SUBTEST.match(line):
            names[len(subtest[1])] = subtest[2]
        elif result := _TAP_LINE.match(line):
            depth = len(result[1])
            inner = [other for other in below if other > depth]
            has_subtests, failed_inside = bool(inner), sum(failed_below.pop(other, 0) for other in inner)
            for other in inner:
                del below[other]
            below[depth] = below.get(depth, 0) + 1
            bad = result[2].lower() == "not ok" and not result[4]
            failed_below[depth] = failed_below.get(depth, 0) + (bad or failed_inside > 0)
            if bad and not failed_inside:
                path = [names[other] for other in sorted(names) if other < depth]
                failures.append(_tap_failure(" > ".join([*path, result[3] or "test"]), lines[position + 1 :]))
            elif not has_subtests:
                skipped, passed = skipped + bool(result[4]), passed + (not bad and not result[4])
    return blocks.outcome(passed, 0, skipped, failures)


def _tap_failure(name: str, after: list[str]) -> TestFailure:
    """The YAML block that follows, read only as far as runners write it."""
    body: list[str] = []
    if after and after[0].strip() == "---":
        body = after[1 : next((i for i, line in enumerate(after) if line.strip() == "..."), 1)]
    elif after:
        body = [line for line in after[:20] if line.lstrip().startswith("#")]
    text = "\n".join(body)
    pairs = re.findall(r"(?m)^ *(error|message|name|location|at): *(.+?)$", text)
    found: dict[str, str] = dict(reversed(pairs))  # the first of a name is the test's own
    error = found.get("error", found.get("message", "")).strip("'\"")
    if error in ("|-", "|"):
        rest = text.partition("error: ")[2].partition("\n")[2]
        error = " ".join(line.strip() for line in re.split(r"\n *\w+: ", rest)[0].splitlines() if line.strip())
    at = re.search(r"([^\s'\"(:]+):(\d+)(?::\d+)?", found.get("location", found.get("at", "")))
    return blocks.failure(name, text, (at[1], int(at[2])) if at else ("", 0), found.get("name", "").strip("'\""), error)
