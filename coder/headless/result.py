"""The result object of the contract ("coder.result/1") and its printing. Light to import: errors need it too."""

import json
from collections.abc import Sequence
from typing import Any

from coder.errors import Exit
from coder.text import redact_within
from coder.values import Evidence, FileDiff, TriageCard, Usage

SCHEMA = "coder.result/1"


def empty_result() -> dict[str, Any]:
    """Every field of the result with the value that means "nothing to say"."""
    return {
        "schema": SCHEMA,
        "status": Exit.INTERNAL.status,
        "exit_code": int(Exit.INTERNAL),
        "summary": "",
        "files": [],
        "patch": "",
        "tests": tests_object(Evidence()),
        "triage": [],
        "usage": [],
        "cost_usd": 0.0,
        "duration_s": 0.0,
        "session": "",
        "checkpoint": None,
        "commit": None,
        "sandbox": "",
        "warnings": [],
        "error": None,
    }


def with_end(result: dict[str, Any], code: Exit, message: str = "", hint: str = "", api_code: str = "") -> None:
    """Set status, exit code and, for an end with a message, the error."""
    result["status"], result["exit_code"] = code.status, int(code)
    if message:
        result["error"] = {"code": api_code or code.status, "message": message, "hint": hint}
        result["summary"] = result["summary"] or message


def files_list(files: Sequence[FileDiff]) -> list[dict[str, Any]]:
    return [
        {"path": _text(file.path), "kind": file.kind, "added": file.added, "removed": file.removed} for file in files
    ]


def tests_object(evidence: Evidence) -> dict[str, Any]:
    """`tests` of the result: counts over all commands, and the command that decided the status."""
    reports = evidence.reports
    deciding = next((report for report in reports if not report.ok), reports[-1] if reports else None)
    return {
        "status": evidence.status,
        "command": list(deciding.command) if deciding else [],
        "exit_code": deciding.exit_code if deciding else None,
        "commands": [
            {
                "command": list(report.command),
                "exit_code": report.exit_code,
                "ran": report.ran,
                "passed": report.passed,
                "failed": report.failed,
                "duration_s": round(report.duration_s, 3),
                "log": report.log,
            }
            for report in reports
        ],
        "ran": sum(report.ran for report in reports),
        "passed": sum(report.passed for report in reports),
        "failed": sum(report.failed for report in reports),
        "new_failures": list(evidence.new_failures),
        "fixed": list(evidence.fixed),
        "preexisting": list(evidence.preexisting),
        "flaky": list(evidence.flaky),
        "tree": evidence.tree,
        "log": deciding.log if deciding else "",
        "note": evidence.note,
    }


def triage_list(cards: Sequence[TriageCard]) -> list[dict[str, Any]]:
    return [
        {
            "title": card.title,
            "tests": list(card.tests),
            "cause": card.cause,
            "confidence": card.confidence,
            "locations": [{"path": path, "line": line} for path, line in card.locations],
            "evidence": list(card.evidence),
            "next_step": card.next_step,
            "source": card.source,
        }
        for card in cards
    ]


def usage_list(usages: Sequence[Usage]) -> list[dict[str, Any]]:
    return [
        {
            "role": usage.role,
            "model": usage.model,
            "requests": usage.requests,
            "input_tokens": usage.input_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "output_tokens": usage.output_tokens,
            "usd": usage.usd,
            "estimated": usage.estimated,
        }
        for usage in usages
    ]


# Sentences, by the name of their field. Patches, paths and names are exact: programs use them.
_PROSE = frozenset({"summary", "text", "reason", "message", "hint", "task", "warnings", "note"})


def told(value: Any, known: tuple[str, ...]) -> Any:
    """An object as it leaves the process: secrets taken out of its sentences, at any depth."""
    match value:
        case dict():
            return {name: redact_within(v, known) if name in _PROSE else told(v, known) for name, v in value.items()}
        case list():
            return [told(inner, known) for inner in value]
        case _:
            return value


def dump(value: object, *, indent: int | None = None) -> str:
    """JSON that is ASCII, so that no locale and no terminal can change it."""
    return json.dumps(value, indent=indent, allow_nan=False)


def error_result(code: Exit, message: str, hint: str, api_code: str = "") -> dict[str, Any]:
    """A result for an end before the run began (a bad flag, no repository)."""
    result = empty_result()
    with_end(result, code, message, hint, api_code)
    return result


def _text(path: str) -> str:
    """A path as JSON can carry it: undecodable bytes as replacement escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
