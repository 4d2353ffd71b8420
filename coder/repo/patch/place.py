"""Places a hunk in a file: every reading of the hunk goes down the ladder before the next reading is tried."""

from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from coder.repo.patch import elision, fuzz
from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.hints import anchor_places, choose
from coder.repo.patch.indent import Pairs
from coder.repo.patch.levels import Levels, matched_indents
from coder.repo.patch.match import ALIKE, BARE, RUNGS, VERBATIM, Rung, Target
from coder.repo.patch.readings import loose_readings, readings
from coder.repo.patch.regions import Rows, Unplaced, regions

_CANDIDATES = 100  # places that an ambiguity lists
_PARTS = 50  # parts of a hunk between "..." lines; more are noise and would take long
_TELLING = 12  # characters but blanks that added lines must have, so that finding them is no accident


class Placed(Struct, frozen=True):
    """A hunk and the file line (0-based) of each of its old lines; None for context that the file lacks.

    `indents` are those of its lines, in the edit and in the file, where these were matched whatever their white space.
    """

    hunk: Hunk
    rows: Rows
    how: str = ""
    indents: Pairs | None = None


class NotAsWritten(Unplaced):
    """The file has no place for the hunk unless something of it is a mistake."""

    def __init__(self) -> None:
        super().__init__("not_found", "the old lines are not in the file")


def place(hunk: Hunk, target: Target, shift: int | None) -> list[Placed]:
    """Where the hunk belongs as written; several parts if it leaves lines out. Raises Unplaced.

    `shift` is how far the file's hunks are found below their line numbers; None while that is not known, and then
    every hunk that needs its number is ambiguous.
    """
    _check_anchors(hunk, target)
    placed = _as_written(hunk, target, shift)
    if len(placed) == 1:
        _check_news(placed[0], target)
    return placed


def place_mistaken(hunk: Hunk, target: Target, shift: int | None) -> list[Placed]:
    """Where a hunk belongs that is not there as written: something of it is taken for a mistake. Raises Unplaced."""
    without_layout = (_on_rungs(reading, target, shift) for reading in loose_readings(hunk))
    with_slip = (_fuzzy(reading, target, shift) for reading in readings(hunk))
    placed = next((placed for placed in chain(without_layout, with_slip) if placed is not None), None)
    if placed is None:
        raise NotAsWritten
    _check_news(placed, target)
    return [placed]


def _as_written(hunk: Hunk, target: Target, shift: int | None) -> list[Placed]:
    if not hunk.old:
        return [_place_insertion(hunk, target, shift)]
    for reading in readings(hunk):
        if (placed := _on_rungs(reading, target, shift)) is not None:
            return [placed]
    if placed_parts := _in_parts(hunk, target, shift):
        return placed_parts
    if _is_applied(hunk, target):
        raise Unplaced("stale", "the change is already there")
    raise NotAsWritten


def _check_anchors(hunk: Hunk, target: Target) -> None:
    """One wrong anchor is a slip and the lines decide; one of several means that the whole place is imagined."""
    if len(hunk.anchors) > 1:
        for anchor in hunk.anchors:
            if not anchor_places(anchor, target):
                raise Unplaced("not_found", f"the anchor {anchor!r} is not in the file")


def _check_news(placed: Placed, target: Target) -> None:
    """An insertion whose context is on one side only still fits after it was made: its lines must not be there."""
    lines, rows = placed.hunk.lines, placed.rows
    if not rows or rows[0] is None or any(line.kind == "-" for line in lines):
        return
    if sum(len(BARE.key(line.text)) for line in lines if line.kind == "+") <= _TELLING:
        return
    there = target.positions(ALIKE, placed.hunk.new)
    if (lines[-1].kind == "+" and rows[0] in there) or (
        lines[0].kind == "+" and rows[0] + len(rows) - len(lines) in there
    ):
        raise Unplaced("stale", "the change is already there")


def _place_insertion(hunk: Hunk, target: Target, shift: int | None) -> Placed:
    """A hunk of added lines only goes where its header says, and only if that is beyond doubt."""
    size = len(target.lines)
    if hunk.at_end or size == 0:
        return Placed(_headed(hunk, target, size), (size - 1,) if size else ())
    if hunk.after_line:
        if shift is None:
            raise Unplaced("ambiguous", "only a line number says where to insert")
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


