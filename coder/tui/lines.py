"""Lines of styled text and the view that scrolls them: the ground under the conversation, the diff and the lists.

A line is spans of plain text with style names (`coder.tui.theme`). Nothing here reads markup; what draws untrusted
text passes it through `coder.text.visible` when it makes the spans.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip

from coder.tui.theme import Palette, palette

Span = tuple[str, str]
Line = tuple[Span, ...]

_WORD = re.compile(r"\s*\S+\s*|\s+")
TAB = 4
KEPT_LINES = 3_000  # drawn lines kept by a view; one weighs a few kilobytes


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


def clip_middle(text: str, width: int) -> str:
    """`text` cut in its middle, for names whose two ends tell them apart; most of what is kept is the end."""
    if cell_len(text) <= width:
        return text
    head = max(0, width - 1) // 3
    return chop_cells(text, head)[0] + clip_left(text, width - head) if head else clip_left(text, width)


def strip_of(line: Iterable[Span], colors: Palette, under: str = "") -> Strip:
    """A line as Textual draws it, on top of the style `under`."""
    prefix = f"{under} " if under else ""
    return Strip([Segment(text, colors.style(f"{prefix}{style}".strip())) for text, style in line if text])


class LineView(ScrollView, inherit_bindings=False):
    """A scrolled column of lines of which only the visible are ever made. Subclasses give `line_at` and `row_count`.

    Paints by itself instead of through Textual's style cache, which forgets every row when one is scrolled: a line
    once drawn is drawn for good, whichever row it moves to. So no border, tint or vertical padding works here.
    """

    ALLOW_SELECT = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._base = Style.null()
        self._styles_by_name: dict[str, Style] = {}
        self._drawn: dict[Line, Strip] = {}
        self._drawn_for: tuple[object, ...] = ()
        self._thumb: tuple[int, ...] = ()

    def line_at(self, y: int) -> Line:
        """The row `y`, counted from the top of the content."""
        raise NotImplementedError

    def row_count(self) -> int:
        raise NotImplementedError

    @property
    def content_width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def allow_vertical_scroll(self) -> bool:
        """Also before the scrollbar is there: it comes with the next layout, and what is told meanwhile is followed."""
        return True

    # ── scrolling ──

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        self.move_thumb()
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    def move_thumb(self) -> None:
        """Paint the scrollbar again if it looks otherwise now. Textual would at each step, which takes longer than the
        text does; in a long text few steps move it."""
        if not self.show_vertical_scrollbar:
            return
        bar, (height, total) = self.vertical_scrollbar, (self.size.height, max(1, self.virtual_size.height))
        bar.set_reactive(ScrollBar.window_virtual_size, total)
        bar.set_reactive(ScrollBar.position, self.scroll_y)
        ends = (self.scroll_y, self.scroll_y + self.container_size.height)
        thumb = tuple(round(8 * height * end / total) for end in ends)  # it is drawn in eighths of a row
        if thumb != self._thumb:
            self._thumb = thumb
            bar.refresh()

    # ── painting ──

    def render_lines(self, crop: Region) -> list[Strip]:
        self._prepare()
        top, count = self.scroll_offset.y, self.row_count()
        width = self.outer_size.width
        strips = [
            self._draw(self.line_at(top + y)) if top + y < count else Strip.blank(width, self._base)
            for y in crop.line_range
        ]
        if self.text_selection is not None:
            strips = [self._selected(strip, top + y) for strip, y in zip(strips, crop.line_range, strict=True)]
        if crop.column_span != (0, width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """One row with the marks by which Textual finds the text under the mouse; not used for painting."""
        self._prepare()
        top = self.scroll_offset.y + y
        if not 0 <= top < self.row_count():
            return Strip.blank(self.content_width, self._base)
        line = self.line_at(top)
        return Strip([Segment(text, self._ink(style)) for text, style in line]).apply_offsets(0, top)

    def _prepare(self) -> None:
        """Forget what was drawn for another theme, background or width."""
        base, width = self.rich_style, self.outer_size.width
        drawn_for = (base, width, self.content_width, self.app.theme)
        if drawn_for != self._drawn_for or len(self._drawn) > KEPT_LINES:
            self._drawn_for, self._base = drawn_for, base
            self._drawn.clear()
            self._styles_by_name.clear()

    def _ink(self, names: str) -> Style:
        style = self._styles_by_name.get(names)
        if style is None:
            inks = palette(self.app.theme, self.app.console.color_system)
            style = self._styles_by_name[names] = self._base + inks.style(names)
        return style

    def _draw(self, line: Line) -> Strip:
        strip = self._drawn.get(line)
        if strip is None:
            left, width = self.styles.padding.left, self.outer_size.width
            segments = [Segment(" " * left, self._base)] if left else []
            segments += [Segment(text, self._ink(style)) for text, style in line if text]
            strip = Strip(segments).crop_extend(0, width, self._base)
            self._drawn[line] = strip
        return strip

    # ── selecting ──

    def _selected(self, strip: Strip, y: int) -> Strip:
        selection = self.text_selection
        span = selection.get_span(y) if selection is not None else None
        if span is None:
            return strip
        start, end = span
        left = self.styles.padding.left
        text = strip.text[left:].rstrip() if end == -1 else strip.text[left:]
        first, last = (left + cell_len(text[:at]) for at in (start, len(text) if end == -1 else end))
        parts = strip.divide([first, max(first, last), strip.cell_length])
        style = self.screen.get_component_rich_style("screen--selection")
        marked = [Segment(text, (old or style) + style) for text, old, _ in parts[1]]
        return Strip.join([parts[0], Strip(marked), *parts[2:]])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        text = "\n".join(plain(self.line_at(y)).rstrip() for y in range(self.row_count()))
        return selection.extract(text), "\n"
