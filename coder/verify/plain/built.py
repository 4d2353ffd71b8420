"""Runners of compiled languages: go test (plain, -v and -json), cargo test, Maven, Gradle, CTest, as they print."""

import json
import re
from collections import defaultdict

from coder.values import TestFailure
from coder.verify.outcome import Outcome
from coder.verify.plain import blocks

_GO_END = re.compile(r"^(ok|FAIL|\?) *\t(\S+)(?:[\t ](.*))?$")
_GO_RESULT = re.compile(r"^ *--- (PASS|FAIL|SKIP|BENCH): (\S+) \(")
_GO_NOW = re.compile(r"^=== (?:RUN|CONT|NAME|PAUSE) +(\S+)$")
_GO_PLACE = re.compile(r"(?m)^[ \t]*((?!/usr/|[^\s:]*/src/(?:testing|runtime)/)[^\s:]+\.go):(\d+)")


def go(text: str) -> Outcome | None:
    if '"Action":' in text and '"Package":' in text:
        text = _go_without_json(text)
    state = _GoState()
    for line in text.splitlines():
        if end := _GO_END.match(line):
            state.end_package(end[1], end[2], end[3] or "")
        elif now := _GO_NOW.match(line):
            state.current = now[1]
        elif result := _GO_RESULT.match(line):
            state.results[result[2]] = result[1]
            state.current = result[2]
        elif line not in ("FAIL", "PASS", "ok") and not line.startswith("exit status"):
            state.logs[state.current].append(line)
    return blocks.outcome(state.passed, 0, state.skipped, state.failures) if state.packages else None


class _GoState:
    """Tests name their package only after they ran: what is gathered belongs to the next package line."""

    def __init__(self) -> None:
        self.packages = self.passed = self.skipped = 0
        self.failures: list[TestFailure] = []
        self._begin([])

    def _begin(self, before: list[str]) -> None:
        self.current = ""
        self.results: dict[str, str] = {}
        self.logs: defaultdict[str, list[str]] = defaultdict(list)
        self.logs[""] = before

    def end_package(self, verdict: str, package: str, remark: str) -> None:
        self.packages += 1
        leaves = {
            name: result
            for name, result in self.results.items()
            if not any(other.startswith(f"{name}/") for other in self.results)
        }
        self.passed += sum(result == "PASS" for result in leaves.values())
        self.skipped += sum(result == "SKIP" for result in leaves.values())
        if verdict == "ok" and "no tests to run" not in remark and not self.results:
            self.passed += 1  # not verbose: the package is all that is said
        failed = [name for name, result in leaves.items() if result == "FAIL"]
        self.failures += [self._failure(f"{package}.{name}", self.logs[name]) for name in failed]
        if verdict == "FAIL" and not failed:
            lines = [line for log in self.logs.values() for line in log]
            mine = next((i for i, line in enumerate(lines) if line.split()[:2] == ["#", package]), -1)
            kind = "BuildFailed" if "build failed" in remark or "setup failed" in remark else ""
            until = next((i for i, line in enumerate(lines) if i > mine >= 0 and line.startswith("# ")), None)
            self.failures.append(self._failure(package, lines[mine + 1 : until], kind))
        # with several packages the compiler's messages come first, all together
        self._begin([line for line in self.logs[""] if line.startswith("# ") or re.match(r"\S+\.go:\d+", line)])

    @staticmethod
    def _failure(name: str, lines: list[str], kind: str = "") -> TestFailure:
        body = "\n".join(lines)
        at = blocks.place(body, _GO_PLACE)
        panic = re.search(r"(?m)^panic: (.*?)(?: \[recovered\])?$", body)
        if panic:
            return blocks.failure(name, body, at, "panic", panic[1])
        message = re.sub(r"^\s*\S+\.go:\d+(?::\d+)?: ", "", blocks.first_line(body))
        return blocks.failure(name, body, at, kind, message)


def _go_without_json(text: str) -> str:
    """The output of `go test -json` as -v would have printed it, package by package."""
    packages: defaultdict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        try:
            event = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("Action"), str):
            if event["Action"] in ("output", "build-output"):
                packages[str(event.get("Package") or event.get("ImportPath", ""))].append(str(event.get("Output", "")))
        else:
            packages[""].append(line + "\n")
    return "".join(part for parts in packages.values() for part in parts)


_CARGO_TARGET = re.compile(r"(?m)^ +(?:Running (?:unittests )?(\S+) \(|Doc-tests (\S+))")
_CARGO_TEST = re.compile(r"(?m)^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)\b")
_CARGO_PLACE = re.compile(r"panicked at (?:'.*?', )?([^\s:]+\.rs):(\d+)")
_RUSTC_PLACE = re.compile(r"(?m)^ +--> ([^\s:]+):(\d+)")


