"""What the terminal shows, cell by cell, so that only changes are written to it; what only moved, it scrolls itself.

Reads the updates that Textual's compositor writes: cursor moves, colours, text. Anything else passes through as it is.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest

from rich.cells import cell_len, get_character_cell_size

Cell = tuple[str, str]  # a character ("" for the right half of a wide one) and its colours and weight (SGR)
Row = list[Cell | None]  # None: unknown
Piece = tuple[int, int, list[Cell], bool]  # row, column, cells, whether some of them are wide

_TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|(\r?\n)|([^\x1b\r\n]+)|[\x1b\r]")
_MOST_SHIFT = 20  # rows
_FEWEST_MOVED = 5  # rows for which a scroll is worth its bytes
_EDGE = 4  # cells at the right edge, where a scrollbar does not move with the text
_GAP = 8  # unchanged cells that cost less to write than a cursor move does


class Frame:
    """`update` takes what Textual would write and gives what has to be written."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._wide: set[int] = set()  # rows that may have wide characters

    def forget(self) -> None:
        """Somebody else may have drawn on the terminal, or it has another size: everything is unknown."""
        self._rows.clear()
        self._wide.clear()

    def update(self, data: str) -> str:
        """Shorter output with the same effect. What is not understood is given back whole."""
        drawn = _read(data)
        if drawn is None:
            if _draws(data):
                self.forget()
            return data
        pieces, cursor = drawn
        if not pieces:
            return data
        new = self._new_rows(pieces)
        out = [self._scroll(new)]
        pen = ""
        for y in sorted(new):
            for x, cells in self._changes(y, new[y]):
                text, pen = _drawing(cells, pen)
                out.append(f"\x1b[{y + 1};{x + 1}H{text}")
        self._rows.update(new)
        if pen:
            out.append("\x1b[0m")
        out.append(f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H")
        return "".join(out)

    def _new_rows(self, pieces: list[Piece]) -> dict[int, Row]:
        """The rows that the pieces touch, as they will be."""
        new: dict[int, Row] = {}
        for y, x, cells, wide in pieces:
            if wide:
                self._wide.add(y)
            row = new.get(y)
            if row is None:
                row = new[y] = list(self._rows.get(y, ()))
            if len(row) < x + len(cells):
                row.extend([None] * (x + len(cells) - len(row)))
            row[x : x + len(cells)] = cells
        return new

    def _changes(self, y: int, new: Row) -> Iterator[tuple[int, Row]]:
        """The stretches of a row to be written. One with a wide character is written whole: terminals disagree."""
        old = self._rows.get(y, [])
        if old == new:
            return
        if y in self._wide:
            if any(cell is not None and len(cell[0]) != 1 for cell in (*old, *new)):
                yield from _known(0, new)
                return
            self._wide.discard(y)
        yield from _differences(old, new)

    def _scroll(self, new: dict[int, Row]) -> str:
        """Let the terminal move the rows that are there already, higher or lower; "" where that does not pay."""
        old = self._rows
        changed = [y for y in new if new[y] != old.get(y)]
        if len(changed) < _FEWEST_MOVED:
            return ""
        best: tuple[int, int, int, int] = (0, 0, 0, 0)  # how many move, by how many rows, from, to
        were = {y: hash(tuple(row[:-_EDGE])) for y, row in old.items()}
        become = [(y, hash(tuple(new[y][:-_EDGE]))) for y in changed]
        for shift in (*range(1, _MOST_SHIFT), *range(-1, -_MOST_SHIFT, -1)):
            moved = [y for y, key in become if were.get(y + shift) == key]
            if len(moved) > best[0]:
                best = (len(moved), shift, min(moved), max(moved))
        count, shift, first, last = best
        if count < max(_FEWEST_MOVED, len(changed) // 2):
            return ""
        top, bottom = min(first, first + shift), max(last, last + shift)
        before = {y: old.get(y, [None]) for y in range(top, bottom + 1)}
        new |= {y: list(row) for y, row in before.items() if y not in new}  # moved too, so to be drawn again
        if any(None in new[y] for y in before):
            return ""
        old.update((y, before.get(y + shift, [])) for y in before)
        if not self._wide.isdisjoint(before):
            self._wide.update(before)
        return f"\x1b[{top + 1};{bottom + 1}r\x1b[{abs(shift)}{'S' if shift > 0 else 'T'}\x1b[r"


def _differences(old: Row, new: Row) -> Iterator[tuple[int, Row]]:
    start = end = -1
    for x, (before, cell) in enumerate(zip_longest(old[: len(new)], new)):
        if before == cell:
            continue
        if start >= 0 and x - end > _GAP:
            yield from _known(start, new[start : end + 1])
            start = -1
        start = x if start < 0 else start
        end = x
    if start >= 0:
        yield from _known(start, new[start : end + 1])


def _read(data: str) -> tuple[list[Piece], tuple[int, int]] | None:
    """The text that is drawn, and where the cursor ends; None for what is not understood."""
    pieces: list[Piece] = []
    x, y, pen, placed = 0, 0, "", False
    for token in _TOKEN.finditer(data):
        row, column, style, newline, text = token.groups()
        if text is not None:
            if not placed:
                return None
            wide = not _is_simple(text)
            cells = _wide_cells(text, pen) if wide else [(character, pen) for character in text]
            pieces.append((y, x, cells, wide))
            x += len(cells)
        elif style is not None:
            pen = "" if style in ("", "0") else style
        elif row is not None:
            x, y, placed = int(column) - 1, int(row) - 1, True
        elif newline is not None:
            x, y = 0, y + 1
        else:
            return None
    return pieces, (y, x)


def _draws(data: str) -> bool:
    """Whether more than modes and questions is written: text, or something that moves text."""
    return (
        re.sub(r"\x1b(\[[?>=<]?[\d;$]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78])|\x07", "", data) != ""
    )


def _is_simple(text: str) -> bool:
    """Whether each character takes one cell."""
    return text.isascii() or len(text) == cell_len(text) == sum(map(get_character_cell_size, text))


def _wide_cells(text: str, pen: str) -> list[Cell]:
    cells: list[Cell] = []
    for character in text:
        width = get_character_cell_size(character)
        if width:
            cells.append((character, pen))
            cells += [("", pen)] * (width - 1)
        elif cells:
            cells[-1] = (cells[-1][0] + character, pen)
    return cells


def _known(start: int, cells: Row) -> Iterator[tuple[int, Row]]:
    """The stretches of known cells; unknown ones were never drawn by us."""
    at = 0
    while at < len(cells):
        end = at
        while end < len(cells) and cells[end] is not None:
            end += 1
        if end > at:
            yield start + at, cells[at:end]
        at = end + 1


def _drawing(cells: Row, pen: str) -> tuple[str, str]:
    """What draws cells (all known) with a pen that has the style `pen`, and the style it has then."""
    out: list[str] = []
    for cell in cells:
        assert cell is not None
        character, style = cell
        if style != pen:
            out.append(_turn(pen, style))
            pen = style
        out.append(character)
    return "".join(out), pen


@cache
def _turn(old: str, new: str) -> str:
    """The shortest change of pen."""
    had, has = _parts(old), _parts(new)
    if not had[0] <= has[0]:
        return f"\x1b[0;{new}m" if new else "\x1b[0m"
    codes = [*sorted(has[0] - had[0])]
    codes += [
        after or reset for before, after, reset in zip(had[1:], has[1:], ("39", "49"), strict=True) if before != after
    ]
    return f"\x1b[{';'.join(codes)}m"


@cache
def _parts(style: str) -> tuple[frozenset[str], str, str]:
    """Weight and the like, colour, background."""
    codes = style.split(";") if style else []
    weight: set[str] = set()
    colors = {"3": "", "4": ""}
    while codes:
        code = codes.pop(0)
        if code in ("38", "48"):
            length = {"2": 4, "5": 2}.get(codes[0] if codes else "", 0)
            colors[code[0]] = ";".join([code, *codes[:length]])
            del codes[:length]
        elif (ground := _ground(code)) is not None:
            colors[ground] = code
        else:
            weight.add(code)
    return frozenset(weight), colors["3"], colors["4"]


def _ground(code: str) -> str | None:
    """ "3" for a code that sets the colour, "4" for one that sets the background."""
    number = int(code) if code.isdecimal() else 0
    if 30 <= number <= 39 or 90 <= number <= 97:
        return "3"
    return "4" if 40 <= number <= 49 or 100 <= number <= 107 else None
