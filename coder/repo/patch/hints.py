"""Chooses among several equal matches by what the hunk says about its place; never by order or by luck.

The hints in their order: end of file, a line number that is right to the line, anchors, the nearest line number.
One that does not decide passes the rest to the next.
"""

from coder.repo.patch.edits import Hunk
from coder.repo.patch.match import Target, alike

# A line number decides for the nearest match only if every other is this many times farther from it.
_CLEARLY_FARTHER = 2


def choose(starts: list[int], hunk: Hunk, target: Target, shift: int | None) -> int | None:
    """The one of `starts` (0-based line of the hunk's first old line) that the hints point to; None if they do not
    decide. `shift` is how far other hunks of this file were found below their line numbers; while that is not known
    (None), a number decides nothing.
    """
    if len(starts) == 1:
        return starts[0]
    starts = _at_end(starts, hunk, target)
    if len(starts) == 1:
        return starts[0]
    expected = hunk.start - 1 + shift if hunk.start and shift is not None else None
    if expected in starts:
        return expected  # a number that is right to the line is no accident, whatever an anchor far above says
    if hunk.start and shift is None:
        return None
    anchored = _after_anchor(starts, hunk, target)
    if len(anchored) > 1:
        return _nearest(anchored, expected)
    # Where the number clearly says another place than the anchor, one of them is wrong, and nothing tells which.
    return anchored[0] if _nearest(starts, expected) in (None, anchored[0]) else None


def _at_end(starts: list[int], hunk: Hunk, target: Target) -> list[int]:
    if not hunk.at_end and not any(line.ends_file for line in hunk.lines):
        return starts
    return [start for start in starts if start + len(hunk.old) == len(target.lines)] or starts


def _after_anchor(starts: list[int], hunk: Hunk, target: Target) -> list[int]:
    """The first match after each place where the anchors stand in sequence. An anchor may repeat the first line."""
    if not hunk.anchors:
        return starts
    chosen = {
        start for end in anchor_ends(hunk, target) if (start := next((s for s in starts if s >= end), None)) is not None
    }
    return sorted(chosen) or starts


def anchor_ends(hunk: Hunk, target: Target) -> list[int]:
    """The lines where the last anchor stands below the others, in their order; empty if one is missing."""
    ends: list[int] = []
    for number, anchor in enumerate(hunk.anchors):
        places = anchor_places(anchor, target)
        if number == 0:
            ends = places
        else:
            ends = sorted({next((place for place in places if place > end), -1) for end in ends} - {-1})
    return ends


def anchor_places(anchor: str, target: Target) -> list[int]:
    """Lines equal to the anchor but for indentation; else those that start with it, as git cuts long ones off."""
    wanted = alike(anchor).strip()
    if not wanted:
        return []
    if places := target.stripped.get(wanted):
        return places
    return sorted(i for line, places in target.stripped.items() if line.startswith(wanted) for i in places)


def _nearest(starts: list[int], expected: int | None) -> int | None:
    if expected is None:
        return None
    by_distance = sorted((abs(start - expected), start) for start in starts)
    (nearest, start), (second, _) = by_distance[:2]
    return start if second > nearest * _CLEARLY_FARTHER else None
