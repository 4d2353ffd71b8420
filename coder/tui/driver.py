"""Textual's driver, drawing on the held terminal instead of fd 2 (which is the log meanwhile)."""

import contextlib
import os
import select
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from coder.tui.frame import Frame

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

LEAST_COLUMNS = 12  # Textual cannot wrap words in a field of no width; in a narrower window the rest is out of sight
ESCAPE_S = 0.1  # after which a lone escape character is the key, not the beginning of a sequence


class ScreenDriver(LinuxDriver):
    """Tells the terminal when the screen's modes are on, so that a signal knows whether to undo them; writes little."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        terminal = cast("CoderApp", app).terminal
        assert terminal is not None
        self._terminal = terminal
        self._file = cast("Any", terminal.file)
        self._frame = Frame()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)

    def write(self, data: str) -> None:
        super().write(self._placed(self._frame.update(data)))

    def _placed(self, data: str) -> str:
        """What is written, moved to where it belongs."""
        return data

    def forget(self) -> None:
        """The terminal may show something else than what was written: draw all of it again when it is drawn."""
        self._frame.forget()

    def _get_terminal_size(self) -> tuple[int, int]:
        columns, rows = super()._get_terminal_size()
        return max(LEAST_COLUMNS, columns), rows

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Resize):  # told by the terminal itself
            size = Size(max(LEAST_COLUMNS, message.size.width), message.size.height)
            message = events.Resize(size, size)
        super().process_message(message)

    def start_application_mode(self) -> None:
        self._terminal.taken = True
        self.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        self._terminal.taken = False

    def disable_input(self) -> None:
        """Textual's waits for its reader, which looks up ten times a second; ours is told."""
        os.write(self._wake, b"x")
        super().disable_input()

    def run_input_thread(self) -> None:
        """Keys from the terminal until the input is disabled. Bytes that are no UTF-8 must not end it."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 64)  # of the last time
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            ready, _, _ = select.select([self.fileno, self._woken], [], [], ESCAPE_S)
            if self.fileno in ready and (typed := decode(os.read(self.fileno, 4_096))):
                for event in parser.feed(typed):
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)
