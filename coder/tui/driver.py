"""Textual's driver, drawing on the held terminal instead of fd 2 (which is the log meanwhile)."""

from typing import TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


class ScreenDriver(LinuxDriver):
    """Tells the terminal when the screen's modes are on, so that a signal knows whether to undo them."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        terminal = cast("CoderApp", app).terminal
        assert terminal is not None
        self._terminal = terminal
        self._file = cast("Any", terminal.file)

    def start_application_mode(self) -> None:
        self._terminal.taken = True
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        self._terminal.taken = False
