"""The log of runs: one line a fact, redacted, in a private file that is turned over before it grows large."""

import contextlib
import os
import time
from pathlib import Path

from coder import events
from coder.errors import CoderError
from coder.headless.progress import progress_line
from coder.store import Places, locked, private_dir
from coder.text import redact, visible_line

MAX_BYTES = 2_000_000
KEPT = 3  # older files beside the one that is written
WIDTH = 2_000


class EventLog:
    """A sink for `emit`. Never a reason to fail: where nothing can be written, nothing is."""

    def __init__(self, places: Places, *, verbose: bool, secrets: tuple[str, ...]) -> None:
        self._verbose = verbose
        self._secrets = secrets
        self._descriptor = -1
        with contextlib.suppress(OSError, CoderError):
            self._descriptor = open_log(private_dir(places.state / "logs") / "runs.log")

    def __call__(self, event: events.Event) -> None:
        self.write(progress_line(event, verbose=self._verbose))

    def write(self, text: str) -> None:
        """Append `text` as one line; "" writes nothing."""
        if self._descriptor < 0 or not text:
            return
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{when} {os.getpid()} {visible_line(redact(text, self._secrets), WIDTH)}\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_log(path: Path) -> int:
    """A descriptor that appends to `path` (0600, no symlink), which begins anew once it is large."""
    with locked(path.with_name(f"{path.name}.lock")):
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_size > MAX_BYTES:
                for number in range(KEPT - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(f"{path}.{number}", f"{path}.{number + 1}")
                os.replace(path, f"{path}.1")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor
