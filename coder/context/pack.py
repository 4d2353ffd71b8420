"""Which form each ranked file gets within a budget: whole, a part, summary, outline, name or nothing. Pure arithmetic.

Files are taken whole by how likely they are needed over (nearly) their size: of the rules tried on 144 public commits
the one that covers the most of what tasks need, at every budget from 8,000 to 272,000 tokens.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coder.values import ContextMode

WHOLE_SHARE = 0.90  # of the budget for files in full before parts are looked at, and
WHOLE_AFTER_PARTS = 0.95  # when it is known what the parts leave
GIANT_SHARE = 0.15  # kept free for a part of the best file when it can never be whole
OUTLINE_SHARE = 0.04
PART_RANK = 8  # a file that is not taken whole is shown in part only when it ranks this high
LEAST_PART = 300  # tokens below which a part says no more than an outline
NEEDED = 2.0  # files that a task needs, about
SIZE_POWER, SIZE_OFFSET = 0.85, 200  # a very small file is worth little more than a small one


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
    def summary(self, path: str) -> int: ...
    def part(self, path: str, most: int) -> int:
        """The cost of the best part within `most` tokens."""
        ...


def by_value(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The order in which files are taken whole."""
    top = max((each.score for each in candidates), default=0.0)
    odds = [math.exp(each.score - top) for each in candidates]
    total = math.fsum(odds)
    needed = (-math.expm1(-NEEDED * each / total) for each in odds)
    value = [
        math.log(chance + 1e-30) - SIZE_POWER * math.log(each.size + SIZE_OFFSET)
        for each, chance in zip(candidates, needed, strict=True)
    ]
    order = sorted(range(len(candidates)), key=lambda place: (-value[place], candidates[place].path))
    return [candidates[place] for place in order]


def pack(
    candidates: Sequence[Candidate], budget: int, forms: Forms, pinned: Collection[str] = ()
) -> dict[str, ContextMode]:
    """The form of each file that is shown of `candidates` (best first); `pinned` ones come first if they fit."""
    modes: dict[str, ContextMode] = {}
    ordered = by_value(candidates)
    used = _take_whole((each for each in candidates if each.path in pinned), budget, modes)
    giant = bool(candidates) and candidates[0].path not in modes and not 0 < candidates[0].whole <= WHOLE_SHARE * budget
    whole_share = WHOLE_SHARE - (GIANT_SHARE if giant else 0.0)
    used += _take_whole(ordered, int(whole_share * budget) - used, modes)
    for candidate in candidates[:PART_RANK]:
        room = int(WHOLE_AFTER_PARTS * budget) - used
        most = int(GIANT_SHARE * budget) if giant and candidate is candidates[0] else room // 2
        if candidate.path not in modes and most >= LEAST_PART and (cost := forms.part(candidate.path, most)):
            modes[candidate.path] = "part"
            used += cost
    used += _take_whole(ordered, int(WHOLE_AFTER_PARTS * budget) - used, modes)
    rest = [candidate for candidate in candidates if candidate.path not in modes]
    left = min(budget - used, int(OUTLINE_SHARE * budget))
    for candidate in rest:
        if left < candidate.name:
            break
        cost = forms.summary(candidate.path)
        mode: ContextMode = "summary" if cost else "outline"  # the outline stands in for a summary nobody made
        cost = cost or forms.outline(candidate.path)
        if 0 < cost <= left:
            modes[candidate.path] = mode
            left -= cost
            used += cost
    for candidate in rest:
        if candidate.path not in modes and candidate.name <= budget - used:
            modes[candidate.path] = "name"
            used += candidate.name
    return modes


def _take_whole(candidates: Iterable[Candidate], most: int, modes: dict[str, ContextMode]) -> int:
    """Take in order each file that still fits whole; the tokens taken."""
    taken = 0
    for candidate in candidates:
        if candidate.path not in modes and 0 < candidate.whole <= most - taken:
            modes[candidate.path] = "full"
            taken += candidate.whole
    return taken
