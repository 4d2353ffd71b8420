"""Which form each ranked file gets within a budget: whole, a part, summary, outline, name or nothing. Pure arithmetic.

Whatever shows code is taken by how likely it is needed over its size: of the rules tried on 972 public commits none
covers more of what tasks need, at any budget from 8,000 to 272,000 tokens. A file that can never be whole competes as
a part. What is left is for summaries or outlines, then for names.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from coder.values import ContextMode

LEAST_DIGESTS = 0.015  # of the budget for summaries and outlines: a small one is for code,
DIGEST_SHARE, DIGEST_START = 0.04, 1_000  # a large one has room for more, counted from so many tokens on
SUMMARISED_SHARE = 0.08  # of the budget where there are summaries: they were paid for, to be seen
MUCH_LEFT = 0.25  # of the budget: where all that is not shown is too large, half of what is left is for outlines
PART_SHARE, MOST_PART = 0.1, 6_000  # of the budget, and tokens, that a part may take
DIGESTS = 8  # outlines that there is room for: where that is little, they are short
MOST_MISSES = 20  # files in a row without a fitting outline, after which no more are worked out
LEAST_PART = 300  # tokens below which a part says no more than an outline
PART_RANK = 8  # only files that rank this high are shown in part
PART_WORTH = 0.25  # of the file's own worth: a task's lines are often elsewhere in it
NEEDED = 2.0  # files that a task needs, about
SIZE_OFFSET = 200  # tokens added to each size: a very small file is worth little more than a small one


class Candidate(Struct, frozen=True):
    """A ranked file: its score, its rough size in tokens, what it costs whole (0: it may not be) and by name, and what
    its folder costs, which is spelled once for all names in it."""

    path: str
    score: float
    size: int
    whole: int
    name: int
    folder: int = 0


class Forms(Protocol):
    """Forms that are worked out only for the files that may get them; their cost in tokens, 0 when there is none."""

    def outline(self, path: str, most: int) -> int:
        """The cost of an outline of about `most` tokens."""
        ...

    def summary(self, path: str) -> int: ...
    def part(self, path: str, most: int) -> int:
        """The cost of the best part within `most` tokens."""
        ...


def by_value(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The order in which files are taken whole."""
    return [candidate for _, _, _, candidate in sorted(_whole_values(candidates, _odds(candidates)))]


Value = tuple[float, str, Literal["full", "part"], Candidate]  # the negative logarithm of the worth first


def _whole_values(candidates: Sequence[Candidate], odds: Sequence[float]) -> Iterator[Value]:
    for candidate, each in zip(candidates, odds, strict=True):
        yield _price(candidate.size) - each, candidate.path, "full", candidate


def _part_values(
    candidates: Sequence[Candidate], odds: Sequence[float], giants: Collection[str], size: int
) -> Iterator[Value]:
    for candidate, each in zip(candidates, odds, strict=True):
        if candidate.path in giants:
            yield _price(size) - each - math.log(PART_WORTH), candidate.path, "part", candidate


def _odds(candidates: Sequence[Candidate]) -> list[float]:
    """The logarithm of how likely each is needed."""
    top = max((each.score for each in candidates), default=0.0)
    odds = [math.exp(each.score - top) for each in candidates]
    total = math.fsum(odds)
    return [math.log(-math.expm1(-NEEDED * each / total) + 1e-30) for each in odds]


def _price(size: int) -> float:
    return math.log(size + SIZE_OFFSET)


def pack(
    candidates: Sequence[Candidate], budget: int, forms: Forms, pinned: Collection[str] = ()
) -> dict[str, ContextMode]:
    """The form of each file that is shown of `candidates` (best first); `pinned` ones come first if they fit."""
    modes: dict[str, ContextMode] = {}
    digests = max(int(LEAST_DIGESTS * budget), int(DIGEST_SHARE * budget) - DIGEST_START)
    if any(forms.summary(each.path) for each in candidates[:PART_RANK]):
        digests = int(SUMMARISED_SHARE * budget)
    room, part_size = budget - digests, min(int(PART_SHARE * budget), MOST_PART)
    giants = {each.path for each in candidates[:PART_RANK]} | {*pinned}
    giants &= {each.path for each in candidates if (each.whole or each.size) > room}
    odds = _odds(candidates)
    values = sorted([*_whole_values(candidates, odds), *_part_values(candidates, odds, giants, part_size)])
    used = _take((value for value in values if value[1] in pinned), budget, part_size, forms, modes)
    used += _take(values, room - used, part_size, forms, modes)
    rest = sorted((each for each in candidates if each.path not in modes), key=lambda each: each.path not in pinned)
    left = budget - used
    digests = max(digests, left // 2) if left > MUCH_LEFT * budget else digests
    used += _take_digests(rest, min(left, digests), forms, modes)
    modes |= dict.fromkeys(name_costs(rest, modes, budget - used), "name")
    return modes


def name_costs(candidates: Iterable[Candidate], shown: Collection[str], room: int) -> dict[str, int]:
    """What each name costs that still fits of those not `shown` otherwise: the first of a folder pays for it."""
    costs: dict[str, int] = {}
    folders: set[str] = set()
    for candidate in candidates:
        folder = candidate.path.rpartition("/")[0]
        cost = candidate.name + (candidate.folder if folder not in folders else 0)
        if candidate.path not in shown and cost <= room:
            costs[candidate.path] = cost
            folders.add(folder)
            room -= cost
    return costs


def _take(values: Iterable[Value], most: int, part_size: int, forms: Forms, modes: dict[str, ContextMode]) -> int:
    """Take in order each piece that still fits; the tokens taken."""
    taken = 0
    for _, path, mode, candidate in values:
        if path in modes:
            continue
        cost = candidate.whole
        if mode == "part":
            size = min(part_size, most - taken)
            cost = forms.part(path, size) if size >= LEAST_PART else 0
        if 0 < cost <= most - taken:
            modes[path] = mode
            taken += cost
    return taken


def _take_digests(rest: Iterable[Candidate], most: int, forms: Forms, modes: dict[str, ContextMode]) -> int:
    """A summary or an outline for the first files of `rest`, best first; the tokens taken."""
    taken, each, misses = 0, most // DIGESTS, 0
    for candidate in rest:
        if most - taken < candidate.name or misses == MOST_MISSES:
            break
        cost = forms.summary(candidate.path)
        mode: ContextMode = "summary" if cost else "outline"  # the outline stands in for a summary nobody made
        cost = cost or forms.outline(candidate.path, each)
        if 0 < cost <= most - taken:
            modes[candidate.path] = mode
            taken, misses = taken + cost, 0
        else:
            misses += 1
    return taken
