"""A proposal as rows of text: what each row of the diff stands for, how long lines fold, what must be marked loudly.

Pure: no widget, no colour. Every byte of the change is shown or its number said.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len, chop_cells

from coder.amounts import count
from coder.repo.diff import lines_of
from coder.text import hides_characters, visible, visible_line
from coder.tui.lines import TAB
from coder.values import FileDiff, Hunk

LONG_LINE = 2_000  # columns of one line shown at first
SPELLED = re.compile(r"<U\+[0-9A-F]{4,6}>|<[0-9A-F]{2}>|[\u2400-\u2421]")

_NOT_SIMPLE = re.compile(rb"[^\x20-\x7e\n]")  # what `visible` might change, or what is not one cell wide

Kind = Literal["gap", "file", "note", "hunk", "comment", "line", "pair"]


class DiffRow(Struct, frozen=True):
    """One row of the view. `line` is a position in the hunk (or in the notes), `part` the fold of it.

    In a pair `line` is the old side and `other` the new one; -1 where a side has nothing.
    """

    kind: Kind
    file: int
    hunk: int = -1
    line: int = 0
    part: int = 0
    other: int = -1


class DiffLine(Struct, frozen=True):
    """A line of a hunk: its sign, numbers (0: absent on that side), and text with tabs as spaces.

    `tabs` are the columns where a tab began, `loud` whether something in it would not be seen, `columns` its width.
    """

    sign: str
    old: int
    new: int
    text: str
    columns: int
    tabs: tuple[int, ...] = ()
    loud: bool = False


@dataclass
class FileText:
    """One file of the proposal with its lines made when they are first needed.

    `read` gives the content that the change began with, for the lines around a hunk; None where it is not at hand.
    """

    diff: FileDiff
    read: Callable[[str], bytes | None] = lambda path: None
    _lines: dict[int, tuple[DiffLine, ...]] = field(default_factory=dict)
    _around: dict[int, tuple[int, int]] = field(default_factory=dict)  # lines shown above and below, beyond its own
    edited: dict[int, Hunk] = field(default_factory=dict)

    def hunk(self, number: int) -> Hunk:
        """The hunk as proposed, or as the user rewrote it."""
        return self.edited.get(number) or self.diff.hunks[number]

    def rewrite(self, diff: FileDiff, edited: dict[int, Hunk]) -> None:
        """The file's hunks are those of `diff` now, or the user's own."""
        if diff is not self.diff:
            self._lines.clear()
            self._around.clear()
        for number in self.edited.keys() | edited.keys():
            self._lines.pop(number, None)
        self.diff, self.edited = diff, edited

    def lines(self, hunk: int) -> tuple[DiffLine, ...]:
        found = self._lines.get(hunk)
        if found is None:
            found = self._lines[hunk] = tuple(_lines(self._widened(hunk)))
        return found

    # ── the lines around a hunk ──

    def widen(self, hunk: int, by: int) -> bool:
        """Show `by` more lines on either side of a hunk (fewer if negative); whether that made a difference."""
        before = self._around.get(hunk, (0, 0))
        above, below = (min(max(0, shown + by), room) for shown, room in zip(before, self._room(hunk), strict=True))
        self._around[hunk] = above, below
        self._lines.pop(hunk, None)
        return (above, below) != before

    def _widened(self, number: int) -> Hunk:
        hunk, (above, below) = self.hunk(number), self._around.get(number, (0, 0))
        if not above and not below:
            return hunk
        first, last = self._borders(number)
        before = tuple(b" " + line for line in self._base[first - above : first])
        after = tuple(b" " + line for line in self._base[last : last + below])
        starts = hunk.old_start - above, hunk.new_start - above
        return replace(hunk, old_start=starts[0], new_start=starts[1], lines=(*before, *hunk.lines, *after))

    def _room(self, number: int) -> tuple[int, int]:
        """How many lines there are above and below that no other hunk shows."""
        first, last = self._borders(number)
        start, end = 0, len(self._base)
        if number:
            start = self._borders(number - 1)[1] + self._around.get(number - 1, (0, 0))[1]
        if number + 1 < len(self.diff.hunks):
            end = self._borders(number + 1)[0] - self._around.get(number + 1, (0, 0))[0]
        return max(0, first - start), max(0, end - last)

    def _borders(self, number: int) -> tuple[int, int]:
        """The lines of the old file that a hunk covers, as positions from 0 and up to the end."""
        hunk = self.diff.hunks[number]
        first = hunk.old_start - 1 if hunk.old_lines else hunk.old_start
        return first, first + hunk.old_lines

    @cached_property
    def _base(self) -> list[bytes]:
        content = None if self.diff.kind == "added" else self.read(self.diff.old_path)
        return lines_of(content or b"")

    @cached_property
    def title(self) -> str:
        """The path as git parsed it, every odd character spelled out."""
        path = visible_line(self.diff.path)
        moved = self.diff.old_path and self.diff.old_path != self.diff.path and self.diff.kind == "renamed"
        return f"{visible_line(self.diff.old_path)} → {path}" if moved else path

    @cached_property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What the reader must know before the hunks: (words, style)."""
        diff = self.diff
        notes: list[tuple[str, str]] = []
        if diff.protected:
            notes.append((f"PROTECTED  {visible_line(diff.protected)}", "alarm"))
        if hides_characters(diff.path):
            notes.append(("HIDDEN CHARACTERS in the path", "alarm"))
        loud = sum(line.loud for hunk in range(len(diff.hunks)) for line in self.lines(hunk))
        if loud:
            notes.append((f"HIDDEN CHARACTERS in {count(loud, 'line')}", "alarm"))
        long = [
            line.columns for hunk in range(len(diff.hunks)) for line in self.lines(hunk) if line.columns > LONG_LINE
        ]
        if long:
            notes.append(
                (f"LONG LINES  {count(len(long), 'line')}, up to {max(long):,} columns; w shows them whole", "warn")
            )
        if diff.old_mode and diff.new_mode and diff.old_mode != diff.new_mode:
            loud_mode = diff.new_mode.endswith("755")
            notes.append((f"mode {diff.old_mode} → {diff.new_mode}", "alarm" if loud_mode else "warn"))
        if diff.binary:
            notes.append(("binary file; its content is not shown", "warn"))
        elif not diff.hunks:
            notes.append(("no line changes", "muted"))
        return tuple(notes)


