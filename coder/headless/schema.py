"""JSON Schemas of what machines read: the result, each event line, the configuration. Printed by `coder schema`.

Written by hand beside `result` and `stream`, so that a change there is noticed: tests validate whatever is emitted.
"""

from typing import Any, get_args

from msgspec import json

from coder.config import Settings
from coder.errors import Exit
from coder.headless.result import SCHEMA
from coder.values import ChangeKind, TestStatus, TriageCause

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
AMOUNT: Schema = {"type": "number", "minimum": 0}
TEXTS: Schema = {"type": "array", "items": TEXT}


def _object(description: str, /, **fields: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def _or_null(schema: Schema, description: str) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


def _about(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


EXIT_CODE = _or_null({"type": "integer"}, "null: it timed out or was killed")
COMMAND = _about(TEXTS, "The words of the command; no shell is involved")

FILE = _object(
    "A changed file", path=TEXT, kind=_one_of(*get_args(ChangeKind)), added=COUNT, removed=COUNT
)  # undecodable bytes of a path are spelled \xNN

TEST_RUN = _object(
    "One command on the final tree",
    command=COMMAND,
    exit_code=EXIT_CODE,
    ran=COUNT,
    passed=COUNT,
    failed=COUNT,
    duration_s=AMOUNT,
    log=_about(TEXT, "Path of its whole output"),
)

TESTS: dict[str, Schema] = {
    "status": _one_of(*get_args(TestStatus)),
    "command": _about(TEXTS, "The command that decided the status; empty if none ran"),
    "exit_code": EXIT_CODE,
    "commands": _list(TEST_RUN),
    "ran": COUNT,
    "passed": COUNT,
    "failed": COUNT,
    "new_failures": _about(TEXTS, "Names that fail on the final tree and did not on the base"),
    "fixed": _about(TEXTS, "Names that failed on the base only"),
    "preexisting": _about(TEXTS, "Names that fail on both"),
    "flaky": _about(TEXTS, "Names that failed once and passed when run again"),
    "tree": _about(TEXT, "Id of the git tree that was tested"),
    "log": TEXT,
    "note": _about(TEXT, "Why tests did not run or prove nothing; empty otherwise"),
}

CARD = _object(
    "One cluster of failures and what is thought to be behind it",
    title=TEXT,
    tests=TEXTS,
    cause=_one_of(*get_args(TriageCause)),
    confidence={"type": "number", "minimum": 0, "maximum": 1},
    locations=_list(_object("A place in the repository", path=TEXT, line=COUNT)),
    evidence=_about(TEXTS, "Quotes that were found in the log"),
    next_step=TEXT,
    source=_about(_one_of("model", "rules"), "Who said the cause: the small model, or fixed rules"),
)

USAGE: dict[str, Schema] = {
    "role": TEXT,
    "model": TEXT,
    "requests": COUNT,
    "input_tokens": COUNT,
    "cached_tokens": _about(COUNT, "Part of the input"),
    "reasoning_tokens": _about(COUNT, "Part of the output"),
    "output_tokens": COUNT,
    "usd": _or_null(AMOUNT, "null: the price is unknown"),
    "estimated": _about(FLAG, "Whether a call without usage figures is in it, booked at its worst case"),
}

RESULT: dict[str, Schema] = {
    "schema": {"const": SCHEMA},
    "status": _one_of(*dict.fromkeys(code.status for code in Exit)),
    "exit_code": _one_of(*(int(code) for code in Exit)),
    "summary": TEXT,
    "files": _list(FILE),
    "patch": _about(TEXT, "The change as a git patch: what landed, or what there was when it did not"),
    "tests": _object("What the tests say of the final tree", **TESTS),
    "triage": _list(CARD),
    "usage": _list(_object("Calls of one role to one model", **USAGE)),
    "cost_usd": _or_null(AMOUNT, "null: some price is unknown"),
    "duration_s": AMOUNT,
    "session": TEXT,
    "checkpoint": _or_null(TEXT, "What `coder undo` takes back"),
    "commit": _or_null(TEXT, "Id of the commit, with --commit"),
    "sandbox": _about(TEXT, "The tier that the tests ran in and its self-test"),
    "warnings": TEXTS,
    "error": _or_null(_object("Why it ended early", code=TEXT, message=TEXT, hint=TEXT), "null on success"),
}

EVENTS: dict[str, dict[str, Schema]] = {
    "session": {"session": TEXT, "model": TEXT, "sandbox": TEXT},
    "notice": {"level": _one_of("info", "warning"), "text": TEXT},
    "turn": {"turn": COUNT, "task": TEXT},
    "context": {"budget": COUNT, "total_tokens": COUNT, "entries": COUNT, "withheld": COUNT},
    "step": {"step": COUNT, "input_tokens": COUNT},
    "step_abandoned": {"reason": TEXT},
    "reply": {"text": TEXT},
    "tool_started": {"id": TEXT, "name": TEXT, "summary": TEXT},
    "tool_finished": {"id": TEXT, "name": TEXT, "ok": FLAG, "summary": TEXT},
    "draft": {"tree": TEXT, "paths": TEXTS},
    "test_started": {"command": COMMAND, "on": _one_of("base", "draft")},
    "test_finished": {
        "command": COMMAND,
        "on": _one_of("base", "draft"),
        "exit_code": EXIT_CODE,
        "ran": COUNT,
        "passed": COUNT,
        "failed": COUNT,
        "duration_s": AMOUNT,
    },
    "tests": {**TESTS, "triage": _list(CARD)},
    "subagent_started": {"id": TEXT, "role": TEXT, "model": TEXT},
    "subagent_finished": {"id": TEXT, "role": TEXT, "ok": FLAG},
    "usage": {**USAGE, "session_usd": _or_null(AMOUNT, "The session so far; null: some price is unknown")},
    "retry": {"seconds": AMOUNT, "attempt": COUNT, "reason": TEXT},
    "proposal": {"files": _list(FILE)},
    "applied": {"paths": TEXTS, "commit": TEXT, "checkpoint": _or_null(TEXT, "What `coder undo` takes back")},
    "undone": {"paths": TEXTS, "checkpoint": TEXT},
    "result": RESULT,
}


def result_schema() -> Schema:
    """Of the object that `--output json` prints and `--output-file` writes."""
    return {"$schema": DIALECT, "title": SCHEMA, **_object("The result of one command", **RESULT)}


def events_schema() -> Schema:
    """Of one line of `--output jsonl`. The last line, and only that, is a result."""
    lines = [
        _object(f"A line of type {name}", type={"const": name}, seq=_about(COUNT, "Counts the lines from 0"), **fields)
        for name, fields in EVENTS.items()
    ]
    return {"$schema": DIALECT, "title": "coder.events/1", "oneOf": lines}


def config_schema() -> Schema:
    """Of the configuration file, for editors that complete and check TOML by a schema."""
    _, sections = json.schema_components([Settings], ref_template="#/$defs/{name}")
    whole = sections.pop("Settings")
    return {"$schema": DIALECT, **whole, "title": "coder.config/1", "$defs": sections}


SCHEMAS = {"events": events_schema, "result": result_schema, "config": config_schema}
