"""Where settings come from, each source as a layer: files, the environment, flags. Nothing is checked here but form."""

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from coder.config.settings import NOT_FROM_PROJECT, annotation
from coder.errors import UserError

MAX_CONFIG_BYTES = 256 * 1024
PROJECT = "project file"  # how the origin of what a repository says begins

# The parser takes time by the square of a key's parts: minutes for a key that fills a file.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){33}""")


class Layer(Struct, frozen=True):
    """One source of settings: `origin` is what the user is told ("user file …", "flag --model")."""

    origin: str
    values: Mapping[str, Any]
    text: str = ""


def user_layer(path: Path) -> Layer | None:
    """The user's own file, or None where there is none."""
    return _file_layer(path, "user file")


def project_layer(path: Path) -> Layer | None:
    """A trusted repository's `.coder.toml`. Raises UserError if it sets what a repository may not."""
    layer = _file_layer(path, PROJECT)
    if layer is None:
        return None
    for key in layer.values:
        if key in NOT_FROM_PROJECT:
            raise UserError(f"{path}{line_of((key,), layer.text)}: a repository may not set {key!r}",
                            "set it in your own configuration; `coder config` shows where that is")  # fmt: skip
    context = layer.values.get("context")
    exclude = context.get("exclude") if isinstance(context, dict) else None
    if any(str(pattern).startswith("!") for pattern in exclude or () if isinstance(exclude, list)):
        where = line_of(("context", "exclude"), layer.text)
        raise UserError(f"{path}{where}: a repository may not take back what is excluded", "leave out its ! patterns")
    return layer


def environment_layer(environ: Mapping[str, str] = os.environ) -> Layer:
    """`CODER_MODEL`, `CODER_CONTEXT__BUDGET`, …: two underscores stand for a dot; an empty one counts as not set."""
    origin, pairs = "environment CODER_*", {}
    for name in sorted(environ):
        if name.startswith("CODER_") and environ[name] and not _ANOTHER_PROGRAMS.match(name):
            pairs[name.removeprefix("CODER_").lower().replace("__", ".")] = environ[name]
    return Layer(origin, _tree(pairs, origin))


# Variables of the development environments that are called Coder too, and of coder's own children.
_ANOTHER_PROGRAMS = re.compile(
    "CODER_(?:AGENT|WORKSPACE|SSH|SCRIPT|TASK|MCP|SANDBOX_CHILD|URL|SESSION_TOKEN|CONFIG_DIR|HEADER)(?:_|$)"
)


def set_layer(assignments: Iterable[str]) -> Layer:
    """`--set key=value`, where value is TOML or else plain text."""
    pairs = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {assignment!r} is not of the form key=value", "as in --set context.budget=64000")
        pairs[key.strip()] = value.strip()
    return Layer("flag --set", _tree(pairs, "--set"))


def flag_layers(values: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Flags that have a setting of their own, by dotted key; None means not given."""
    given = {key: value for key, value in values.items() if value is not None}
    return tuple(Layer(f"flag {_flag(key)}", _nest({key: value})) for key, value in given.items())


def _flag(key: str) -> str:
    return "--" + re.sub("[._]", "-", key.removeprefix("limits."))


def _file_layer(path: Path, what: str) -> Layer | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
            raise UserError(f"{path} is not a regular file", "remove it or choose another with --config")
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "mend its permissions or use --config") from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise UserError(f"{path} is larger than {MAX_CONFIG_BYTES // 1024} KiB", "that is no configuration of coder")
    try:
        text = raw.decode("utf-8")
        if deep := _DEEP_KEY.search(text):
            line = text.count("\n", 0, deep.end()) + 1
            raise UserError(f"{path}:{line}: a key of too many parts", "see `coder config` for what can be set")
        return Layer(f"{what} {path}", tomllib.loads(text), text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: it is not UTF-8 here", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # ValueError: syntax, or a number of thousands of digits
        raise UserError(f"{path}{_syntax_fault(str(error), text)}", "see https://toml.io for the syntax") from None


def _syntax_fault(message: str, text: str) -> str:
    """`:LINE: what is wrong` from what the parser says."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(place[1] or text.count("\n") + 1) if place else 0
    what = message[: place.start()] if place else message
    return f":{line}: {what}" if line else f": {what}"


def _tree(pairs: Mapping[str, str], origin: str) -> dict[str, Any]:
    return _nest({key: _value(key, text, origin) for key, text in pairs.items()})


def _nest(pairs: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in pairs.items():
        *parents, leaf = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise UserError(f"{key!r} is set both as a value and as a section", "keep one of them")
        branch[leaf] = value
    return tree


def _value(key: str, text: str, origin: str) -> Any:
    """Text from a flag or a variable: as it is where the setting is a text, else as a TOML value; a list may be
    given by its only element."""
    if len(text) > 10_000:
        raise UserError(f"{origin}: the value of {key!r} is too long")
    try:
        table = tomllib.loads(f"value = {text}")
        value = table["value"] if len(table) == 1 else text
    except (ValueError, RecursionError):
        value = text
    wanted = str(annotation(key))
    if "Mapping" in wanted:
        return value
    if "tuple" in wanted:
        return value if isinstance(value, list) else [value if isinstance(value, str) else text]
    is_text = "str" in wanted or "Literal" in wanted
    return text if is_text and not isinstance(value, str) else value


def line_of(path: tuple[str, ...], text: str) -> str:
    """`:LINE` of the assignment or the table header that sets `path`; "" where the text is no file."""
    header: tuple[str, ...] = ()
    best, line = 0, 0
    for number, content in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[+([^\]]+)\]", content):
            header = key = _parts(found[1])
        elif found := re.match(r"""\s*((?:[\w.\s-]|"[^"]*"|'[^']*')+?)\s*=""", content):
            key = (*header, *_parts(found[1]))
        else:
            continue
        same = next((at for at, (a, b) in enumerate(zip(key, path, strict=False)) if a != b), min(len(key), len(path)))
        if same > best and same == min(len(key), len(path)):
            best, line = same, number
    return f":{line}" if line else ""


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
