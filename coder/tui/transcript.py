"""The view of the conversation's blocks: only what is in sight is laid out, so turn 500 costs what the first did."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from textual import events
from textual.geometry import Size

from coder.tui.blocks.block import Block
from coder.tui.lines import Line, LineView

KEPT_BLOCKS = 200  # blocks whose rows are kept
MAX_SETTLING = 50  # a view settles in two or three passes; blocks that never agree with themselves must not hang it


class Transcript(LineView, can_focus=False):
    """Blocks one below the other. Follows its end until the user scrolls away from it.

    Heights are exact for what has been seen at the present width, remembered or estimated for the rest.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.blocks: list[Block] = []
        self._heights: list[int] = []
        self._exact: list[bool] = []
        self._tops: list[int] = []
        self._kept: OrderedDict[int, list[Line]] = OrderedDict()
        self._width = 0
        self._following = True
        self._arriving: list[Block] | None = None

    # ── content ──

    @property
    def newest(self) -> Block | None:
        """The last block, laid out or still arriving."""
        arriving = self._arriving or self.blocks
        return arriving[-1] if arriving else None

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Many blocks at once (a session's past): nothing is laid out until they are all there."""
        self._arriving = []
        try:
            yield
        finally:
            arrived, self._arriving = self._arriving, None
            self.load(arrived)

    def add(self, block: Block) -> None:
        if self._arriving is not None:
            self._arriving.append(block)
            return
        self._tops.append(self._total())
        self.blocks.append(block)
        self._heights.append(0)
        self._exact.append(False)
        self._measure(len(self.blocks) - 1)
        self._resized()

    def load(self, blocks: list[Block]) -> None:
        """Append many blocks at once (a resumed session); only those in sight are laid out."""
        width = max(1, self._width)
        for block in blocks:
            self._tops.append(self._total())
            self.blocks.append(block)
            self._heights.append(block.gap + block.estimate(width))
            self._exact.append(False)
        self._resized()

    def changed(self, block: Block) -> None:
        """Lay out `block` again after it changed. Blocks change near the end, so the search starts there."""
        if self._arriving is not None and any(other is block for other in reversed(self._arriving)):
            return
        index = len(self.blocks) - 1 - next(i for i, other in enumerate(reversed(self.blocks)) if other is block)
        before, height = self._kept.get(index, []), self._heights[index]
        self._measure(index)
        after = self._kept[index]
        moved = self._heights[index] != height  # and with it all that is below
        if moved:
            self._resized()
        both = zip(before, after, strict=False)
        same = next((at for at, (old, new) in enumerate(both) if old != new), min(len(before), len(after)))
        top = self._tops[index]
        end = self.scroll_offset.y + self.size.height if moved else top + height
        self._refresh_rows(top + self.blocks[index].gap + same, end)

    def _refresh_rows(self, first: int, end: int) -> None:
        """Paint what is in sight of the rows from `first` to before `end`."""
        top = self.scroll_offset.y
        first, end = max(first, top), min(end, top + self.size.height)
        if first < end:
            self.refresh_lines(first, end - first)

    def clear(self) -> None:
        for column in (self.blocks, self._heights, self._exact, self._tops, self._kept):
            column.clear()
        self._resized()

    def toggle_folds(self) -> None:
        """Fold or unfold everything, by what the last foldable block is now."""
        last = next((block for block in reversed(self.blocks) if block.foldable), None)
        if last is None:
            return
        fold = not last.folded
        for index, block in enumerate(self.blocks):
            block.folded = fold if block.foldable else block.folded
            self._exact[index] = self._exact[index] and not block.foldable
        self._kept.clear()
        self._settle()
        self.refresh()

    # ── geometry ──

    def row_count(self) -> int:
        return self._total()

    def _total(self) -> int:
        return self._tops[-1] + self._heights[-1] if self._heights else 0

    def _measure(self, index: int) -> int:
        """Make the height of a block exact; the difference to what it was held to be."""
        block = self.blocks[index]
        rows = block.rows(max(1, self._width))
        self._kept[index] = rows
        self._kept.move_to_end(index)
        while len(self._kept) > KEPT_BLOCKS:
            self._kept.popitem(last=False)
        difference = block.gap + len(rows) - self._heights[index]
        self._heights[index] += difference
        self._exact[index] = True
        if difference:
            top = self._tops[index]
            for later in range(index, len(self._tops)):
                self._tops[later] = top
                top += self._heights[later]
        return difference

    def _resized(self) -> None:
        """The total height changed: tell Textual, and stay at the end if we were there."""
        self._tell_size()
        if self._following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self._settle()

    def _tell_size(self) -> None:
        """Textual lays the whole screen out for a new size; where the scrollbar stays, only its thumb changes."""
        size = Size(self._width, self._total())
        if self.show_vertical_scrollbar and size.height > self.container_size.height:
            self.set_reactive(Transcript.virtual_size, size)
            self.move_thumb()
        else:
            self.virtual_size = size

    def _settle(self) -> None:
        """Make exact what is in sight, keeping the rows at the top of the view (or the end, if followed) in place."""
        for _ in range(MAX_SETTLING):
            top, height = round(self.scroll_y), self.scrollable_content_region.height
            index = max(0, bisect_right(self._tops, top) - 1)
            while index < len(self.blocks) and self._tops[index] < top + height and self._exact[index]:
                index += 1
            if index >= len(self.blocks) or self._tops[index] >= top + height:
                return
            above = self._tops[index] < top
            difference = self._measure(index)
            if difference:
                self._tell_size()
                if self._following:
                    self.scroll_end(animate=False, immediate=True, x_axis=False)
                elif above:
                    self.scroll_to(y=top + difference, animate=False, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.is_attached:
            self._settle()

    def on_resize(self, event: events.Resize) -> None:
        width = self.content_width
        if width != self._width:
            self._width = width
            self._exact = [False] * len(self.blocks)
            self._kept.clear()
        self._resized()

    # ── drawing ──

    def line_at(self, y: int) -> Line:
        index = bisect_right(self._tops, y) - 1
        if index not in self._kept:
            self._measure(index)
        rows = self._kept[index]
        offset = y - self._tops[index] - self.blocks[index].gap
        return rows[offset] if 0 <= offset < len(rows) else ()

    # ── hands ──

    def _follow(self) -> None:
        self._following = self.scroll_target_y >= self.max_scroll_y

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._following = False

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.call_after_refresh(self._follow)

    def page(self, pages: float) -> None:
        """Scroll by a part of the height of the view."""
        step = round(pages * self.scrollable_content_region.height)
        self.scroll_to(y=self.scroll_y + step, animate=False, immediate=True)
        self._follow()

    def to_end(self) -> None:
        self._following = True
        self.scroll_end(animate=False, immediate=True, x_axis=False)

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        index = bisect_right(self._tops, y) - 1
        if event.chain != 1 or not 0 <= index < len(self.blocks) or y >= self._total():
            return
        block = self.blocks[index]
        if block.foldable and self.text_selection is None:
            block.folded = not block.folded
            self._following = self._following and block is self.blocks[-1]
            self.changed(block)