def cargo(text: str) -> Outcome | None:
    errors = list(re.finditer(r"(?m)^error(?:\[E\d+\])?: (.*)$", text))
    broken = re.search(r"(?m)^error: could not compile `([^`]+)`", text)
    if not re.search(r"(?m)^test result: ", text) and not broken:
        return None
    passed = skipped = 0
    failures: list[TestFailure] = []
    targets = [(match[1] or f"doc {match[2]}", body) for match, body in blocks.sections(text, _CARGO_TARGET)]
    before = _CARGO_TARGET.split(text, maxsplit=1)[0]  # all of it, where the headings were written elsewhere
    for name, body in [("", before), *targets]:
        verdicts = _CARGO_TEST.findall(body)
        passed += sum(verdict == "ok" for _, verdict in verdicts)
        skipped += sum(verdict == "ignored" for _, verdict in verdicts)
        outputs = {
            heading[1]: part.partition("\n\n\nfailures:")[0]
            for heading, part in blocks.sections(body, re.compile(r"(?m)^---- (.+?) stdout ----$"))
        }
        for test in [test for test, verdict in verdicts if verdict == "FAILED"]:
            failures.append(_cargo_failure(f"{name}: {test}" if name else test, outputs.get(test, "")))
    if broken:
        body = text[errors[0].start() :] if errors else text
        at = blocks.place(body, _RUSTC_PLACE)
        failures.append(blocks.failure(f"build {broken[1]}", body, at, "CompileError", errors[0][1] if errors else ""))
    return blocks.outcome(passed, 0, skipped, failures)


def _cargo_failure(name: str, body: str) -> TestFailure:
    body = body.strip()
    panicked = re.search(r"panicked at [^\n]*?(?:'([^\n]*)', [^\n]*)?:?\n(?:([^\n]*(?:\n  ?\S[^\n]*)*))?", body + "\n")
    message = (panicked[1] or panicked[2] or "").strip() if panicked else blocks.first_line(body)
    kind = "panic" if panicked else "Error"
    return blocks.failure(name, body, blocks.place(body, _CARGO_PLACE), kind, " ".join(message.split()))


_MAVEN_TOTAL = re.compile(
    r"(?m)^(?:\[[A-Z]+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(?!.*Time elapsed)[^\n]*$"
)
# Surefire 3 names class and method in one; Surefire 2 the class in brackets behind the method
_MAVEN_FAILED = re.compile(
    r"(?m)^(?:\[ERROR\] )?(?:([^\s\[].*?) -- |([^\s(]+)\(([\w.$]+)\)[ \t]+)Time elapsed: .*<<< (?:FAILURE|ERROR)!$"
)
_JAVA_PLACE = re.compile(r"(?m)^[ \t]+at (?!org\.junit|java\.|jdk\.|sun\.|org\.apache\.maven)\S+\((\w+\.\w+):(\d+)\)")


def maven(text: str) -> Outcome | None:
    totals = _MAVEN_TOTAL.findall(text)
    compiles = "COMPILATION ERROR" not in text
    if not totals and compiles:
        return None
    ran, bad, errors, skipped = (sum(int(total[i]) for total in totals) for i in range(4))
    failures = []
    for heading, rest in blocks.sections(text, _MAVEN_FAILED):
        body = re.split(r"(?m)^(?:\[(?:INFO|ERROR|WARNING)\]|[ \t]*$)", rest.lstrip("\n"))[0]
        name = heading[1] or f"{heading[3]}.{heading[2]}"
        failures.append(blocks.failure(name, body, blocks.place(body, _JAVA_PLACE)))
    if not compiles:
        found = re.search(r"(?m)^\[ERROR\] (\S+\.\w+):\[(\d+),\d+\] (.*)$", text)
        at = (found[1], int(found[2])) if found else ("", 0)
        failures.append(blocks.failure("compilation", "", at, "CompileError", found[3] if found else ""))
    return blocks.outcome(max(ran - bad - errors - skipped, 0), bad + errors, skipped, failures)


def gradle(text: str) -> Outcome | None:
    total = re.search(r"(?m)^(\d+) tests? completed(?:, (\d+) failed)?(?:, (\d+) skipped)?", text)
    heading = re.compile(r"(?m)^([^\s>][^>\n]* > [^\n]*[^\s]) FAILED$")
    failed = blocks.sections(text, heading)
    if not total and not failed:
        return None
    failures = []
    for match, rest in failed:
        body = rest.lstrip("\n").partition("\n\n")[0]
        body = re.sub(r"(?m)^([ \t]+[\w.$]+) at (\w+\.\w+:\d+)$", r"\1\n        at \2", body)  # the short form
        at = blocks.place(body, re.compile(r"(?m)^[ \t]+at (?:\S+\()?(\w+\.\w+):(\d+)\)?$"))
        failures.append(blocks.failure(match[1].replace(" > ", "."), body, at))
    ran, bad, skipped = (int(part or 0) for part in total.groups()) if total else (len(failures), len(failures), 0)
    return blocks.outcome(max(ran - bad - skipped, 0), bad, skipped, failures)


def ctest(text: str) -> Outcome | None:
    total = re.search(r"(?m)^\d+% tests passed, (\d+) tests? failed out of (\d+)$", text)
    if not total:
        return Outcome() if "No tests were found!!!" in text else None
    failed = re.findall(r"(?m)^[ \t]+\d+ - (\S+) \((.*?)\)", text.partition("The following tests FAILED:")[2])
    failures = [TestFailure(name, kind=why.partition(" ")[0], message=why) for name, why in failed]
    return blocks.outcome(int(total[2]) - int(total[1]), int(total[1]), 0, failures)
