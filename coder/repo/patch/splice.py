"""Placed hunks to the new text of a file: only the changed lines are touched, each with the line end that fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from coder.repo.patch.edits import BadEdit, Line
from coder.repo.patch.indent import indent_of, learn
from coder.repo.patch.place import Placed, Unplaced
from coder.repo.patch.text import BOM, FileText


@dataclass(frozen=True, slots=True)
class Change:
    """File lines `start` to `stop` (0-based, half open) give way to the added lines."""

    start: int
    stop: int
    added: tuple[Line, ...]


def changes_of(placed: Placed, file: FileText) -> list[Change]:
    """The changed runs of a hunk. Raises Unplaced where it stays open on which side of a line to insert."""
    reindent = _reindenter(placed, file)
    changes: list[Change] = []
    row = 0
    lines = placed.hunk.lines
    i = 0
    while i < len(lines):
        if lines[i].kind == " ":
            row, i = row + 1, i + 1
            continue
        first = row
        added: list[Line] = []
        while i < len(lines) and lines[i].kind != " ":
            if lines[i].kind == "-":
                row += 1
            else:
                added.append(replace(lines[i], text=reindent(lines[i].text)))
            i += 1
        start, stop = _region(placed.rows, first, row)
        changes.append(Change(start, stop, tuple(added)))
    return changes


def _region(rows: tuple[int | None, ...], first: int, after: int) -> tuple[int, int]:
    removed = [row for row in rows[first:after] if row is not None]
    if removed:
        return removed[0], removed[-1] + 1
    above = rows[first - 1] if first > 0 else None
    below = rows[after] if after < len(rows) else None
    if above is not None and below is not None and below != above + 1:
        raise Unplaced("not_found", "a line that the edit does not mention stands where it inserts")
    if above is not None:
        return above + 1, above + 1
    if below is not None:
        return below, below
    if not rows:
        return 0, 0  # an empty file
    raise Unplaced("not_found", "no line next to the insertion is in the file")


def _reindenter(placed: Placed, file: FileText) -> Callable[[str], str]:
    """What the matched lines teach about indentation. Removed lines teach best: context may have lost the blank
    that its format puts before it, added and removed lines keep their sign."""
    if not placed.reindent:
        return lambda text: text
    pairs = {
        kind: [
            (indent_of(line.text), indent_of(file.lines[row]))
            for line, row in zip(placed.hunk.old, placed.rows, strict=True)
            if row is not None and line.kind == kind and line.text.strip() and file.lines[row].strip()
        ]
        for kind in (" ", "-")
    }
    if pairs["-"] and all(edit == there for edit, there in pairs["-"]):
        return lambda text: text
    return learn(pairs["-"] + pairs[" "])


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
            lines.append(line.text)
            ends.append(("\r\n" if line.cr else "\n") if literal_ends else _end_for(file, change, number))
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
    if any("\ud800" <= character < "\udc80" or "\udcff" < character <= "\udfff" for character in line.text):
        raise BadEdit("malformed", "an added line has half a character (a lone surrogate)")
    if not file.utf8 and not line.text.isascii() and not any("\udc80" <= c <= "\udcff" for c in line.text):
        raise BadEdit("malformed", "the file is not UTF-8: an added line with non-ASCII characters would mix encodings")


def with_bom_of(file: FileText, before: FileText, lines: Sequence[Line]) -> FileText:
    """The byte order mark is kept, unless the hunk lines take it away or put it there themselves."""
    removed = any(line.kind == "-" and line.text.startswith(BOM) for line in lines)
    if file.lines and file.lines[0].startswith(BOM):
        return replace(file, lines=(file.lines[0][1:], *file.lines[1:]), bom=True)
    return replace(file, bom=before.bom and not removed)
