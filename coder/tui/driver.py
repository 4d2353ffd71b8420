"""Textual's driver, drawing on the held terminal instead of fd 2 (which is the log meanwhile)."""

from typing import TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

from coder.tui.frame import Frame

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


class ScreenDriver(LinuxDriver):
    """Tells the terminal when the screen's modes are on, so that a signal knows whether to undo them; writes little."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        terminal = cast("CoderApp", app).terminal
        assert terminal is not None
        self._terminal = terminal
        self._file = cast("Any", terminal.file)
        self._frame = Frame()

    def write(self, data: str) -> None:
        super().write(self._frame.update(data))

    def forget(self) -> None:
        """The terminal may show something else than what was written: draw all of it again when it is drawn."""
        self._frame.forget()

    def start_application_mode(self) -> None:
        self._terminal.taken = True
        self.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        self._terminal.taken = False
