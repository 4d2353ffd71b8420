"""Layers into settings: merged, lowest precedence first, and validated; what is wrong is told with its place."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec.structs import fields

from coder.config.layers import Layer, line_of
from coder.config.settings import Settings, annotation, is_section, known_keys, plain_type
from coder.errors import UserError


@dataclass(frozen=True, slots=True)
class Config:
    """The effective settings and, by dotted key, where each that is not a default came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_config(layers: Iterable[Layer]) -> Config:
    """Merge `layers`, lowest precedence first, and validate. Raises UserError naming the layer at fault."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    settings = Settings()
    for layer in layers:
        try:
            _merge(merged, layer.values, layer.origin, origins, ())
            settings = msgspec.convert(merged, Settings)
        except msgspec.ValidationError as error:
            fault = _fault(Settings, merged, ()) or Fault((), str(error))
            raise UserError(*_explain(fault, layer)) from None
        except RecursionError:
            raise UserError(f"{layer.origin}: its tables are nested too deeply", "see `coder config`") from None
    return Config(settings, origins)


def _merge(
    into: dict[str, Any],
    values: Mapping[str, Any],
    origin: str,
    origins: dict[str, str],
    prefix: tuple[str, ...],
) -> None:
    for key, value in values.items():
        path = (*prefix, key)
        if isinstance(value, Mapping):
            branch = into.get(key)
            into[key] = branch = dict(branch) if isinstance(branch, Mapping) else {}
            _merge(branch, value, origin, origins, path)
        else:
            value = _frozen(value)
            if path == ("context", "exclude") and isinstance(value, tuple):
                value = (*into.get(key, ()), *value)  # what one layer keeps on the machine no other lets out
            into[key] = value
            origins[".".join(path)] = origin


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the setting at `path`; "" where there is none of that name."""

    path: tuple[str, ...]
    what: str


def _fault(kind: Any, value: Any, path: tuple[str, ...]) -> Fault | None:
    """The first fault of `value`, which should be of type `kind`: the converter tells its place without the names."""
    plain = plain_type(kind)
    if is_section(plain) and isinstance(value, Mapping):
        known = {field.name: field for field in fields(plain)}
        for key, inner in value.items():
            if key not in known:
                return Fault((*path, key), "")
            if fault := _fault(known[key].type, inner, (*path, key)):
                return fault
        for name, field in known.items():
            if field.required and name not in value:
                return Fault((*path, name), "it is missing")
    elif get_origin(plain) is Mapping and isinstance(value, Mapping):
        of_keys, of_values = get_args(plain)
        for key, inner in value.items():
            if fault := _fault(of_keys, key, (*path, key)) or _fault(of_values, inner, (*path, key)):
                return fault
    elif get_origin(plain) is tuple and isinstance(value, tuple):
        for number, inner in enumerate(value):
            if fault := _fault(get_args(plain)[0], inner, (*path, str(number))):
                return fault
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words = _words(plain)
        return Fault(path, f"expected one of {', '.join(map(repr, words))}" if words else _plainly(error))
    return None


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _plainly(error: msgspec.ValidationError) -> str:
    """What the converter says of a value, in the words of the file."""
    said = re.sub(r"`(\w+)(?: \| null)?`", lambda found: _TYPES.get(found[1], found[1]), str(error))
    return said.partition(" - at `")[0].replace("Expected", "expected", 1)


def _words(kind: Any) -> tuple[str, ...]:
    """The words that a setting of this type takes, where it takes only some."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((words for each in get_args(kind) if (words := _words(each))), ())


def _explain(fault: Fault, layer: Layer) -> tuple[str, str]:
    path = fault.path
    where = f"{layer.origin}{line_of(path, layer.text)}"
    if fault.what:
        return f"{where}: {'.'.join(path)}: {fault.what}", "see `coder config` for what each setting takes"
    key = ".".join((*path, *_first_leaf(layer.values, path)))
    nearest = difflib.get_close_matches(key, [*_siblings(path), *known_keys()], n=1, cutoff=0.5)
    return f"{where}: unknown setting {key!r}", f"did you mean {nearest[0]!r}?" if nearest else "see `coder config`"


def _siblings(path: tuple[str, ...]) -> list[str]:
    """The keys that `path`, which is in a table of named ones, could have meant."""
    section = annotation(".".join(path[:-1])) if len(path) > 1 else None
    return [".".join((*path[:-1], field.name)) for field in fields(section)] if is_section(section) else []


def _first_leaf(values: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """What an unknown table holds first: `contxt.budget` says more than `contxt`."""
    value: Any = values
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return (next(iter(value)),) if isinstance(value, Mapping) and value else ()
