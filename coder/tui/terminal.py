"""The terminal as it was: saved before the screen starts, given back however the process ends.

Textual cleans up after itself on a normal exit, on exceptions and around Ctrl+Z; it does not on SIGTERM, SIGHUP and
SIGQUIT, nor does it notice a terminal that went away. No textual here.
"""

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

# Ends a synchronised update; mouse, focus, paste and in-band resize reports off; kitty keyboard protocol popped;
# colours reset; line wrap on; main screen; cursor shown. Each is ignored by a terminal where it was not on.
# Sources: xterm's ctlseqs, the kitty keyboard protocol, and what textual.drivers.linux_driver switches on.
RESTORE = (
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2004l\x1b[?2048l"
    b"\x1b[<u\x1b[0m\x1b[?7h\x1b[?1049l\x1b[?25h"
)
LEAVING_S = 1.5  # what a session may take to be put in order after a signal
DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Terminal:
    """The terminal of this process: `file` writes to it even while fd 2 goes to the log.

    `taken` is set by the driver while the screen's modes are on: a mode that was popped must not be popped again.
    `undo` ends those modes. `leave` is set by the screen once it can put its session in order and end with an exit
    code by itself.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.taken = False
        self.undo = RESTORE
        self.leave: Callable[[int], None] | None = None
        self.file: TextIO = os.fdopen(os.dup(fd), "w", encoding="utf-8", errors="replace")
        try:
            self._modes: list[Any] | None = termios.tcgetattr(fd)
        except termios.error:
            self._modes = None

    def restore(self) -> None:
        """Undo every mode. Safe in a signal handler: plain system calls, none of which waits for a reader."""
        if not self.taken:
            return
        self.taken = False
        with contextlib.suppress(OSError):
            os.set_blocking(self.fd, False)
            try:
                os.write(self.fd, self.undo)
            finally:
                os.set_blocking(self.fd, True)
        if self._modes is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcflush(self.fd, termios.TCIFLUSH)  # mouse reports that would end up in the shell
                termios.tcsetattr(self.fd, termios.TCSANOW, self._modes)


def _terminal_fd() -> int:
    """Where the screen is drawn: stderr, as Textual does, else stdout, else the controlling terminal."""
    for fd in (2, 1):
        if os.isatty(fd):
            return os.dup(fd)
    return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)


@contextlib.contextmanager
def held_terminal(log: Path | None) -> Iterator[Terminal]:
    """The terminal, given back at the end or by the signal that ends the process. fd 2 is `log` meanwhile.

    A signal ends it with 128 and its number, as a shell would say, after the screen has closed its session.
    Must be entered in the main thread. Raises OSError where there is no terminal.
    """
    terminal = Terminal(_terminal_fd())
    stderr = os.dup(2)
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.dup2(target, 2)
    os.close(target)

    def die(number: int) -> None:
        terminal.restore()
        os._exit(128 + number)

    def end(number: int, frame: FrameType | None) -> None:
        leave, terminal.leave = terminal.leave, None
        if leave is None:  # too early, or the second signal
            die(number)
            return
        late = threading.Timer(LEAVING_S, die, (number,))
        late.daemon = True
        late.start()
        leave(128 + number)

    before = {number: signal.signal(number, end) for number in DEADLY}
    over = threading.Event()
    threading.Thread(target=_watch_hangup, args=(terminal.fd, over), name="coder-hangup", daemon=True).start()
    try:
        yield terminal
    finally:
        over.set()
        terminal.restore()
        os.dup2(stderr, 2)
        os.close(stderr)
        for number, handler in before.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            terminal.file.close()


def _watch_hangup(fd: int, over: threading.Event) -> None:
    """Die of SIGHUP when the terminal goes away. Its end of file would otherwise spin Textual's reader for ever."""
    watch = select.poll()
    watch.register(fd, 0)  # no event asked for: poll still reports a hang-up
    while not over.is_set():
        if any(flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, flags in watch.poll(1_000)):
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGHUP)
            return