def _lines(hunk: Hunk) -> Iterator[DiffLine]:
    old, new = hunk.old_start, hunk.new_start
    simple = not any(map(_NOT_SIMPLE.search, hunk.lines))
    for raw in hunk.lines:
        decoded = raw.decode("utf-8", "surrogateescape")
        sign, body = decoded[:1], decoded[1:].removesuffix("\n")
        text, tabs, loud, columns = (body, (), False, len(body)) if simple else _visible(body)
        match sign:
            case "+":
                yield DiffLine("+", 0, new, text, columns, tabs, loud)
                new += 1
            case "-":
                yield DiffLine("-", old, 0, text, columns, tabs, loud)
                old += 1
            case "\\":
                yield DiffLine("\\", 0, 0, text.strip(), columns, tabs, loud)
            case _:
                yield DiffLine(" ", old, new, text, columns, tabs, loud)
                old, new = old + 1, new + 1


def _visible(body: str) -> tuple[str, tuple[int, ...], bool, int]:
    """A line as it is shown, where its tabs began, whether something in it would not be seen, and its width."""
    shown = visible(body)
    text, tabs = (shown, ()) if "\t" not in shown else _spread(shown)
    loud = shown != body and (hides_characters(body) or shown.rstrip("␍") != body.rstrip("\r"))
    return text, tabs, loud, len(text) if text.isascii() else cell_len(text)


def _spread(text: str) -> tuple[str, tuple[int, ...]]:
    """`text` with tabs as spaces, and the character positions where each began."""
    out: list[str] = []
    tabs: list[int] = []
    length = column = 0
    for number, piece in enumerate(text.split("\t")):
        if number:
            gap = TAB - column % TAB
            tabs.append(length)
            out.append(" " * gap)
            length, column = length + gap, column + gap
        out.append(piece)
        length, column = length + len(piece), column + cell_len(piece)
    return "".join(out), tuple(tabs)


