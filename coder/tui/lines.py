"""Lines of styled text and the view that scrolls them: the ground under the conversation, the diff and the lists.

A line is spans of plain text with style names (`coder.tui.theme`). Nothing here reads markup; what draws untrusted
text passes it through `coder.text.visible` when it makes the spans.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from coder.tui.theme import Palette, palette

Span = tuple[str, str]
Line = tuple[Span, ...]

_WORD = re.compile(r"\s*\S+\s*|\s+")
TAB = 4


def plain(line: Iterable[Span]) -> str:
    return "".join(text for text, _ in line)


def expand_tabs(text: str, start: int = 0) -> str:
    """`text` with tabs as spaces up to the next multiple of TAB columns, counted from `start`."""
    if "\t" not in text:
        return text
    parts, column = [], start
    for piece in text.split("\t"):
        column += cell_len(piece)
        gap = TAB - column % TAB
        parts += [piece, " " * gap]
        column += gap
    return "".join(parts[:-1])


def break_offsets(text: str, width: int) -> list[int]:
    """Where to break `text` so that no row is wider than `width` cells; spaces may hang over the edge."""
    offsets: list[int] = []
    column = 0
    for match in _WORD.finditer(text):
        word = match.group()
        size = cell_len(word.rstrip())
        if column and column + size > width:
            offsets.append(match.start())
            column = 0
        if size > width:
            rows = chop_cells(word, width)
            ends = list(accumulate(len(row) for row in rows))
            offsets += [match.start() + end for end in ends[:-1]]
            column = cell_len(rows[-1])
        else:
            column += cell_len(word)
    return offsets


def cut(line: Sequence[Span], offsets: Sequence[int]) -> list[Line]:
    """`line` cut at character `offsets` (ascending)."""
    rows: list[Line] = []
    row: list[Span] = []
    bounds = list(offsets)
    position = 0
    for text, style in line:
        while bounds and bounds[0] <= position + len(text):
            head = bounds.pop(0) - position
            row.append((text[:head], style))
            rows.append(tuple(row))
            row, text, position = [], text[head:], position + head
        row.append((text, style))
        position += len(text)
    rows.append(tuple(row))
    return rows


def wrap(line: Sequence[Span], width: int, first: Span = ("", ""), rest: Span | None = None) -> list[Line]:
    """`line` as rows of at most `width` cells. `first` stands before the first row, `rest` (spaces) before others."""
    rest = (" " * cell_len(first[0]), "") if rest is None else rest
    text = plain(line)
    room = max(1, width - max(cell_len(first[0]), cell_len(rest[0])))
    if len(text) <= room and cell_len(text) <= room:
        return [(first, *line)] if first[0] else [tuple(line)]
    rows = cut(line, break_offsets(text, room))
    return [((first if number == 0 else rest), *row) for number, row in enumerate(rows)]


def wrap_text(text: str, style: str, width: int, first: Span = ("", ""), rest: Span | None = None) -> list[Line]:
    """Each line of a plain text (already visible) wrapped; tabs expanded."""
    rows: list[Line] = []
    for number, line in enumerate(text.split("\n")):
        lead = first if number == 0 else (rest or (" " * cell_len(first[0]), ""))
        rows += wrap(((expand_tabs(line), style),), width, lead, rest)
    return rows


def clip(text: str, width: int) -> str:
    """`text` cut to `width` cells, the cut announced by "…"."""
    if cell_len(text) <= width:
        return text
    return chop_cells(text, max(1, width - 1))[0] + "…" if width > 1 else "…"[:width]


def clip_left(text: str, width: int) -> str:
    """`text` cut at its start, for paths whose end says most."""
    if cell_len(text) <= width:
        return text
    return "…" + text[len(text) - max(0, width - 1) :] if width > 0 else ""


def strip_of(line: Iterable[Span], colors: Palette, under: str = "") -> Strip:
    """A line as Textual draws it, on top of the style `under`."""
    prefix = f"{under} " if under else ""
    return Strip([Segment(text, colors.style(f"{prefix}{style}".strip())) for text, style in line if text])


class LineView(ScrollView):
    """A scrolled column of lines of which only the visible are ever made. Subclasses give `row` and `row_count`."""

    ALLOW_SELECT = True

    def row(self, y: int) -> Strip:
        """The strip of the row `y`, counted from the top of the content."""
        raise NotImplementedError

    def row_count(self) -> int:
        raise NotImplementedError

    @property
    def inks(self) -> Palette:
        return palette(self.app.theme)

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        width = self.scrollable_content_region.width
        top = scroll_y + y
        if top >= self.row_count():
            return Strip.blank(width, self.rich_style)
        strip = self.row(top).apply_style(self.rich_style)
        selection = self.text_selection
        if selection is not None:
            strip = self._selected(strip, selection, top)
        return strip.crop_extend(scroll_x, scroll_x + width, self.rich_style).apply_offsets(scroll_x, top)

    def _selected(self, strip: Strip, selection: Selection, y: int) -> Strip:
        span = selection.get_span(y)
        if span is None:
            return strip
        start, end = span
        text = strip.text
        cells = [cell_len(text[:start]), cell_len(text if end == -1 else text[:end])]
        parts = strip.divide([*cells, strip.cell_length])
        style = self.screen.get_component_rich_style("screen--selection")
        marked = [Segment(text, (old or style) + style) for text, old, _ in parts[1]] if len(parts) > 1 else []
        return Strip.join([parts[0], Strip(marked), *parts[2:]])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        text = "\n".join(self.row(y).text.rstrip() for y in range(self.row_count()))
        return selection.extract(text), "\n"
