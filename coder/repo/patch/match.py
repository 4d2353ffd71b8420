"""The ladder: where in a file the old lines of a hunk stand, from verbatim down to white-space-free.

A rung with a match ends the descent, even if the match is ambiguous: a looser comparison would only hide that.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from coder.repo.patch.edits import Line
from coder.repo.patch.indent import indent_of
from coder.repo.patch.text import FileText

# Characters that models and editors exchange for plain ones. Both ASCII quotes fold into one, since models also
# change the quoting style of the context they repeat.
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("'\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad\ufe58\uff0d", "-"),
        **dict.fromkeys(
            "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff"),  # invisible
        "\u2026": "...",
    }
)
_BLANKS = re.compile(r"\s+")


def alike(text: str) -> str:
    """`text` with look-alike characters folded into plain ones."""
    return text if text.isascii() and "'" not in text else text.translate(_ALIKE)


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to compare lines: equal keys are equal lines. `how` completes "was matched …"."""

    how: str
    key: Callable[[str], str]


VERBATIM = Rung("", str)
DROPPED_BLANK = Rung("though its context lost the leading blank", str)
TRAILING = Rung("aside from trailing blanks", str.rstrip)
ALIKE = Rung("aside from look-alike characters", lambda text: alike(text).rstrip())
BARE = Rung("aside from white space", lambda text: _BLANKS.sub("", alike(text)))
RUNGS = (VERBATIM, DROPPED_BLANK, TRAILING, ALIKE, BARE)


class Target:
    """A file's lines, indexed by the keys of each rung when first asked."""

    def __init__(self, text: FileText) -> None:
        self.text = text
        self.lines = text.lines
        self._keys: dict[Callable[[str], str], tuple[str, ...]] = {str: self.lines}
        self._positions: dict[tuple[Rung, tuple[Line, ...]], list[int]] = {}
        self._index: dict[Callable[[str], str], dict[str, list[int]]] = {}

    def keys(self, rung: Rung) -> tuple[str, ...]:
        if rung.key not in self._keys:
            self._keys[rung.key] = tuple(rung.key(line) for line in self.lines)
        return self._keys[rung.key]

    def index(self, rung: Rung) -> dict[str, list[int]]:
        """The positions of every key, ascending."""
        if rung.key not in self._index:
            index: dict[str, list[int]] = {}
            for i, key in enumerate(self.keys(rung)):
                index.setdefault(key, []).append(i)
            self._index[rung.key] = index
        return self._index[rung.key]

    @cached_property
    def indents(self) -> tuple[str, ...]:
        """The indentation of every line."""
        return tuple(map(indent_of, self.lines))

    @cached_property
    def stripped(self) -> dict[str, list[int]]:
        """Positions by line without indentation, look-alikes folded: what anchors are compared with."""
        index: dict[str, list[int]] = {}
        for i, line in enumerate(self.lines):
            index.setdefault(alike(line).strip(), []).append(i)
        return index

    def positions(self, rung: Rung, old: tuple[Line, ...]) -> list[int]:
        """Where all of `old` matches line by line on this rung, ascending. `old` must not be empty."""
        if (rung, old) not in self._positions:  # hunks of a repetitive file have the same lines
            self._positions[rung, old] = self._find(rung, old)
        return self._positions[rung, old]

    def _find(self, rung: Rung, old: Sequence[Line]) -> list[int]:
        if len(old) > len(self.lines):
            return []
        wanted = [_allowed(rung, line) for line in old]
        index, keys = self.index(rung), self.keys(rung)
        counts = [sum(len(index.get(key, ())) for key in options) for options in wanted]
        rarest = min(range(len(old)), key=lambda k: counts[k])
        last = len(self.lines) - len(old)
        places = sorted(i - rarest for key in wanted[rarest] for i in index.get(key, ()))
        starts = (start for start in places if 0 <= start <= last)
        if all(len(options) == 1 for options in wanted):
            exact, size = tuple(options[0] for options in wanted), len(old)
            return [start for start in starts if keys[start : start + size] == exact]
        return [start for start in starts if all(keys[start + k] in options for k, options in enumerate(wanted))]


def _allowed(rung: Rung, line: Line) -> tuple[str, ...]:
    """The keys that `line` may have. On one rung, a context line may have lost the format's own leading blank, so
    that the blank which was taken for it belongs to the text."""
    key = rung.key(line.text)
    if rung is DROPPED_BLANK and line.kind == " " and not line.bare:
        return (key, " " + key)
    return (key,)
