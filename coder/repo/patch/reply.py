"""A reply as lines: what is transport (CR LF, fences, indentation, a second escaping) is told apart from the edit."""

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from msgspec import Struct

from coder.repo.patch.text import BOM

_JSON_LIMIT = 10_000_000  # characters
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*([^`]*)$")


class Fence(Struct, frozen=True):
    """An opening fence; `info` is what follows the marks ("python", "diff", …)."""

    mark: str
    info: str

    def closed_by(self, line: str) -> bool:
        """A bare fence of the same character, at least as long (CommonMark, fenced code blocks)."""
        other = open_fence(line)
        return other is not None and not other.info and other.mark.startswith(self.mark)


def open_fence(line: str) -> Fence | None:
    """A fence at column 0; one that is indented may be a line of a diff inside it."""
    match = _FENCE.match(line)
    return Fence(match[1], match[2].strip()) if match else None


@dataclass(frozen=True)
class Reply:
    """Lines without their ends. `cr[i]` tells that line i ended in CR LF, where that distinguishes it from others:
    in a reply that ends every line so, the CR belongs to the transport and is forgotten."""

    lines: tuple[str, ...]
    cr: tuple[bool, ...]
    ends_with_newline: bool

    @classmethod
    def of(cls, text: str) -> "Reply":
        pieces = text.removeprefix(BOM).split("\n")
        last = pieces.pop()
        cr = [piece.endswith("\r") for piece in pieces]
        lines = [piece[:-1] if ended else piece for piece, ended in zip(pieces, cr, strict=True)]
        if all(cr):
            cr = [False] * len(cr)
            last = last.removesuffix("\r")
        if last:
            lines.append(last)
            cr.append(False)
        return cls(tuple(lines), tuple(cr), ends_with_newline=not last)

    def closing(self, fence: Fence, start: int) -> int:
        """The line that closes `fence`, searched from `start` on; -1 if none does."""
        at = bisect_left(self._fences, start)
        return next((i for i in self._fences[at:] if fence.closed_by(self.lines[i])), -1)

    @cached_property
    def _fences(self) -> list[int]:
        return [i for i, line in enumerate(self.lines) if open_fence(line)]


def dedented(text: str, first_mark: re.Pattern[str]) -> str:
    """`text` without the indentation of its first edit mark, for a reply that indents the whole edit.

    Returns "" if no line matches. Lines that are indented less keep what they have.
    """
    match = next((m for line in text.split("\n") if (m := first_mark.match(line))), None)
    if match is None:
        return ""
    indent = match[1]
    return "\n".join(line.removeprefix(indent) if line.strip() else line[len(indent) :] for line in text.split("\n"))


def unescaped(text: str) -> str:
    """The edit inside a JSON text, or one that was escaped a second time on its way; "" if it is neither.

    Some servers hand over the arguments of a call as JSON in JSON, others leave `\\n` in place of line ends.
    """
    text = text.strip()
    value: object = None
    if text.startswith(('{"', '"')) and len(text) < _JSON_LIMIT:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        texts = [item for item in value.values() if isinstance(item, str) and "\n" in item]
        return texts[0] if len(texts) == 1 else ""
    if "\\n" in text and "\n" not in text:
        return _unescape_loosely(text)
    return ""


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "/": "/"}


def _unescape_loosely(text: str) -> str:
    """JSON escapes undone in a text whose quotes need not be escaped; unknown ones stay."""

    def undo(match: re.Match[str]) -> str:
        if match[2]:
            return bytes.fromhex(match[2].replace("\\u", "")).decode("utf-16-be", "replace")
        return _ESCAPES.get(match[1], match[0])

    return re.sub(r"\\(u([0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*)|.)", undo, text)
