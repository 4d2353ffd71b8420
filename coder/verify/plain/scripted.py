"""RSpec, minitest and PHPUnit, as they print."""

import re

from coder.verify.outcome import Outcome
from coder.verify.plain import blocks

_RUBY_PLACE = re.compile(r"(?m)^[ \t]*# (?:\./)?((?!/)[^\s:]+\.rb):(\d+)")
_PHP_PLACE = re.compile(r"(?m)^((?!.*/vendor/)/?\S+\.php):(\d+)$")


def rspec(text: str) -> Outcome | None:
    total = re.search(r"(?m)^(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?(?:, (\d+) errors?.*)?$", text)
    if not total:
        return None
    ran, bad, pending, errors = (int(part or 0) for part in total.groups())
    listed = text.partition("\nFailures:\n")[2].partition("\nFinished in ")[0]
    failures = []
    for match, body in blocks.sections(listed, re.compile(r"(?m)^  \d+\) (.*)$")):
        expected = re.search(r"(?m)^ +expected:? ?(.*)\n +got:? ?(.*)$", body)
        kind, message = ("ExpectationNotMet", f"expected {expected[1]}, got {expected[2]}") if expected else ("", "")
        failures.append(blocks.failure(match[1], body, blocks.place(body, _RUBY_PLACE), kind, message))
    return blocks.outcome(max(ran - bad - pending, 0), bad + errors, pending, failures)


def minitest(text: str) -> Outcome | None:
    total = re.search(r"(?m)^(\d+) runs, \d+ assertions, (\d+) failures, (\d+) errors, (\d+) skips$", text)
    if not total:
        return None
    ran, bad, errors, skipped = map(int, total.groups())
    failures = []
    heading = re.compile(r"(?m)^ +\d+\) (?:Failure|Error):\n(\S+#\S+?)(?: \[([^\]:]+):(\d+)\])?:$")
    for match, rest in blocks.sections(text[: total.start()], heading):
        body = rest.lstrip("\n").partition("\n\n")[0]
        failures.append(blocks.failure(match[1], body, (match[2] or "", int(match[3] or 0))))
    return blocks.outcome(max(ran - bad - errors - skipped, 0), bad + errors, skipped, failures)


def phpunit(text: str) -> Outcome | None:
    if "No tests executed!" in text:
        return Outcome()
    good = re.search(r"(?m)^OK \((\d+) tests?, \d+ assertions?\)$", text)
    total = re.search(r"(?m)^Tests: (\d+), Assertions: \d+(.*)\.$", text)
    if good:
        return Outcome(int(good[1]))
    if not total:
        return None
    bad = blocks.number(total[2], "Failures") + blocks.number(total[2], "Errors")
    idle = sum(blocks.number(total[2], word) for word in ("Skipped", "Incomplete", "Risky"))
    failures = []
    listed = re.split(r"(?m)^There (?:was|were) \d+ (?:skipped|incomplete|risky)", text)[0]
    for match, rest in blocks.sections(listed, re.compile(r"(?m)^\d+\) (\S+::\S+.*)$")):
        body = re.split(r"(?m)^--$|^(?:FAILURES|ERRORS)!", rest)[0].strip("\n")
        kind = "" if blocks.exception(body)[0] else "AssertionFailed"
        failures.append(blocks.failure(match[1], body, blocks.place(body, _PHP_PLACE), kind))
    return blocks.outcome(max(int(total[1]) - bad - idle, 0), bad, idle, failures)
