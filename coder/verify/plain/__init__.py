"""Outcomes from what test runners print for people. A parser a runner; each says None to output it does not know."""

import re
from collections.abc import Callable

from coder.verify.outcome import Outcome
from coder.verify.plain import built, javascript, python, scripted

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LONGEST_LINE = 20_000

Parser = Callable[[str], Outcome | None]

# Order matters where a runner's output holds another's words: the stricter pattern first.
PARSERS: dict[str, Parser] = {
    "pytest": python.pytest,
    "unittest": python.unittest,
    "go": built.go,
    "cargo": built.cargo,
    "mvn": built.maven,
    "gradle": built.gradle,
    "ctest": built.ctest,
    "jest": javascript.jest,
    "vitest": javascript.vitest,
    "node": javascript.node,
    "mocha": javascript.mocha,
    "tap": javascript.tap,
    "rspec": scripted.rspec,
    "phpunit": scripted.phpunit,
    "minitest": scripted.minitest,
}


def parse_plain(text: str, runner: str = "") -> Outcome | None:
    """The outcome that `text`, the output of `runner` or of some unknown one, reports; None if none is recognised.

    A script that calls several runners has the sum of their outcomes.
    """
    text = clean(text)
    if runner in PARSERS and (outcome := PARSERS[runner](text)) is not None:
        return outcome
    total: Outcome | None = None
    for parser in PARSERS.values():
        found = parser(text)
        if found is not None:
            total = found if total is None else total.plus(found)
    return total


def clean(text: str) -> str:
    """`text` as a person would have read it: no colours, no overwritten progress, no endless lines."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2][:_LONGEST_LINE] for line in text.split("\n")]
    return "\n".join(lines)
