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
    """The line that closes `fence`. A fence with an info string inside opens a nested one, which takes the next
    closing line for itself: models write Markdown files into fences of the same length."""
    depth = 0
    for i in range(start, len(reply.lines)):
        inner = open_fence(reply.lines[i])
        if inner is None or not inner.mark.startswith(fence.mark[0]):
            continue
        if fence.closed_by(reply.lines[i]):
            if depth == 0:
                return i
            depth -= 1
        elif inner.info and len(inner.mark) >= len(fence.mark):
            depth += 1
    return -1
