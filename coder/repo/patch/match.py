"""The ladder: where in a file the old lines of a hunk stand, from verbatim down to white-space-free.

A rung with a match ends the descent, even if the match is ambiguous: a looser comparison would only hide that.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property

from msgspec import Struct

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


def alike(text: str) -> str:
    """`text` with look-alike characters folded into plain ones."""
    return text if text.isascii() and "'" not in text else text.translate(_ALIKE)


class Rung(Struct, frozen=True):
    """One way to compare lines: equal keys are equal lines. `how` completes "was matched …"."""

    how: str
    key: Callable[[str], str]


VERBATIM = Rung("", str)
DROPPED_BLANK = Rung("though its context lost the leading blank", str)
TRAILING = Rung("aside from trailing blanks", str.rstrip)
ALIKE = Rung("aside from look-alike characters", lambda text: alike(text).rstrip())
BARE = Rung("aside from white space", lambda text: "".join(alike(text).split()))
RUNGS = (VERBATIM, DROPPED_BLANK, TRAILING, ALIKE, BARE)


class Target:
    """A file's lines, indexed by the keys of each rung when first asked."""

    def __init__(self, text: FileText) -> None:
        self.text = text
        self.lines = text.lines
        self._keys: dict[Callable[[str], str], tuple[str, ...]] = {str: self.lines}
        self._positions: dict[tuple[Rung, tuple[tuple[str, ...], ...]], list[int]] = {}
        self._index: dict[Callable[[str], str], dict[str, list[int]]] = {}

    def keys(self, rung: Rung) -> tuple[str, ...]:
        if rung.key not in self._keys:
            self._keys[rung.key] = tuple(rung.key(line) for line in self.lines)
        return self._keys[rung.key]

    def index(self, rung: Rung) -> dict[str, list[int]]:
        """The positions of every key, ascending."""
        if rung.key not in self._index:
            keys = self.keys(rung)
            same = next((key for key in self._index if self._keys[key] == keys), None)  # the rung folds nothing
            self._index[rung.key] = _indexed(keys) if same is None else self._index[same]
        return self._index[rung.key]

    @cached_property
    def indents(self) -> tuple[str, ...]:
        """The indentation of every line."""
        return tuple(map(indent_of, self.lines))

    @cached_property
    def stripped(self) -> dict[str, list[int]]:
        """Positions by line without indentation, look-alikes folded: what anchors are compared with."""
        return _indexed(alike(line).strip() for line in self.lines)

    @cached_property
    def words(self) -> dict[str, set[int]]:
        """Positions by word: what lines are compared with that stand nowhere."""
        index: dict[str, set[int]] = defaultdict(set)
        for i, line in enumerate(self.lines):
            for word in line.split():
                index[word].add(i)
        return index

    def positions(self, rung: Rung, old: tuple[Line, ...]) -> list[int]:
        """Where all of `old` matches line by line on this rung, ascending. `old` must not be empty."""
        index = self.index(rung)
        wanted: list[tuple[str, ...]] = []
        for line in old:
            key = rung.key(line.text)
            # A context line may have lost the format's own leading blank, so that its own one was taken for that.
            lost = rung is DROPPED_BLANK and line.kind == " " and not line.bare
            wanted.append((key, " " + key) if lost else (key,))
            if index.keys().isdisjoint(wanted[-1]):  # the rest need not be looked at
                return []
        asked = rung, tuple(wanted)
        if asked not in self._positions:  # hunks of a repetitive file have the same lines
            self._positions[asked] = self._find(*asked)
        return self._positions[asked]

    def _find(self, rung: Rung, wanted: tuple[tuple[str, ...], ...]) -> list[int]:
        index, keys, size = self.index(rung), self.keys(rung), len(wanted)
        counts = [sum(len(index.get(key, ())) for key in options) for options in wanted]
        rarest = min(range(size), key=counts.__getitem__)
        lines = sorted(i for key in wanted[rarest] for i in index.get(key, ()))
        inside = lines[bisect_left(lines, rarest) : bisect_right(lines, len(keys) - size + rarest)]
        if all(len(options) == 1 for options in wanted):
            exact = tuple(options[0] for options in wanted)
            return [i - rarest for i in inside if keys[i - rarest : i - rarest + size] == exact]
        return [i - rarest for i in inside if all(keys[i - rarest + k] in wanted[k] for k in range(size))]


def _indexed(keys: Iterable[str]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        index[key].append(i)
    return index
