"""Cells in columns: as wide as what they hold while the screen has room for it, else wrapped within their columns."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from rich.cells import cell_len

from coder.tui.lines import Line, Span, plain, wrap

Side = Literal["left", "right", "middle"]

LEAST = 6  # cells; in narrower columns words fall apart
_BETWEEN: Span = (" │ ", "faint")
_CROSSING = "─┼─"


def table_rows(rows: Sequence[Sequence[Line]], sides: Sequence[Side], width: int) -> list[Line] | None:
    """The cells of `rows`, the head first, below each other; None where `width` is too small for so many columns."""
    columns = max(map(len, rows))
    widths = [max(1, *(cell_len(plain(row[at])) for row in rows if at < len(row))) for at in range(columns)]
    room = width - cell_len(_CROSSING) * (columns - 1)
    most = next((most for most in range(room, 0, -1) if sum(min(each, most) for each in widths) <= room), 0)
    if most < min(LEAST, max(widths)):
        return None
    widths = [min(each, most) for each in widths]
    rule: Line = ((_CROSSING.join("─" * each for each in widths), "faint"),)
    head, *others = (_row(row, sides, widths) for row in rows)
    return [*head, rule, *(line for lines in others for line in lines)]


def _row(cells: Sequence[Line], sides: Sequence[Side], widths: Sequence[int]) -> list[Line]:
    folded = [wrap(cell, width) for cell, width in zip(cells, widths, strict=False)]
    folded += [[()]] * (len(widths) - len(folded))
    lines: list[Line] = []
    for parts in zip_longest(*folded, fillvalue=()):
        line: list[Span] = []
        for at, (part, width) in enumerate(zip(parts, widths, strict=True)):
            side = sides[at] if at < len(sides) else "left"
            line += [*([_BETWEEN] if at else []), *_placed(part, side, width)]
        lines.append(tuple(line))
    return lines


def _placed(part: Line, side: Side, width: int) -> Line:
    part = _without_end(part)
    free = max(0, width - cell_len(plain(part)))
    before = {"left": 0, "right": free, "middle": free // 2}[side]
    return ((" " * before, ""), *part, (" " * (free - before), ""))


def _without_end(part: Line) -> Line:
    """Without the spaces at its end, which a break leaves there."""
    while part and not part[-1][0].rstrip():
        part = part[:-1]
    return (*part[:-1], (part[-1][0].rstrip(), part[-1][1])) if part else ()
