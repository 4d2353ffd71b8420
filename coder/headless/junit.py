"""The test report as JUnit XML, for CI systems that show it. Failures by name; passes as the suite's counts."""

import re
import xml.etree.ElementTree as ElementTree

from coder.text import redact
from coder.values import Evidence, TestFailure, TestReport

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(evidence: Evidence) -> bytes:
    """One `testsuite` a command. A command that failed without naming a test is a failed case of its own name."""
    root = ElementTree.Element("testsuites", name="coder")
    for report in evidence.reports:
        root.append(_suite(report))
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _suite(report: TestReport) -> ElementTree.Element:
    command = _text(" ".join(report.command))
    failures = report.failures
    if not report.ok and not failures:
        end = "timed out" if report.timed_out else f"exit code {report.exit_code}"
        failures = (TestFailure(command, message=end),)
    suite = ElementTree.Element(
        "testsuite",
        name=command,
        tests=str(max(report.ran, len(failures))),
        failures=str(len(failures)),
        skipped=str(report.skipped),
        time=f"{report.duration_s:.3f}",
    )
    for failure in failures:
        case = ElementTree.SubElement(suite, "testcase", name=_text(failure.name), file=_text(failure.file))
        told = ElementTree.SubElement(case, "failure", type=_text(failure.kind), message=_text(failure.message))
        told.text = _text(failure.trace)
    return suite


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", redact(text))
