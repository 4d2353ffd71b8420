"""Checks what the program prints against the schemas it publishes; every end-to-end test goes through here."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from coder.headless.schema import events_schema, result_schema


@cache
def _result() -> Draft202012Validator:
    return Draft202012Validator(result_schema())


@cache
def _lines() -> dict[str, Draft202012Validator]:
    lines = events_schema()["oneOf"]
    return {line["properties"]["type"]["const"]: Draft202012Validator(line) for line in lines}


def check_result(value: dict[str, Any]) -> None:
    """Raises where a result is not what `coder schema result` says."""
    _result().validate(value)


def check_line(value: dict[str, Any]) -> None:
    """Raises where a line is not what `coder schema events` says."""
    assert value.get("type") in _lines(), value
    _lines()[value["type"]].validate(value)
