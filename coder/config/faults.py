"""What is wrong with a table that does not fit its type, in the words of a file. Pure.

The converter stops at the first fault and tells its place without the names of a table of named ones.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeGuard, get_args, get_origin

from msgspec import Struct, ValidationError, convert
from msgspec.structs import fields

UNKNOWN = "there is nothing of this name"

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


class Fault(Struct, frozen=True):
    """What is wrong with what stands at `path`."""

    path: tuple[str, ...]
    what: str


def find_fault(kind: Any, value: Any, path: tuple[str, ...] = ()) -> Fault | None:
    """The first fault of `value`, which should be of type `kind`; lists in it are tuples."""
    plain = plain_type(kind)
    if is_table(plain) and isinstance(value, Mapping):
        known = {field.name: field for field in fields(plain)}
        for key, inner in value.items():
            if key not in known:
                return Fault((*path, key), UNKNOWN)
            if fault := find_fault(known[key].type, inner, (*path, key)):
                return fault
        for name, field in known.items():
            if field.required and name not in value:
                return Fault((*path, name), "it is missing")
    elif get_origin(plain) is Mapping and isinstance(value, Mapping):
        of_keys, of_values = get_args(plain)
        for key, inner in value.items():
            if fault := find_fault(of_keys, key, (*path, key)) or find_fault(of_values, inner, (*path, key)):
                return fault
    elif get_origin(plain) is tuple and isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            if fault := find_fault(get_args(plain)[0], inner, (*path, str(number))):
                return fault
    try:
        convert(value, kind)
    except ValidationError as error:
        words = _words(plain)
        return Fault(path, f"expected one of {', '.join(map(repr, words))}" if words else _plainly(error))
    return None


def is_table(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def plain_type(kind: Any) -> Any:
    """A type without its bounds and its sentence."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _plainly(error: ValidationError) -> str:
    """What the converter says of a value."""
    said = re.sub(r"`(\w+)(?: \| null)?`", lambda found: _TYPES.get(found[1], found[1]), str(error))
    return said.partition(" - at `")[0].replace("Expected", "expected", 1)


def _words(kind: Any) -> tuple[str, ...]:
    """The words that a value of this type is one of, where there are only some."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((words for each in get_args(kind) if (words := _words(each))), ())