def fold(text: str, columns: int, room: int, whole: bool) -> list[tuple[int, int]]:
    """The character ranges of each row of a line that is `columns` wide; cut at LONG_LINE unless `whole`."""
    if columns <= room:
        return [(0, len(text))]
    shown = text if whole or columns <= LONG_LINE else chop_cells(text, LONG_LINE)[0]
    if shown.isascii():
        return [(start, min(start + room, len(shown))) for start in range(0, max(1, len(shown)), room)]
    ranges, start = [], 0
    for piece in chop_cells(shown, room):
        ranges.append((start, start + len(piece)))
        start += len(piece)
    return ranges


def layout(
    files: list[FileText],
    room: int,
    *,
    whole: bool = False,
    split: bool = False,
    shows: Callable[[int, int], bool] = lambda file, hunk: True,
    comments: Callable[[int, int], str] = lambda file, hunk: "",
) -> list[DiffRow]:
    """All rows at `room` columns of text, old and new beside each other if `split`. `shows` filters places, `comments`
    says where a remark stands."""
    rows = [DiffRow("comment", -1)] if comments(-1, -1) else []
    for number, file in enumerate(files):
        hunks = [hunk for hunk in range(max(1, len(file.diff.hunks))) if shows(number, hunk)]
        if not hunks:
            continue
        if rows:
            rows.append(DiffRow("gap", number))
        rows.append(DiffRow("file", number))
        rows += [DiffRow("note", number, -1, line) for line in range(len(file.notes))]
        if comments(number, -1):
            rows.append(DiffRow("comment", number, -1))
        for hunk in hunks:
            rows.append(DiffRow("hunk", number, hunk))
            if comments(number, hunk):
                rows.append(DiffRow("comment", number, hunk))
            if hunk < len(file.diff.hunks):
                lay_out = _lay_out_pairs if split else _lay_out_lines
                lay_out(rows, number, hunk, file.lines(hunk), room, whole)
    return rows


def _lay_out_lines(
    rows: list[DiffRow], file: int, hunk: int, lines: tuple[DiffLine, ...], room: int, whole: bool
) -> None:
    for at, line in enumerate(lines):
        if line.columns <= room:
            rows.append(DiffRow("line", file, hunk, at))
        else:
            folds = len(fold(line.text, line.columns, room, whole))
            rows += [DiffRow("line", file, hunk, at, part) for part in range(folds)]
            if not whole and line.columns > LONG_LINE:
                rows.append(DiffRow("line", file, hunk, at, -1))  # says how much is not shown


def pairs(lines: tuple[DiffLine, ...]) -> list[tuple[int, int]]:
    """Positions that stand beside each other, old and new: context with itself, removed lines with added ones."""
    found: list[tuple[int, int]] = []
    removed: list[int] = []
    added: list[int] = []

    def close() -> None:
        found.extend(zip_longest(removed, added, fillvalue=-1))
        removed.clear()
        added.clear()

    for at, line in enumerate(lines):
        old_side = line.sign == "-" or (line.sign == "\\" and at > 0 and lines[at - 1].sign == "-")
        new_side = line.sign == "+" or (line.sign == "\\" and at > 0 and lines[at - 1].sign == "+")
        if old_side:
            if added:
                close()
            removed.append(at)
        elif new_side:
            added.append(at)
        else:
            close()
            found.append((at, at))
    close()
    return found


def _lay_out_pairs(
    rows: list[DiffRow], file: int, hunk: int, lines: tuple[DiffLine, ...], room: int, whole: bool
) -> None:
    for old, new in pairs(lines):
        sides = [lines[at] for at in dict.fromkeys((old, new)) if at >= 0]
        height = max(len(fold(line.text, line.columns, room, whole)) for line in sides)
        rows += [DiffRow("pair", file, hunk, old, part, new) for part in range(height)]
        if not whole:
            rows += [
                DiffRow("line", file, hunk, at, -1)
                for at in dict.fromkeys((old, new))
                if at >= 0 and lines[at].columns > LONG_LINE
            ]
