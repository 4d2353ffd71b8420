"""The rest of a large index, read behind a session that has begun: by one process of low priority and its workers.

It works in the session's shadow and ends with the session, also with one that is killed. What it has read is kept.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from msgspec import Struct, to_builtins

from coder.context.index import Index
from coder.context.tree import rules_for, sift
from coder.repo.blobs import Objects
from coder.repo.git import absolute_path
from coder.repo.trees import Snapshot
from coder.store import Places

NICE = 10


class Behind:
    """At most one process at a time, for one repository (by its shadow's git directory)."""

    def __init__(self, shadow: Path, places: Places) -> None:
        self._shadow, self._places = shadow, places
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def works(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def build(self, tree: str, exclude: Sequence[str] = ()) -> None:
        """Have the index read what it does not know of `tree`, unless that is under way. `exclude` as in `Rules`."""
        if self.works:
            return
        self.end()
        order = Order(str(self._shadow), str(self._places.cache), tree, tuple(exclude))
        self._process = _start()
        sink = cast("IO[bytes]", self._process.stdin)
        with contextlib.suppress(OSError):
            sink.write(json.dumps(to_builtins(order)).encode() + b"\n")

    def end(self) -> None:
        """Stop it. What it was reading is lost, what it has read is not."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            cast("IO[bytes]", process.stdin).close()
            process.wait()


class Order(Struct, frozen=True):
    """What the process is told on its standard input: whose objects, which cache, which tree."""

    shadow: str
    cache: str
    tree: str
    exclude: tuple[str, ...]


def main() -> None:
    """The process: reads one order, obeys, and ends at the latest when its standard input does."""
    os.nice(NICE)
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    objects = Objects(Path(order.shadow))
    snapshot = Snapshot(order.tree, objects.files(order.tree))
    files = sift(snapshot, rules_for(objects, snapshot, order.exclude)).files
    nowhere = Path(os.devnull)
    with Index.open(Places(nowhere, nowhere, Path(order.cache))) as index:
        index.update(objects, files)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)  # its workers find their standard input closed


def _start() -> "subprocess.Popen[bytes]":
    """With nothing of the user's environment but where programs are; `-P` as for the workers."""
    path = [entry for entry in sys.path if os.path.isabs(entry)]
    program = f"import sys; sys.path[:] = {path!r}; from coder.context.behind import main; main()"
    return subprocess.Popen(
        [sys.executable, "-P", "-S", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "PATH": absolute_path()},
        bufsize=0,
        process_group=0,  # an interrupt at the keyboard is for the session
    )
