"""Finds the edits in a reply, with prose and fences around them, and hands each to the parser of its format."""

import re
from dataclasses import dataclass, field

from msgspec import Struct

from coder.repo.patch import search_replace, unified, v4a, whole_file
from coder.repo.patch.edits import BadEdit, Edit
from coder.repo.patch.names import Known, path_above, path_in, path_in_info
from coder.repo.patch.reply import Fence, Reply, dedented, open_fence, unescaped

_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # the others stand for bytes: PEP 383
# The first line of an edit in a reply that indents all of it (a quotation, a list item).
_INDENTED_MARK = re.compile(
    r"([ \t]+)(?:\*\*\* ?Begin Patch|\*\*\* ?(?:Update|Add|Delete) File:|diff --git |--- \S|<{5,9} ?SEARCH)"
)


class Reading(Struct, frozen=True):
    """The edits of a reply in its order, and what was not taken for one, in words for the user."""

    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()


def read_edits(text: str, known: Known, whole_files: bool = True) -> Reading:
    """All edits of the reply. Raises BadEdit for one that cannot be read.

    A reply that came escaped a second time is unescaped; one without an edit at column 0 is read again without its
    indentation. `whole_files=False` leaves out fenced files, which a reply may also show for illustration.
    """
    text = unescaped(text) or text
    if _HALF_CHARACTER.search(text):
        raise BadEdit("malformed", "the reply has half a character (a lone surrogate)")
    for variant in (text, dedented(text, _INDENTED_MARK)):
        if variant and (reading := _scan(Reply.of(variant), known, whole_files)).edits:
            return _without_illustrations(reading, known)
    return Reading(())


def _without_illustrations(reading: Reading, known: Known) -> Reading:
    """Where a reply edits in an explicit format, its fences show parts of files, unless one is the file's first."""
    if all(edit.action == "replace" for edit in reading.edits):
        return reading
    shown = [edit for edit in reading.edits if edit.action == "replace" and known(edit.path)]
    notes = [f"{edit.path}: a fenced text without edit marks was taken for an illustration" for edit in shown]
    return Reading(tuple(edit for edit in reading.edits if edit not in shown), (*reading.notes, *notes))


@dataclass
class _Scan:
    """Where the scan stands: inside which fence, and below which line the next path line may be."""

    edits: list[Edit] = field(default_factory=list)
    fence: Fence | None = None
    before_fence: int = 0  # how many edits there were when it opened
    lowest: int = 0
    last_path: str = ""
    notes: list[str] = field(default_factory=list)


def _scan(reply: Reply, known: Known, whole_files: bool) -> Reading:
    state = _Scan()
    i = 0
    while i < len(reply.lines):
        if (after := _read_edit(reply, i, known, state)) > i:
            i = state.lowest = after
            continue
        if state.fence is not None:
            if state.fence.closed_by(reply.lines[i]):
                state.fence = None
        elif fence := open_fence(reply.lines[i]):
            after = _read_whole_file(reply, i, fence, known, state) if whole_files else 0
            if after:
                i = state.lowest = after
                continue
            state.fence, state.before_fence = fence, len(state.edits)
        i += 1
    if state.fence is not None and any(edit.format != "V4A" for edit in state.edits[state.before_fence :]):
        raise BadEdit("truncated", "the fence around the edit is not closed: it was cut off", state.edits[-1].path)
    return Reading(tuple(state.edits), tuple(state.notes))


def _read_edit(reply: Reply, i: int, known: Known, state: _Scan) -> int:
    """Reads the edit that starts at line i; returns where it ends, or i if none starts here."""
    line = reply.lines[i]
    if search_replace.starts_block(line):
        edit, after = search_replace.read_block(reply, i, state.lowest, state.last_path, known)
        state.last_path = edit.path
        state.edits.append(edit)
        return after
    if v4a.starts_envelope(reply, i) or v4a.starts_file(line):
        stop, closed = _extent(reply, i, state.fence, known)
        edits, after = v4a.read_patch(reply, i, len(reply.lines) if v4a.starts_envelope(reply, i) else stop, closed)
    elif unified.starts_diff(reply, i):
        stop, closed = _extent(reply, i, state.fence, known)
        edits, after = unified.read_diff(reply, i, stop, closed)
    else:
        return i
    state.edits += edits
    return after


def _extent(reply: Reply, i: int, fence: Fence | None, known: Known) -> tuple[int, bool]:
    """Where an edit that starts at line i must end, and whether a closing fence says so."""
    if fence is not None and (end := reply.closing(fence, i)) >= 0:
        return end, True
    for j in range(i, len(reply.lines)):
        line = reply.lines[j]
        if search_replace.starts_block(line) or (fence is None and open_fence(line)):
            return _before_path_line(reply, i, j, known), False
    return len(reply.lines), False


def _before_path_line(reply: Reply, i: int, j: int, known: Known) -> int:
    """`j`, or the path line above it, which belongs to what starts at `j` rather than to the diff from `i` on."""
    above = j - 1
    while above > i and not reply.lines[above].strip():
        above -= 1
    line = reply.lines[above]
    return above if above > i and line[:1] not in " +-@\\" and path_in(line, known) else j


def _read_whole_file(reply: Reply, i: int, fence: Fence, known: Known, state: _Scan) -> int:
    """Reads the file that the fence at line i holds; 0 if the fence belongs to something else."""
    inside = i + 1
    while inside < len(reply.lines) and not reply.lines[inside].strip():
        inside += 1
    if inside < len(reply.lines) and _starts_any(reply, inside):
        return 0
    path = path_in_info(fence.info, known) or path_above(reply.lines, i, state.lowest, known, reach=1)
    if not path or _starts_block_soon(reply, i, fence):
        return 0
    edit, after = whole_file.read_file(path, fence, reply, i + 1)
    if any(search_replace.ends_block(line.text) for line in edit.hunks[0].lines):
        state.notes.append(f"{path}: a SEARCH/REPLACE block without its opening mark was left out")
        return 0
    state.edits.append(edit)
    return after


def _starts_any(reply: Reply, i: int) -> bool:
    line = reply.lines[i]
    return (
        search_replace.starts_block(line)
        or v4a.starts_envelope(reply, i)
        or v4a.starts_file(line)
        or unified.starts_diff(reply, i)
    )


def _starts_block_soon(reply: Reply, i: int, fence: Fence) -> bool:
    """Whether the fence wraps SEARCH/REPLACE blocks whose path line stands inside it."""
    end = reply.closing(fence, i + 1)
    soon = i + 5 if end < 0 else min(end, i + 5)
    return any(search_replace.starts_block(line) for line in reply.lines[i + 1 : soon])


def has_edit(text: str) -> bool:
    """Whether a reply carries an edit as text: a diff, a V4A patch or SEARCH/REPLACE blocks, even a damaged one.

    Files shown in a fence do not count; they may only illustrate.
    """
    try:
        return bool(read_edits(text, lambda name: False, whole_files=False).edits)
    except BadEdit:
        return True
