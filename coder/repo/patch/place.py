"""Places a hunk in a file: every reading of the hunk goes down the ladder before the next reading is tried."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from coder.repo.patch import elision, fuzz
from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.hints import anchor_places, choose
from coder.repo.patch.match import ALIKE, BARE, RUNGS, Rung, Target
from coder.repo.patch.readings import loose_readings, readings
from coder.repo.patch.regions import Rows, Unplaced, regions


@dataclass(frozen=True, slots=True)
class Placed:
    """A hunk and the file line (0-based) of each of its old lines; None for context that the file lacks."""

    hunk: Hunk
    rows: Rows
    how: str = ""
    reindent: bool = False


def place(hunk: Hunk, target: Target, shift: int = 0, *, loosely: bool = True) -> list[Placed]:
    """Where the hunk belongs; several parts if it leaves lines out. Raises Unplaced.

    `loosely=False` stops before the readings that take something of the hunk for a mistake.
    """
    _check_anchors(hunk, target)
    if not hunk.old:
        return [_place_insertion(hunk, target, shift)]
    for reading in readings(hunk):
        if (placed := _on_rungs(reading, target, shift)) is not None:
            return [placed]
    if placed_parts := _in_parts(hunk, target, shift):
        return placed_parts
    if _is_applied(hunk, target):
        raise Unplaced("stale", "the change is already there")
    if not loosely:
        raise Unplaced("not_found", "the old lines are not in the file")
    for reading in loose_readings(hunk):
        if (placed := _on_rungs(reading, target, shift)) is not None:
            return [placed]
    for reading in readings(hunk):
        if (placed := _fuzzy(reading, target, shift)) is not None:
            return [placed]
    raise Unplaced("not_found", "the old lines are not in the file")


def _check_anchors(hunk: Hunk, target: Target) -> None:
    """One wrong anchor is a slip and the lines decide; one of several means that the whole place is imagined."""
    if len(hunk.anchors) > 1:
        for anchor in hunk.anchors:
            if not anchor_places(anchor, target):
                raise Unplaced("not_found", f"the anchor {anchor!r} is not in the file")


def _place_insertion(hunk: Hunk, target: Target, shift: int) -> Placed:
    """A hunk of added lines only goes where its header says, and only if that is beyond doubt."""
    size = len(target.lines)
    if hunk.at_end or size == 0:
        return Placed(_headed(hunk, target, size), (size - 1,) if size else ())
    if hunk.after_line:
        line = hunk.start + shift
        if not 0 <= line <= size:
            raise Unplaced("not_found", f"line {hunk.start} is beyond the end of the file")
        return _inserted(hunk, target, line)
    if hunk.anchors:
        places = anchor_places(hunk.anchors[-1], target)
        if len(places) == 1:
            return _inserted(hunk, target, places[0] + 1)
        if places:
            raise Unplaced("ambiguous", "the anchor occurs more than once", tuple(i + 1 for i in places))
    raise Unplaced("not_found", "nothing says where to insert the lines: give context lines around them")


def _inserted(hunk: Hunk, target: Target, line: int) -> Placed:
    """An insertion before file line `line` (0-based), tied to the line above it, or to the first one below."""
    if line > 0:
        return Placed(_headed(hunk, target, line), (line - 1,))
    return Placed(replace(hunk, lines=(*hunk.lines, Line(" ", target.lines[0]))), (0,))


def _headed(hunk: Hunk, target: Target, line: int) -> Hunk:
    if line == 0:
        return hunk
    return replace(hunk, lines=(Line(" ", target.lines[line - 1]), *hunk.lines))


# ── one reading on the ladder ────────────────────────────────────────────────────────────────────


def _on_rungs(hunk: Hunk, target: Target, shift: int) -> Placed | None:
    """The place on the first rung with a match. Raises Unplaced if it is ambiguous there."""
    old = hunk.old
    if not old:
        return None
    for rung in RUNGS:
        starts = target.positions(rung, old)
        if starts:
            start = _chosen(starts, hunk, target, shift)
            return Placed(hunk, tuple(range(start, start + len(old))), rung.how, reindent=rung is BARE)
    return None


def _chosen(starts: list[int], hunk: Hunk, target: Target, shift: int) -> int:
    start = choose(starts, hunk, target, shift)
    if start is None:
        lines = tuple(start + 1 for start in islice(starts, 20))
        raise Unplaced("ambiguous", f"the old lines occur {len(starts)} times and nothing tells which is meant", lines)
    return start


def _in_parts(hunk: Hunk, target: Target, shift: int) -> list[Placed]:
    """A hunk with "..." lines: each part on the ladder, one below the other, in the only way that fits."""
    parts = elision.parts(hunk)
    if len(parts) == 1 or any(not part.old for part in parts):
        return []
    found: list[tuple[Rung, list[int]]] = []
    for part in parts:
        on = next(((rung, starts) for rung in RUNGS if (starts := target.positions(rung, part.old))), None)
        if on is None:
            return []
        found.append(on)
    chains = list(islice(_chains(parts, [starts for _, starts in found], 0), 50))
    if len(chains) > 1:
        firsts = sorted({chain[0] for chain in chains})
        first = _chosen(firsts, parts[0], target, shift)
        chains = [chain for chain in chains if chain[0] == first]
    if len(chains) != 1:
        lines = tuple(sorted({start + 1 for chain in chains for start in chain}))
        raise Unplaced("ambiguous" if chains else "not_found", 'the parts around "..." do not have one place', lines)
    return [
        Placed(part, tuple(range(start, start + len(part.old))), rung.how, reindent=rung is BARE)
        for part, (rung, _), start in zip(parts, found, chains[0], strict=True)
    ]


def _chains(parts: list[Hunk], starts: list[list[int]], lowest: int) -> Iterator[tuple[int, ...]]:
    if not parts:
        yield ()
        return
    for start in starts[0]:
        if start >= lowest:
            for rest in _chains(parts[1:], starts[1:], start + len(parts[0].old)):
                yield (start, *rest)


def _is_applied(hunk: Hunk, target: Target) -> bool:
    """Whether the new lines stand in the file as they would after the edit."""
    new = tuple(replace(line, kind=" ") for line in hunk.new)
    return bool(new) and any(line.text.strip() for line in new) and bool(target.positions(ALIKE, new))


def _fuzzy(hunk: Hunk, target: Target, shift: int) -> Placed | None:
    """The place where the hunk has a single mistake; alignments that change the same lines are one place."""
    places: dict[tuple[tuple[int, int], ...], Rows] = {}
    refusal: Unplaced | None = None
    for rows in fuzz.alignments(hunk, target):
        try:
            places.setdefault(regions(hunk, rows), rows)
        except Unplaced as why:
            refusal = why
    if not places:
        if refusal is not None:
            raise refusal
        return None
    starts = {next(row for row in rows if row is not None): rows for rows in places.values()}
    if len(starts) != len(places):
        raise Unplaced("ambiguous", "the old lines fit in several ways, none of them exactly")
    rows = starts[_chosen(sorted(starts), hunk, target, shift)]
    return Placed(hunk, rows, "though a context line differs", reindent=True)
