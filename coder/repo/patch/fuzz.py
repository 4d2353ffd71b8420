"""The last rung: one context line of a hunk may be mistyped, missing or invented; a removed line never.

That line separates a typo from a stale edit. A second wrong line speaks of another version of the file, and so does a
single one among fewer than three lines. White space and look-alikes are ignored throughout.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby

from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.match import BARE, Target
from coder.repo.patch.regions import Rows

_SIMILAR = 0.6  # SequenceMatcher ratio from which two lines are one line with a typo
_LONG = 1000  # characters; beyond that only the beginning and the end are compared, a search takes too long
_SEEDS = 64  # places tried; a hunk whose rarest line is more frequent than that cannot be placed by fuzz
_TELLING = 3  # characters that a line must exceed to say anything about its place: "}", "});" and "end" do not


def alignments(hunk: Hunk, target: Target) -> Iterator[Rows]:
    """Every alignment of the hunk's old lines with one mistake; the mildest mistakes of a place come first."""
    old = hunk.old
    keys = [BARE.key(line.text) for line in old]
    if len(old) < 3 or sum(len(key) > _TELLING for key in keys) < 2:
        return
    aligner = _Aligner(hunk, keys, target)
    for row, line in _seeds(old, keys, target):
        yield from aligner.around(row, line)


def _seeds(old: tuple[Line, ...], keys: list[str], target: Target) -> list[tuple[int, int]]:
    """Pairs of an old line and a file line that are equal. A removed line is always right, so the rarest one will do,
    unless it is everywhere; of context, the two lines that occur least are taken, since one of them must be right."""
    index = target.index(BARE)
    places = [index.get(key, []) for key in keys]
    removed = [row for row, line in enumerate(old) if line.kind == "-"]
    if any(not places[row] for row in removed):
        return []
    by_rarity = sorted((row for row in range(len(old)) if places[row]), key=lambda row: len(places[row]))
    rows = [row for row in by_rarity if old[row].kind == "-"][:1]
    if not rows or len(places[rows[0]]) > _SEEDS:
        rows = [row for row in by_rarity if old[row].kind == " "][:2]
    return [(row, line) for row in rows if len(places[row]) <= _SEEDS for line in places[row]]


class _Aligner:
    """Aligns old lines with file lines outwards from one pair that is known to be equal."""

    def __init__(self, hunk: Hunk, keys: list[str], target: Target) -> None:
        self.old = hunk.old
        self.keys = keys
        self.file = target.keys(BARE)
        self.gap_free = _gap_free(hunk)

    def around(self, row: int, line: int) -> Iterator[Rows]:
        above, below = self._run(row, line, -1), self._run(row, line, +1)
        if above > row and below < len(self.old) - row:
            for rest in self._past_mistake(row + below, line + below, +1):
                yield (*range(line - row, line + below), *rest)
        elif above <= row and below >= len(self.old) - row:
            for rest in self._past_mistake(row - above, line - above, -1):
                yield (*reversed(rest), *range(line - above + 1, line + len(self.old) - row))

    def _run(self, row: int, line: int, step: int) -> int:
        """How many lines are equal from the pair on in direction `step`, itself included."""
        length = 0
        while 0 <= row < len(self.old) and 0 <= line < len(self.file) and self.keys[row] == self.file[line]:
            length, row, line = length + 1, row + step, line + step
        return length

    def _past_mistake(self, row: int, line: int, step: int) -> Iterator[list[int | None]]:
        """The rest of the rows from the first difference on, in walking order, for each mistake that explains it."""
        in_file = 0 <= line < len(self.file)
        context = self.old[row].kind == " "
        if context and in_file and _similar(self.keys[row], self.file[line]):
            yield from self._rest([line], row + step, line + step, step)
        if in_file and (row if step > 0 else row + 1) not in self.gap_free:
            yield from self._rest([], row, line + step, step)
        if context:
            yield from self._rest([None], row + step, line, step)

    def _rest(self, begun: list[int | None], row: int, line: int, step: int) -> Iterator[list[int | None]]:
        left = len(self.old) - row if step > 0 else row + 1
        if left == 0 or self._run(row, line, step) >= left:
            yield [*begun, *range(line, line + step * left, step)]


def _gap_free(hunk: Hunk) -> set[int]:
    """Old lines that must directly follow the one before: inside a run of changes, and below a pure insertion, where a
    line between would leave open on which side of it to insert. Removed lines say where the end of their run is."""
    free: set[int] = set()
    row = 0
    for changed, run in groupby(hunk.lines, key=lambda line: line.kind != " "):
        lines = list(run)
        olds = sum(line.kind != "+" for line in lines)
        if changed and olds:
            free.update(range(row + (lines[0].kind == "-"), row + olds))
        elif changed:
            free.update(_insertable(lines, hunk.old, row))
        row += olds
    return free


def _insertable(added: list[Line], old: tuple[Line, ...], row: int) -> range:
    """The old lines above which `added` may stand with the same effect as above `row`: its last lines are those above
    it, or its first ones those below."""
    news = [BARE.key(line.text) for line in added]
    up = down = 0
    while up < row and old[row - up - 1].kind == " " and BARE.key(old[row - up - 1].text) == news[-1 - up % len(news)]:
        up += 1
    while row + down < len(old) and BARE.key(old[row + down].text) == news[down % len(news)]:
        down += 1
    return range(row - up, row + down + 1)


def _similar(one: str, other: str) -> bool:
    """Whether two lines could be one with a typo. What they begin and end with alike counts without a search."""
    enough = _SIMILAR * (len(one) + len(other)) / 2  # characters in common, by the definition of the ratio
    head = _shared_start(one, other)
    tail = _shared_start(one[head:][::-1], other[head:][::-1])
    if head + tail >= enough:
        return True
    if max(len(one), len(other)) > _LONG:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= _SIMILAR and matcher.quick_ratio() >= _SIMILAR and matcher.ratio() >= _SIMILAR


def _shared_start(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
