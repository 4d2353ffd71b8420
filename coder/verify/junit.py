"""JUnit XML, as pytest, Maven, Gradle, jest and many others write it. Read without entities or a DTD."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.parsers import expat

from coder.values import TestFailure
from coder.verify.outcome import MAX_FAILURES, Outcome, shorten

_MAX_BYTES = 64 * 1024 * 1024
_KIND = re.compile(r"^(?:E\s+)?((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Failure|Exit|Interrupt|Warning|Failed))\b")
_RAISED = re.compile(r"(?m)^(\S[^\n:]*\.\w+):(\d+): (\w*)$")  # pytest's last line of a trace
_FRAME = re.compile(r'(?m)^[ \t]*File "([^"\n]+)", line (\d+)')


class NotJunit(ValueError):
    """The text is not a JUnit report."""


def read_junit(source: Path | bytes) -> Outcome:
    """The outcome in a report. Raises NotJunit for anything that is not well-formed, has a DTD or is too big."""
    content = source.read_bytes() if isinstance(source, Path) else source
    if len(content) > _MAX_BYTES:
        raise NotJunit("the report is too big")
    try:
        root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_Builder()))
    except (ElementTree.ParseError, expat.ExpatError, ValueError, RecursionError) as error:
        raise NotJunit(str(error)) from None
    if root.tag not in ("testsuites", "testsuite"):
        raise NotJunit(f"its root is <{root.tag}>")
    passed = failed = skipped = 0
    failures: list[TestFailure] = []
    for case in root.iter("testcase"):
        faults = [child for child in case if child.tag in ("failure", "error", "rerunFailure")]
        if faults:
            failed += 1
            failures.append(_failure(case, faults[0]))
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return Outcome(passed, failed, skipped, tuple(failures[:MAX_FAILURES]))


class _Builder(ElementTree.TreeBuilder):
    """Refuses document types, and with them every trick with entities."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it has a document type declaration")


def _failure(case: ElementTree.Element, fault: ElementTree.Element) -> TestFailure:
    file, line = case.get("file", ""), int(case.get("line", "0") or 0) if (case.get("line") or "0").isdigit() else 0
    trace = shorten(fault.text or "")
    message = fault.get("message", "") or next((text for text in trace.splitlines() if text.strip()), "")
    kind = _kind(fault.get("type", ""), message, trace)
    file = file or _module(case.get("classname", ""), trace)
    place = _place(trace, file)
    if place:
        file, line = file or place[0], place[1]
    elif line:
        line += 1  # pytest counts from 0
    return TestFailure(_name(case, file), file, line, kind, shorten(message, 2_000), trace)


def _module(group: str, trace: str) -> str:
    """The file that a class of pytest's lies in, which its usual report does not name, when the trace does; or ""."""
    for path, _, _ in _RAISED.findall(trace):
        module = path.removesuffix(".py").replace("/", ".")
        if path.endswith(".py") and f"{group}.".startswith(f"{module}."):
            return str(path)
    return ""


def _name(case: ElementTree.Element, file: str) -> str:
    """pytest's node id where the file is known, so that a test can be named to the runner; else class and name."""
    group, name = case.get("classname", ""), case.get("name", "")
    if not file.endswith(".py"):
        return f"{group}::{name}" if group and name != group else name or group
    module = file.removesuffix(".py").replace("/", ".")
    inner = group.removeprefix(module).strip(".")
    if not group:  # an error of collection: pytest puts the module into the name
        return file
    return "::".join([file, *(inner.split(".") if inner else []), name])


def _kind(declared: str, message: str, trace: str) -> str:
    if match := _KIND.match(message):
        return match[1].rpartition(".")[2]
    if message.startswith(("assert ", "AssertionError")):
        return "AssertionError"
    raised = _RAISED.findall(trace)
    if raised and raised[-1][2]:
        return str(raised[-1][2])
    if lines := [match[1] for text in trace.splitlines() if (match := _KIND.match(text))]:
        return lines[-1].rpartition(".")[2]
    return declared.rpartition(".")[2]


def _place(trace: str, file: str) -> tuple[str, int] | None:
    """Where the test failed: the last place of the trace that is in its own file, else the last one."""
    places = [(path, int(line)) for path, line, _ in _RAISED.findall(trace)]
    places = places or [(path, int(line)) for path, line in _FRAME.findall(trace)]
    own = [place for place in places if file and place[0].endswith(file)]
    chosen = own or places
    return chosen[-1] if chosen else None