def _on_rungs(hunk: Hunk, target: Target, shift: int | None) -> Placed | None:
    """The place on the first rung with a match. Raises Unplaced if it is ambiguous there."""
    old = hunk.old
    if not old:
        return None
    for rung in RUNGS:
        starts = target.positions(rung, old)
        if any(line.ends_file for line in old):  # git's mark is part of the text, not a hint
            starts = [start for start in starts if start + len(old) == len(target.lines)]
        if rung is BARE and starts:
            starts = Levels(hunk).where_fit(starts, target)
        if starts:
            start = _chosen(starts, hunk, target, shift)
            return _placed_on(rung, hunk, start, target)
    return None


def _placed_on(rung: Rung, hunk: Hunk, start: int, target: Target) -> Placed:
    rows = range(start, start + len(hunk.old))
    return Placed(hunk, tuple(rows), rung.how, matched_indents(hunk, rows, target) if rung is BARE else None)


def _chosen(starts: list[int], hunk: Hunk, target: Target, shift: int | None) -> int:
    start = choose(starts, hunk, target, shift)
    if start is None:
        message = f"the old lines occur {len(starts)} times and nothing tells which is meant"
        raise Unplaced("ambiguous", message, tuple(start + 1 for start in starts[:_CANDIDATES]), len(starts))
    return start


def _in_parts(hunk: Hunk, target: Target, shift: int | None) -> list[Placed]:
    """A hunk with "..." lines: each part on the ladder, one below the other, in the only way that fits."""
    parts = elision.parts(hunk, target.index(VERBATIM))
    if parts in ([], [hunk]) or len(parts) > _PARTS or any(not part.old for part in parts):
        return []
    rungs: list[Rung] = []
    places: list[list[int]] = []
    for part in parts:
        on = next(((rung, starts) for rung in RUNGS if (starts := target.positions(rung, part.old))), None)
        if on is None:
            return []
        rungs.append(on[0])
        places.append(on[1])
    _keep_continued(places, [len(part.old) for part in parts])
    if not places[0]:
        raise Unplaced("not_found", 'the parts around "..." do not follow one another in the file')
    try:
        starts = _one_below_another(parts, places, target, shift)
    except Unplaced:
        if (placed := _on_rungs(_joined(parts), target, shift)) is not None:
            return [placed]  # nothing was left out at the "..."
        raise
    return [_placed_on(rung, part, start, target) for part, rung, start in zip(parts, rungs, starts, strict=True)]


def _one_below_another(parts: list[Hunk], places: list[list[int]], target: Target, shift: int | None) -> list[int]:
    """The line where each part starts. A part that changes nothing only has to be there: the first place will do."""
    starts: list[int] = []
    lowest = 0
    for part, candidates in zip(parts, places, strict=True):
        below = [start for start in candidates if start >= lowest]
        starts.append(_chosen(below, part, target, shift) if part.changes else below[0])
        lowest = starts[-1] + len(part.old)
    return starts


def _joined(parts: list[Hunk]) -> Hunk:
    return replace(parts[0], lines=tuple(line for part in parts for line in part.lines))


def _keep_continued(places: list[list[int]], sizes: list[int]) -> None:
    """Drop each place of a part below which the next part has none."""
    for k in range(len(places) - 2, -1, -1):
        last = max(places[k + 1], default=-1)
        places[k] = [start for start in places[k] if start + sizes[k] <= last]


def _is_applied(hunk: Hunk, target: Target) -> bool:
    """Whether the new lines stand in the file as they would after the edit."""
    return any(line.text.strip() for line in hunk.new) and bool(target.positions(ALIKE, hunk.new))


def _fuzzy(hunk: Hunk, target: Target, shift: int | None) -> Placed | None:
    """The place where the hunk has a single mistake; alignments that change the same lines are one place.

    A mistake in the line where the reply ends is no typo: there it was cut off.
    """
    places: dict[tuple[tuple[int, int], ...], Rows] = {}
    refusal: Unplaced | None = None
    levels = Levels(hunk)
    for rows in fuzz.alignments(hunk, target):
        if not levels.fit(rows, target):
            continue
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
    if hunk.cut and hunk.lines[-1].kind == " " and not _is_equal(hunk.lines[-1], rows[-1], target):
        raise Unplaced("truncated", "the reply breaks off in a line that is not in the file")
    return Placed(hunk, rows, "though a context line differs", matched_indents(hunk, rows, target))


def _is_equal(line: Line, row: int | None, target: Target) -> bool:
    return row is not None and BARE.key(line.text) == target.keys(BARE)[row]
