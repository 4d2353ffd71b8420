"""Places a hunk in a file: every reading of the hunk goes down the ladder before the next reading is tried."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from coder.repo.patch import elision, fuzz
from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.hints import anchor_places, choose
from coder.repo.patch.indent import indent_of, strays
from coder.repo.patch.match import ALIKE, BARE, RUNGS, VERBATIM, Rung, Target
from coder.repo.patch.readings import loose_readings, readings
from coder.repo.patch.regions import Rows, Unplaced, regions

_CANDIDATES = 100  # places that an ambiguity lists
_PARTS = 50  # parts of a hunk between "..." lines; more are noise and would take long
_CLOSING = 3  # characters that what closes a block may have: "}", "});", "end"
_TELLING = 12  # characters but blanks that added lines must have, so that finding them is no accident


@dataclass(frozen=True, slots=True)
class Placed:
    """A hunk and the file line (0-based) of each of its old lines; None for context that the file lacks."""

    hunk: Hunk
    rows: Rows
    how: str = ""
    reindent: bool = False


def place(hunk: Hunk, target: Target, shift: int | None = 0, *, loosely: bool = True) -> list[Placed]:
    """Where the hunk belongs; several parts if it leaves lines out. Raises Unplaced.

    `shift` is how far the file's hunks are found below their line numbers; None while that is not known, and then
    every hunk that needs its number is ambiguous. `loosely=False` stops before the readings that take something of
    the hunk for a mistake.
    """
    _check_anchors(hunk, target)
    placed = _placed(hunk, target, shift, loosely)
    if len(placed) == 1:
        _check_news(placed[0], target)
    return placed


def _placed(hunk: Hunk, target: Target, shift: int | None, loosely: bool) -> list[Placed]:
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


def _check_news(placed: Placed, target: Target) -> None:
    """An insertion whose context is on one side only still fits after it was made: its lines must not be there."""
    lines, rows = placed.hunk.lines, placed.rows
    if not rows or rows[0] is None or any(line.kind == "-" for line in lines):
        return
    if sum(len(BARE.key(line.text)) for line in lines if line.kind == "+") <= _TELLING:
        return
    there = target.positions(ALIKE, _as_context(placed.hunk.new))
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
        if rung is BARE:
            starts = _level(starts, hunk, target)
        if starts:
            start = _chosen(starts, hunk, target, shift)
            return Placed(hunk, tuple(range(start, start + len(old))), rung.how, reindent=rung is BARE)
    return None


def _level(starts: list[int], hunk: Hunk, target: Target) -> list[int]:
    """The starts where the file is indented in step with the hunk. Where lines repeat, so do their indentations."""
    size = len(hunk.old)
    judged: dict[tuple[str, ...], bool] = {}
    for start in starts:
        indents = target.indents[start : start + size]
        if indents not in judged:
            judged[indents] = _is_level(hunk, range(start, start + size), target)
    return [start for start in starts if judged[target.indents[start : start + size]]]


def _is_level(hunk: Hunk, rows: Sequence[int | None], target: Target) -> bool:
    """Whether at most a quarter of the lines is indented in another way than the others, and next to an insertion none
    that only closes a block: without its indentation such a line is equal wherever a block ends."""
    matched = [
        (line.text, target.indents[row], beside)
        for (line, beside), row in zip(_beside_insertions(hunk), rows, strict=True)
        if row is not None and line.text.strip()
    ]
    stray = strays([(indent_of(text), there) for text, there, _ in matched])
    return len(stray) * 4 <= len(matched) and not any(
        beside and len(text.strip()) <= _CLOSING for text, _, beside in (matched[i] for i in stray)
    )


def _beside_insertions(hunk: Hunk) -> list[tuple[Line, bool]]:
    """The old lines, and whether lines are inserted above or below each with nothing but empty lines between.

    Where lines are removed as well, these say which place is meant.
    """
    flags = [False] * len(hunk.lines)
    at = 0
    told = [i for i, line in enumerate(hunk.lines) if line.kind != " " or line.text.strip()]
    for changed, run in groupby(told, key=lambda i: hunk.lines[i].kind != " "):
        size = len(list(run))
        if changed and all(hunk.lines[i].kind == "+" for i in told[at : at + size]):
            for i in (*told[at - 1 : at], *told[at + size : at + size + 1]):
                flags[i] = True
        at += size
    return [(line, flag) for line, flag in zip(hunk.lines, flags, strict=True) if line.kind != "+"]


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
    return [
        Placed(part, tuple(range(start, start + len(part.old))), rung.how, reindent=rung is BARE)
        for part, rung, start in zip(parts, rungs, starts, strict=True)
    ]


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
    new = _as_context(hunk.new)
    return any(line.text.strip() for line in new) and bool(target.positions(ALIKE, new))


def _as_context(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(replace(line, kind=" ") for line in lines)


def _fuzzy(hunk: Hunk, target: Target, shift: int | None) -> Placed | None:
    """The place where the hunk has a single mistake; alignments that change the same lines are one place.

    A mistake in the line where the reply ends is no typo: there it was cut off.
    """
    places: dict[tuple[tuple[int, int], ...], Rows] = {}
    refusal: Unplaced | None = None
    for rows in fuzz.alignments(hunk, target):
        if not _is_level(hunk, rows, target):
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
    return Placed(hunk, rows, "though a context line differs", reindent=True)


def _is_equal(line: Line, row: int | None, target: Target) -> bool:
    return row is not None and BARE.key(line.text) == target.keys(BARE)[row]
