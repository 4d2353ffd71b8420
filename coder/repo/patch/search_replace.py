"""SEARCH/REPLACE blocks (`<<<<<<< SEARCH`, `=======`, `>>>>>>> REPLACE`) to Edit values.

Markers count only at column 0: an indented row of equals signs is text. The two sides become a line diff, so that a
line which both sides share is context and keeps the file's own bytes.
"""

import re
from difflib import SequenceMatcher

from coder.repo.patch.edits import BadEdit, Edit, Hunk, Line
from coder.repo.patch.elision import is_elision
from coder.repo.patch.names import Known, path_above
from coder.repo.patch.reply import Reply

_SEARCH = re.compile(r"<{5,9} ?(?:SEARCH|ORIGINAL)\b>?[^\S\n]*(.*)$")
_DIVIDER = re.compile(r"={5,9}\s*$")
_REPLACE = re.compile(r">{5,9} ?(?:REPLACE|UPDATED)\b\s*$")
Side = tuple[str, bool]  # a line, and whether it ended in CR LF

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
    lines: list[Line] = []
    old_from = new_from = 0
    for old_to, new_to in zip(*marks, strict=True):
        lines += [*_diff(old[old_from:old_to], new[new_from:new_to]), Line(" ", *old[old_to])]
        old_from, new_from = old_to + 1, new_to + 1
    return lines + _diff(old[old_from:], new[new_from:])


def _diff(old: list[Side], new: list[Side]) -> list[Line]:
    """What both sides share at the start is matched before what they share at the end, so that an insertion between
    equal lines stands as far down as possible, as git puts it."""
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    lines = [Line(" ", *side) for side in old[:head]]
    long = len(middle_new) > _LONG
    matcher = SequenceMatcher(None, [text for text, _ in middle_old], [text for text, _ in middle_new], autojunk=long)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            lines += [Line(" ", *side) for side in middle_old[old_from:old_to]]
        else:
            lines += [Line("-", *side) for side in middle_old[old_from:old_to]]
            lines += [Line("+", *side) for side in middle_new[new_from:new_to]]
    return lines + [Line(" ", *side) for side in old[len(old) - tail :]]


def _shared(one: list[Side], other: list[Side]) -> int:
    """How many lines both begin with."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (left, right) in enumerate(pairs) if left[0] != right[0]), min(len(one), len(other)))
