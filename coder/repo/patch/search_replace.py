"""SEARCH/REPLACE blocks (`<<<<<<< SEARCH`, `=======`, `>>>>>>> REPLACE`) to Edit values.

Markers count only at column 0: an indented row of equals signs is text. The two sides become a line diff, so that a
line which both sides share is context and keeps the file's own bytes.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher

from coder.repo.patch.edits import BadEdit, Edit, Hunk, Line
from coder.repo.patch.elision import is_elision
from coder.repo.patch.names import Known, path_above
from coder.repo.patch.reply import Reply

_SEARCH = re.compile(r"<{5,9} ?(?:SEARCH|ORIGINAL)\b>?[^\S\n]*(.*)$")
_DIVIDER = re.compile(r"={5,9}\s*$")
_REPLACE = re.compile(r">{5,9} ?(?:REPLACE|UPDATED)\b\s*$")
Side = tuple[str, bool]  # a line, and whether it ended in CR LF
Diff = Callable[[list[Side], list[Side]], list[Line]]

_LONG = 500  # lines; beyond that lines that are everywhere do not begin a match, or it takes too long


def starts_block(line: str) -> bool:
    return _SEARCH.match(line) is not None


def ends_block(line: str) -> bool:
    return _REPLACE.match(line) is not None


def read_block(reply: Reply, start: int, lowest: int, last_path: str, known: Known) -> tuple[Edit, int]:
    """The block at `start`, and where it ends. Its path line stands above it, not before line `lowest`;
    without one the block belongs to `last_path`."""
    path = path_above(reply.lines, start, lowest, known) or last_path
    divider = _find(_DIVIDER, reply, start + 1)
    end = _find(_REPLACE, reply, divider + 1) if divider > 0 else -1
    nested = _find(_SEARCH, reply, start + 1)
    if end < 0 or 0 < nested < end:
        raise BadEdit("truncated", "a SEARCH/REPLACE block has no end: it was cut off or lacks a marker", path)
    if not path:
        raise BadEdit("malformed", "a SEARCH/REPLACE block has no path line above it")
    divider = _only_divider(reply, divider, end, path)
    return _edit(path, _side(reply, start + 1, divider), _side(reply, divider + 1, end)), end + 1


def _find(marker: re.Pattern[str], reply: Reply, start: int) -> int:
    return next((i for i in range(start, len(reply.lines)) if marker.match(reply.lines[i])), -1)


def _only_divider(reply: Reply, first: int, end: int, path: str) -> int:
    """Where several lines could be the divider, the one of the opening marker's usual length is it."""
    candidates = [i for i in range(first, end) if _DIVIDER.match(reply.lines[i])]
    if len(candidates) > 1:
        candidates = [i for i in candidates if len(reply.lines[i].strip()) == len("=======")] or candidates
    if len(candidates) > 1:
        raise BadEdit("malformed", "a SEARCH/REPLACE block has several dividers", path)
    return candidates[0]


def _side(reply: Reply, start: int, end: int) -> list[Side]:
    return [(reply.lines[i], reply.cr[i]) for i in range(start, end)]


def _edit(path: str, search: list[Side], replace: list[Side]) -> Edit:
    if not search:
        return Edit("SEARCH/REPLACE", "create", path, (Hunk(tuple(Line("+", *side) for side in replace)),))
    return Edit("SEARCH/REPLACE", "update", path, (Hunk(tuple(diff_lines(search, replace))),))


def diff_lines(old: list[Side], new: list[Side]) -> list[Line]:
    """Both sides as the lines of a hunk. Where both leave lines out at the same marks ("..."), these are one another's
    counterparts, and the diff is made between them."""
    marks = [[i for i, (text, _) in enumerate(side) if is_elision(text)] for side in (old, new)]
    if [old[i] for i in marks[0]] != [new[i] for i in marks[1]]:
        return _diff(old, new)
    return _between(list(zip(*marks, strict=True)), old, new, _diff)


def _between(pairs: list[tuple[int, int]], old: list[Side], new: list[Side], diff: Diff) -> list[Line]:
    """The diffs of what stands between counterparts, positions in `old` and `new`, and these themselves."""
    lines: list[Line] = []
    old_from = new_from = 0
    for old_to, new_to in pairs:
        lines += [*diff(old[old_from:old_to], new[new_from:new_to]), Line(" ", *old[old_to])]
        old_from, new_from = old_to + 1, new_to + 1
    return lines + diff(old[old_from:], new[new_from:])


def _diff(old: list[Side], new: list[Side]) -> list[Line]:
    """What both sides share at the start is matched before what they share at the end, so that an insertion between
    equal lines stands as far down as possible, as git puts it."""
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    landmarks = _landmarks(middle_old, middle_new) if len(middle_new) > _LONG else []
    middle = _between(landmarks, middle_old, middle_new, _matched)
    return [*(Line(" ", *side) for side in old[:head]), *middle, *(Line(" ", *side) for side in old[len(old) - tail :])]


def _matched(old: list[Side], new: list[Side]) -> list[Line]:
    lines: list[Line] = []
    long = len(new) > _LONG
    old_texts, new_texts = ([text for text, _ in side] for side in (old, new))
    if set(old_texts).isdisjoint(new_texts):  # as between most landmarks
        return [*(Line("-", *side) for side in old), *(Line("+", *side) for side in new)]
    matcher = SequenceMatcher(None, old_texts, new_texts, autojunk=long)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            lines += [Line(" ", *side) for side in old[old_from:old_to]]
        else:
            lines += [Line("-", *side) for side in old[old_from:old_to]]
            lines += [Line("+", *side) for side in new[new_from:new_to]]
    return lines


def _landmarks(old: list[Side], new: list[Side]) -> list[tuple[int, int]]:
    """Lines that occur once on either side, as many as stand in the same order: the counterparts of a patience diff
    (Bram Cohen), which splits what would take long as a whole."""
    once = [Counter(text for text, _ in side) for side in (old, new)]
    places = {text: i for i, (text, _) in enumerate(new) if once[1][text] == 1}
    pairs = [(i, places[text]) for i, (text, _) in enumerate(old) if once[0][text] == 1 and text in places]
    ends: list[int] = []  # the lowest position in `new` that a rising run of each length ends at
    chain: list[int] = []  # for each pair, the length of the longest run that it ends
    for _, j in pairs:
        at = bisect_left(ends, j)
        ends[at : at + 1] = [j]
        chain.append(at)
    found: list[tuple[int, int]] = []
    length = len(ends) - 1
    for pair, at in zip(reversed(pairs), reversed(chain), strict=True):
        if at == length and (not found or pair[1] < found[-1][1]):
            found.append(pair)
            length -= 1
    return found[::-1]


def _shared(one: list[Side], other: list[Side]) -> int:
    """How many lines both begin with."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (left, right) in enumerate(pairs) if left[0] != right[0]), min(len(one), len(other)))
