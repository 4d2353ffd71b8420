"""Layers into settings: merged, lowest precedence first, and validated; what is wrong is told with its place."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from coder.config.faults import UNKNOWN, Fault, find_fault, is_table
from coder.config.layers import Layer, line_of
from coder.config.settings import Settings, annotation, known_keys
from coder.errors import UserError


class Config(Struct, frozen=True):
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
            fault = find_fault(Settings, merged) or Fault((), str(error))
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


def _explain(fault: Fault, layer: Layer) -> tuple[str, str]:
    path = fault.path
    where = f"{layer.origin}{line_of(path, layer.text)}"
    if fault.what != UNKNOWN:
        return f"{where}: {'.'.join(path)}: {fault.what}", "see `coder config` for what each setting takes"
    key = ".".join((*path, *_first_leaf(layer.values, path)))
    nearest = difflib.get_close_matches(key, [*_siblings(path), *known_keys()], n=1, cutoff=0.5)
    return f"{where}: unknown setting {key!r}", f"did you mean {nearest[0]!r}?" if nearest else "see `coder config`"


def _siblings(path: tuple[str, ...]) -> list[str]:
    """The keys that `path`, which is in a table of named ones, could have meant."""
    section = annotation(".".join(path[:-1])) if len(path) > 1 else None
    return [".".join((*path[:-1], field.name)) for field in fields(section)] if is_table(section) else []


def _first_leaf(values: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """What an unknown table holds first: `contxt.budget` says more than `contxt`."""
    value: Any = values
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return (next(iter(value)),) if isinstance(value, Mapping) and value else ()
