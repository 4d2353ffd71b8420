"""Widgets of one row, and a scrolled list of rows that a function makes for a width."""

from collections.abc import Callable

from textual import events
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from coder.tui.lines import Line, LineView, strip_of
from coder.tui.theme import palette

QUESTION = 0.6  # of the screen's height for what is read before an answer


class Row(Widget):
    """One row of spans, made anew for each paint."""

    _painted: Line | None = None

    def renew(self) -> None:
        """Paint it again if it says something else by now."""
        if self.line(self.size.width) != self._painted:
            self.refresh()

    def line(self, width: int) -> Line:
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y or not width:
            return Strip.blank(width, self.rich_style)
        self._painted = self.line(width)
        strip = strip_of(self._painted, palette(self.app.theme, self.app.console.color_system)).apply_style(
            self.rich_style
        )
        return strip.crop_extend(0, width, self.rich_style)


class RowsView(LineView, can_focus=False):
    """Rows that `make` gives for a width; made again on resize and when told to. The view wants to be as high as they
    are, but takes at most `share` of the screen: a max-height in the stylesheet would not make the box around it lower.
    """

    def __init__(self, make: Callable[[int], list[Line]], *, id: str | None = None, share: float = 1) -> None:
        super().__init__(id=id)
        self._make = make
        self._share = share
        self.rows: list[Line] = []

    def remake(self) -> None:
        width = self.content_width
        self.rows = self._make(width) if width > 0 else []
        self.virtual_size = Size(width, len(self.rows))
        self.refresh()

    def on_mount(self) -> None:
        self.remake()

    def on_resize(self, event: events.Resize) -> None:
        self.remake()

    def row_count(self) -> int:
        return len(self.rows)

    def line_at(self, y: int) -> Line:
        return self.rows[y]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return min(len(self._make(width)), max(1, int(viewport.height * self._share))) if width > 0 else 0
