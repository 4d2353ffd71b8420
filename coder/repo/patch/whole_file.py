"""Whole files (a path line, then a fence with the content) to Edit values."""

from coder.repo.patch.edits import BadEdit, Edit, Hunk, Line
from coder.repo.patch.reply import Fence, Reply, open_fence


def read_file(path: str, fence: Fence, reply: Reply, start: int) -> tuple[Edit, int]:
    """The file whose content starts at line `start`, inside `fence`, and where it ends."""
    end = _closing(fence, reply, start)
    if end < 0:
        raise BadEdit("truncated", "the fence around the file is not closed: it was cut off", path)
    lines = tuple(Line("+", reply.lines[i], reply.cr[i]) for i in range(start, end))
    return Edit("whole file", "replace", path, (Hunk(lines),)), end + 1


def _closing(fence: Fence, reply: Reply, start: int) -> int:
    """The line that closes `fence`: one of its own length, else any that may (CommonMark lets it be longer). A file
    that shows longer fences than the one around it would else end at the first of them."""
    exact = _closed_at(fence, reply, start, longer=False)
    return exact if exact >= 0 else _closed_at(fence, reply, start, longer=True)


def _closed_at(fence: Fence, reply: Reply, start: int, longer: bool) -> int:
    """A fence with an info string inside opens a nested one, which takes the next closing line for itself: models
    write Markdown files into fences of the same length."""
    depth = 0
    for i in range(start, len(reply.lines)):
        inner = open_fence(reply.lines[i])
        if inner is None or not inner.mark.startswith(fence.mark):
            continue
        if inner.info:
            depth += 1
        elif depth:
            depth -= 1
        elif longer or inner.mark == fence.mark:
            return i
    return -1
