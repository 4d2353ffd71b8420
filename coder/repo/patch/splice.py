"""Placed hunks to the new text of a file: only the changed lines are touched, each with the line end that fits."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from coder.repo.patch.edits import BadEdit, Line
from coder.repo.patch.indent import Pairs, learn
from coder.repo.patch.levels import matched_indents
from coder.repo.patch.match import Target
from coder.repo.patch.place import Placed
from coder.repo.patch.regions import regions
from coder.repo.patch.text import BOM, FileText


class Change(Struct, frozen=True):
    """File lines `start` to `stop` (0-based, half open) give way to the added lines."""

    start: int
    stop: int
    added: tuple[Line, ...]


def changes_of(placed: Placed, target: Target, taught: Pairs) -> list[Change]:
    """The changed runs of a hunk. Raises Unplaced where it stays open on which side of a line to insert.

    `taught` is what the other hunks of the edit tell about indentation, for one that has none to compare.
    """
    reindent = _reindenter(placed, target, taught)
    runs: list[list[Line]] = []
    before = " "
    for line in placed.hunk.lines:
        if line.kind != " " and before == " ":
            runs.append([])
        if line.kind == "+":
            text = reindent(line.text)
            runs[-1].append(line if text == line.text else line._replace(text=text))
        before = line.kind
    places = regions(placed.hunk, placed.rows)
    return [Change(start, stop, tuple(added)) for (start, stop), added in zip(places, runs, strict=True)]


def _reindenter(placed: Placed, target: Target, taught: Pairs) -> Callable[[str], str]:
    """What the matched lines teach about indentation, for lines that did not match to the letter."""
    own = placed.indents
    if own is None and taught:
        own = matched_indents(placed.hunk, placed.rows, target)
    if own and any(edit or there for edit, there in own):
        return learn(own) if placed.indents is not None else _as_is
    kept = all(edit or not there for edit, there in taught)  # no rule for lines without indentation, which match as is
    return learn(taught) if kept else _as_is


def _as_is(text: str) -> str:
    return text


def merged(changes: Sequence[Change]) -> list[Change]:
    """All changes of a file in its order; the same change asked twice is made once. Raises ValueError on a conflict."""
    result: list[Change] = []
    for change in sorted(dict.fromkeys(changes), key=lambda change: (change.start, change.stop)):
        if result and change.start < result[-1].stop:
            raise ValueError(f"two hunks change line {change.start + 1}")
        result.append(change)
    return result


def spliced(file: FileText, changes: Sequence[Change], literal_ends: bool) -> FileText:
    """The file with the changes made. Line ends of added lines follow their surroundings, or, with `literal_ends`,
    the edit."""
    lines: list[str] = []
    ends: list[str] = []
    at = 0
    for change in changes:
        lines += file.lines[at : change.start]
        ends += file.ends[at : change.start]
        for number, line in enumerate(change.added):
            _check_encoding(file, line)
            end = ("\r\n" if line.cr else "\n") if literal_ends else _end_for(file, change, number)
            lines.append(line.text.removesuffix("\r") if end == "\r" else line.text)
            ends.append(end)
        at = change.stop
    lines += file.lines[at:]
    ends += file.ends[at:]
    return replace(file, lines=tuple(lines), ends=tuple(ends))


def _end_for(file: FileText, change: Change, number: int) -> str:
    """The end of the line that is replaced, else of the line above, else of the one below, else the usual one."""
    replaced = min(change.start + number, change.stop - 1)
    for i in (replaced, change.start - 1, change.stop):
        if 0 <= i < len(file.ends) and file.ends[i]:
            return file.ends[i]
    return file.main_end


def with_last_end(file: FileText, newline: bool) -> FileText:
    """The file with or without a newline after its last line; every other line ends in one."""
    if not file.lines:
        return file
    main = file.main_end
    ends = [end or main for end in file.ends]
    ends[-1] = (file.ends[-1] or main) if newline else ""
    return replace(file, ends=tuple(ends))


def _check_encoding(file: FileText, line: Line) -> None:
    text = line.text.removeprefix(BOM)  # the mark is the file's, whatever its encoding turns out to be
    if not file.utf8 and not text.isascii() and not any("\udc80" <= c <= "\udcff" for c in text):
        raise BadEdit("malformed", "the file is not UTF-8: an added line with non-ASCII characters would mix encodings")


def with_bom_of(file: FileText, before: FileText, lines: Sequence[Line]) -> FileText:
    """The byte order mark is kept, unless the hunk lines take it away or put it there themselves."""
    removed = any(line.kind == "-" and line.text.startswith(BOM) for line in lines)
    if file.lines and file.lines[0].startswith(BOM):
        return replace(file, lines=(file.lines[0][1:], *file.lines[1:]), bom=True)
    return replace(file, bom=before.bom and not removed)
