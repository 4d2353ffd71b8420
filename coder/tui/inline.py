"""The screen under the prompt: the lower part of the terminal, below what stood there; the last picture stays.

The frame's absolute rows are moved down; room is made by new lines, so that nothing is overwritten.
"""

import os
import re
import shutil
from typing import Any

from coder.tui.driver import LEAST_COLUMNS, ScreenDriver
from coder.tui.terminal import RESTORE

FEWEST = 15  # rows; what every screen is made for
_ON, _OFF = "\x1b[?1049h", "\x1b[?1049l"  # the alternate screen, which is not used
_BELOW = "\x1b[999;1H\r\n"  # the line below the picture
_PLACE = re.compile(r"\x1b\[(\d+);(\d+)([Hr])")  # to a cell; the rows that scroll


class InlineDriver(ScreenDriver):
    """Takes three fifths of the terminal's rows. After a resize nobody knows what stands where: all is drawn anew."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._whole = os.terminal_size((0, 0))  # the terminal's columns and rows when room was made
        self._terminal.undo = RESTORE.replace(_OFF.encode(), _BELOW.encode())

    def forget(self) -> None:
        super().forget()
        if self._terminal.taken and self._whole not in ((0, 0), self._terminal_size()):
            self._take_room()
            self.write("\x1b[2J")

    def _get_terminal_size(self) -> tuple[int, int]:
        size = self._terminal_size()
        return max(LEAST_COLUMNS, size.columns), _rows_of(size.lines)

    def _terminal_size(self) -> os.terminal_size:
        """Of the terminal itself: what LINES says would not be where its last row is."""
        try:
            return os.get_terminal_size(self._terminal.fd)
        except OSError:
            return shutil.get_terminal_size()

    def _query_in_band_window_resize(self) -> None:
        """Its reports would be of the whole terminal."""

    def _placed(self, data: str) -> str:
        if data == _ON:
            return "\n" * self._take_room()
        if data == _OFF:
            self._whole = os.terminal_size((0, 0))
            return _BELOW
        if _PLACE.search(data) and self._is_too_high():
            super().forget()
            return ""
        return _PLACE.sub(self._lower, data)

    def _is_too_high(self) -> bool:
        """Whether the screen is still laid out for a higher terminal: its last rows would scroll the others."""
        laid_out = self._app.screen_stack[-1].size.height if self._app.screen_stack else 0
        return laid_out > _rows_of(self._terminal_size().lines)

    def _take_room(self) -> int:
        """How many rows are taken from now on."""
        self._whole = self._terminal_size()
        rows = _rows_of(self._whole.lines)
        self.cursor_origin = (0, self._whole.lines - rows)  # for the mouse
        return rows

    def _lower(self, place: re.Match[str]) -> str:
        row, other, what = int(place[1]), int(place[2]), place[3]
        top = self.cursor_origin[1] if self.cursor_origin else 0
        return f"\x1b[{row + top};{other + top if what == 'r' else other}{what}"


def _rows_of(height: int) -> int:
    return min(height, max(FEWEST, height * 3 // 5))
