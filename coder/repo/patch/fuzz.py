"""The last rung: context lines may be mistyped, missing or invented, up to about a quarter; removed lines may not.

That line separates a typo from a stale edit. White space and look-alikes are ignored throughout.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher

from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.match import BARE, Target

Rows = tuple[int | None, ...]  # the file line of each old line; None for one that the file lacks

_SIMILAR = 0.6  # SequenceMatcher ratio from which two lines are one line with a typo
_SEEDS = 64  # places tried; a hunk whose rarest line is more frequent than that cannot be placed by fuzz


def placements(hunk: Hunk, target: Target) -> list[Rows]:
    """The best alignments of the hunk's old lines, as many as are equally good."""
    old = hunk.old
    budget = _budget(old)
    if budget == 0 or len(old) < 2:
        return []
    aligner = _Aligner(old, target, budget, _gap_free(hunk))
    found: dict[Rows, float] = {}
    for row, line in _seeds(old, target, budget):
        if (alignment := aligner.align(row, line)) is not None:
            found[alignment.rows] = alignment.cost
    if not found:
        return []
    best = min(found.values())
    return [rows for rows, cost in found.items() if cost == best]


def _budget(old: tuple[Line, ...]) -> int:
    """How many context lines may be wrong: a quarter, but at least one where two other lines vouch for the place."""
    context = sum(line.kind == " " for line in old)
    meaningful = sum(len(BARE.key(line.text)) > 2 for line in old)
    if context == 0 or meaningful < 2:
        return 0
    return max(context // 4, 1 if len(old) >= 3 else 0)


def _gap_free(hunk: Hunk) -> set[int]:
    """Old lines that must directly follow the one before: inside a removed run, and around a pure insertion, where
    a line between would leave open on which side of it to insert."""
    free: set[int] = set()
    row = 0
    for before, line in zip((None, *hunk.lines), hunk.lines, strict=False):
        if line.kind == "+":
            continue
        if row and before is not None and (before.kind == "+" or (before.kind == line.kind == "-")):
            free.add(row)
        row += 1
    return free


def _seeds(old: tuple[Line, ...], target: Target, budget: int) -> list[tuple[int, int]]:
    """Pairs of an old line and a file line that are equal, from the lines that occur least. More of them are taken
    than can be wrong, so that a right one is among them; a removed line is always right."""
    index = target.index(BARE)
    places = {row: index.get(BARE.key(line.text), []) for row, line in enumerate(old)}
    removed = [row for row, line in enumerate(old) if line.kind == "-"]
    if any(not places[row] for row in removed):
        return []
    if removed:
        rows = [min(removed, key=lambda row: len(places[row]))]
    else:
        present = sorted((row for row in places if places[row]), key=lambda row: len(places[row]))
        rows = present[: budget + 1]
    return [(row, line) for row in rows if len(places[row]) <= _SEEDS for line in places[row]]


@dataclass(frozen=True, slots=True)
class _Alignment:
    rows: Rows
    cost: float


class _Aligner:
    """Aligns old lines with file lines outwards from one pair that is known to be equal."""

    def __init__(self, old: tuple[Line, ...], target: Target, budget: int, gap_free: set[int]) -> None:
        self.old = old
        self.keys = [BARE.key(line.text) for line in old]
        self.file = target.keys(BARE)
        self.budget = budget
        self.gap_free = gap_free

    def align(self, row: int, line: int) -> _Alignment | None:
        below = self._walk(row + 1, line + 1, +1, self.budget)
        if below is None:
            return None
        above = self._walk(row - 1, line - 1, -1, self.budget - below.cost)
        if above is None:
            return None
        return _Alignment((*above.rows, line, *below.rows), above.cost + below.cost)

    def _walk(self, row: int, line: int, step: int, budget: float) -> _Alignment | None:
        """The cheapest alignment of the old lines from `row` on in direction `step`, within `budget`; None if there
        is none. Branches only where lines differ, so that the budget bounds the search."""
        taken: list[int | None] = []
        while 0 <= row < len(self.old) and 0 <= line < len(self.file) and self.keys[row] == self.file[line]:
            taken.append(line)
            row, line = row + step, line + step
        if not 0 <= row < len(self.old):
            return self._joined(taken, (), 0, step)
        if budget < 1:
            return None
        best: _Alignment | None = None
        for skip_row, skip_line, cost in self._mistakes(row, line, step):
            rest = self._walk(row + step * skip_row, line + step * skip_line, step, budget - cost)
            if rest is not None and (best is None or rest.cost + cost < best.cost):
                here: list[int | None] = [line if skip_line else None] if skip_row else []
                best = self._joined(taken + here, rest.rows, rest.cost + cost, step)
        return best

    def _joined(self, taken: list[int | None], rest: Rows, cost: float, step: int) -> _Alignment:
        rows = (*taken, *rest) if step > 0 else (*rest, *reversed(taken))
        return _Alignment(rows, cost)

    def _mistakes(self, row: int, line: int, step: int) -> list[tuple[int, int, float]]:
        """What may be wrong here, as (old lines used, file lines used, cost): mistyped, invented, missing."""
        in_file = 0 <= line < len(self.file)
        kinds: list[tuple[int, int, float]] = []
        if self.old[row].kind == " ":
            if in_file and _similar(self.keys[row], self.file[line]):
                kinds.append((1, 1, 1.0))
            kinds.append((1, 0, 1.0))
        gap_row = row if step > 0 else row + 1
        if in_file and gap_row not in self.gap_free:
            kinds.append((0, 1, 1.0))
        return kinds


def _similar(one: str, other: str) -> bool:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= _SIMILAR and matcher.quick_ratio() >= _SIMILAR and matcher.ratio() >= _SIMILAR
