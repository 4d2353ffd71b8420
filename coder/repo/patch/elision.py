"""Lines that stand for lines which were left out ("...", "# rest of the file unchanged")."""

import re
from collections.abc import Container

from msgspec.structs import replace

from coder.repo.patch.edits import Hunk

_DOTS = re.compile(r"\s*(?:\.\.\.|…)\s*$")
_COMMENT = re.compile(r"\s*(?:#+|//+|/\*+|<!--|--|;+|%+|\*|\{/\*)\s*(.*?)\s*(?:\*/\}?|-->)?\s*$")
_THING = r"(?:code|file|functions?|class(?:es)?|methods?|implementation|contents?|imports?|module|script|tests?|logic)"
_STAYS = r"(?:\s+(?:remains?|stays?|is|are|goes|unchanged|here|below|as before|the same|omitted)\b.*)?"
_OMISSION = re.compile(
    rf"\(?(?:the )?(?:rest|remainder) of (?:the |your |this )?(?:\w+ )?{_THING}{_STAYS}\)?"
    rf"|\(?(?:existing|previous|remaining|other|original|unchanged) (?:\w+ )?{_THING}{_STAYS}\)?"
    r"|\(?(?:\w+ )?(?:remains? |stays? )?(?:unchanged|(?:the )?same as before|omitted(?: for brevity)?)\)?",
    re.IGNORECASE,
)


def is_elision(line: str) -> bool:
    """Whether `line` is dots alone, or a comment that begins with dots or says that something was left out."""
    if _DOTS.match(line):
        return True
    match = _COMMENT.match(line)
    if match is None:
        return False
    words = match[1]
    if words.startswith(("...", "…")):
        return True
    return _OMISSION.fullmatch(words.rstrip(".… ")) is not None


def parts(hunk: Hunk, file: Container[str]) -> list[Hunk]:
    """The hunk cut at its elided context lines; itself alone if there are none. Hints go with the first part.

    A line that stands in the file to the letter leaves nothing out: `...` is also the body of a stub.
    """
    pieces: list[list[int]] = [[]]
    for i, line in enumerate(hunk.lines):
        if line.kind == " " and line.text not in file and is_elision(line.text):
            pieces.append([])
        else:
            pieces[-1].append(i)
    if len(pieces) == 1:
        return [hunk]
    cut = [tuple(hunk.lines[i] for i in piece) for piece in pieces if piece]
    return [
        replace(hunk, lines=lines, tail=0)
        if number == 0
        else Hunk(lines, at_end=hunk.at_end and number == len(cut) - 1)
        for number, lines in enumerate(cut)
    ]
