"""A real terminal for tests: a program on a pseudo-terminal, what it wrote, and keys sent to it."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[ -/]*[0-~])")


def plain_text(raw: bytes) -> str:
    """What was written without its control sequences."""
    return _ESCAPES.sub("", raw.decode("utf-8", "replace"))


class Terminal:
    """`argv` on a pseudo-terminal of `size` (columns, rows). `raw` is everything it has written so far."""

    def __init__(
        self, argv: Sequence[str], *, size: tuple[int, int] = (120, 40), env: Mapping[str, str], cwd: str = "/"
    ) -> None:
        self.raw = bytearray()
        self.code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execve(argv[0], list(argv), dict(env))
            finally:
                os._exit(127)
        self.resize(*size)
        self.modes = termios.tcgetattr(self._fd)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def read(self, seconds: float) -> bytes:
        """What arrives within `seconds`, or until the program lets go of the terminal."""
        start, end = len(self.raw), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                try:
                    piece = os.read(self._fd, 65536)
                except OSError:  # EIO: the other side is closed
                    break
                if not piece:
                    break
                self.raw += piece
        return bytes(self.raw[start:])

    def wait_for(self, text: str, seconds: float = 20.0, start: int = 0) -> float:
        """Read until `text` was written after byte `start`; the time it took. Fails with what is there instead."""
        began = time.monotonic()
        while text not in plain_text(bytes(self.raw[start:])):
            if time.monotonic() - began > seconds:
                raise AssertionError(f"{text!r} did not appear; the end of what did: {plain_text(self.raw)[-2000:]!r}")
            if not self.read(0.02) and self.ended():
                self.read(0.1)
                if text not in plain_text(bytes(self.raw[start:])):
                    raise AssertionError(f"ended with {self.code} before {text!r}: {plain_text(self.raw)[-2000:]!r}")
        return time.monotonic() - began

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float = 10.0) -> int:
        """Read until the program has ended; its exit code (negative: the signal)."""
        end = time.monotonic() + seconds
        while not self.ended():
            self.read(0.05)
            if time.monotonic() > end:
                raise AssertionError(f"still running: {plain_text(self.raw)[-2000:]!r}")
        self.read(0.1)
        assert self.code is not None
        return self.code

    def current_modes(self) -> list[object]:
        return termios.tcgetattr(self._fd)

    def hang_up(self) -> None:
        """Close our side, as a lost connection does."""
        os.close(self._fd)
        self._fd = -1

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> None:
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.code = -9
        if self._fd >= 0:
            os.close(self._fd)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
