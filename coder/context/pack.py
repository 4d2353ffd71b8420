"""Which form each ranked file gets within a budget: whole, a part, outline, name or nothing. Pure arithmetic.

Scores are log-odds of being needed. Files are taken by score minus half the log of their size: what was measured to
cover the most of what tasks need, at every budget from 8,000 to 272,000 tokens.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coder.values import ContextMode

WHOLE_SHARE = 0.90  # of the budget; the rest is for what is shown in less than full
OUTLINE_SHARE = 0.08
PART_RANK = 12  # a file that does not fit is shown in part only when it ranks this high
PART_SHARE = 0.5  # of what files in full have left, at most, for one part
LEAST_PART = 300  # tokens below which a part says no more than an outline


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ranked file: its score, its rough size in tokens, what it costs whole (0: it may not be) and by name."""

    path: str
    score: float
    size: int
    whole: int
    name: int


class Forms(Protocol):
    """Forms that are worked out only for the files that may get them; their cost in tokens, 0 when there is none."""

    def outline(self, path: str) -> int: ...
    def part(self, path: str, most: int) -> int:
        """The cost of the best part within `most` tokens."""
        ...


def by_value(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The order in which files are taken whole."""
    return sorted(candidates, key=lambda each: (0.5 * math.log(each.size + 20) - each.score, each.path))


def pack(
    candidates: Sequence[Candidate], budget: int, forms: Forms, pinned: Collection[str] = ()
) -> dict[str, ContextMode]:
    """The form of each file that is shown of `candidates` (best first); `pinned` ones come first if they fit."""
    modes: dict[str, ContextMode] = {}
    left = budget - _take_whole((each for each in candidates if each.path in pinned), budget, modes)
    kept_back = budget - int(WHOLE_SHARE * budget)
    left -= _take_whole(by_value(candidates), left - kept_back, modes)
    for candidate in candidates[:PART_RANK]:
        most = int(PART_SHARE * (left - kept_back))
        if candidate.path not in modes and most >= LEAST_PART and (cost := forms.part(candidate.path, most)):
            modes[candidate.path] = "part"
            left -= cost
    rest = [candidate for candidate in candidates if candidate.path not in modes]
    outlines = min(left, int(OUTLINE_SHARE * budget))
    for candidate in rest:
        if outlines < candidate.name:
            break
        cost = forms.outline(candidate.path)
        if 0 < cost <= outlines:
            modes[candidate.path] = "outline"
            outlines -= cost
            left -= cost
    for candidate in rest:
        if candidate.path not in modes and candidate.name <= left:
            modes[candidate.path] = "name"
            left -= candidate.name
    return modes


def _take_whole(candidates: Iterable[Candidate], most: int, modes: dict[str, ContextMode]) -> int:
    """Take in order each file that still fits whole; the tokens taken."""
    taken = 0
    for candidate in candidates:
        if candidate.path not in modes and 0 < candidate.whole <= most - taken:
            modes[candidate.path] = "full"
            taken += candidate.whole
    return taken
