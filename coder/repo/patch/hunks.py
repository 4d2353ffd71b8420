"""What the diff-like formats share: `@@` headers and the lines of a hunk. Knows no file names and no file."""

import re
from typing import Literal

from msgspec import Struct

from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.reply import Reply

_NUMBERS = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$")
_HAS_NUMBER = re.compile(r"[-+]?\d*(?:,\d*)?(?: [-+]?\d*(?:,\d*)?)*$")  # "-12,3 +12" and other wrecks of numbers
_DOTS = re.compile(r"(?:\.\.\.|…)*$")
_BIG = 10**9  # a line number beyond this is noise; keeps arithmetic small


class Header(Struct, frozen=True):
    """A `@@` line. `start` 0 and counts -1: not given."""

    start: int = 0
    old_count: int = -1
    new_count: int = -1
    anchor: str = ""

    def is_short(self, hunk: Hunk) -> bool:
        """Whether the hunk has fewer lines than announced: miscounted, or cut off."""
        return len(hunk.old) < self.old_count or len(hunk.new) < self.new_count


def read_header(line: str) -> Header:
    """Any line that starts with `@@`: git's numbers, an anchor, both, or nothing of use."""
    if match := _NUMBERS.match(line):
        start, old, _, new, section = match.groups()
        return Header(min(int(start[:10]), _BIG), int((old or "1")[:10]), int((new or "1")[:10]), section.strip())
    text = line[2:].strip()
    if text.endswith("@@"):
        text = text[:-2].strip()
    elif "@@ " in text and _HAS_NUMBER.match(text.split("@@ ")[0].strip()):
        text = text.split("@@ ", 1)[1].strip()  # "@@ -,+ @@ section"
    if _DOTS.match(text) or _HAS_NUMBER.match(text):
        text = ""
    return Header(anchor=text)


def read_body(reply: Reply, start: int, stop: int) -> Hunk:
    """The lines `start` to `stop` of the reply as a hunk without hints."""
    lines: list[Line] = []
    for i in range(start, stop):
        text, cr = reply.lines[i], reply.cr[i]
        if text.startswith("\\ No newline") or text == "\\":
            if lines:
                lines[-1] = _last(lines[-1])
            continue
        lines.append(_read_line(text, cr))
    return Hunk(tuple(lines), tail=_tail(lines))


def _last(line: Line) -> Line:
    """The line as the file's last, without an end: a CR that stands there is part of it."""
    return line._replace(text=line.text + "\r" * line.cr, cr=False, ends_file=True)


def _read_line(text: str, cr: bool) -> Line:
    kind: Literal[" ", "-", "+"]
    match text[:1]:
        case "+":
            kind = "+"
        case "-":
            kind = "-"
        case " ":
            kind = " "
        case _:  # an empty context line that lost its blank, or any line that did
            return Line(" ", text, cr, bare=True)
    return Line(kind, text[1:], cr)


def _tail(lines: list[Line]) -> int:
    """How many closing lines lack the format's prefix: context that lost its blank, or prose after the edit."""
    tail = 0
    for line in reversed(lines):
        if not line.bare:
            break
        tail += 1
    return tail
