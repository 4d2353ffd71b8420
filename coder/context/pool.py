"""Worker processes that read files for the index: each file with a time limit, all ended together.

A worker that hangs or dies costs one file its grammar: it is read again plainly, and left empty if that fails too.
"""

import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, cast

from coder.context.facts import Facts
from coder.context.worker import LENGTH, request

FILE_SECONDS = 20.0  # wall time for one file, above the parser's own limit: for hangs outside the parser
BYTES_PER_WORKER = 1_500_000  # starting a process costs about as much as reading this
MAX_WORKERS = 8
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Job:
    key: str
    path: str
    content: bytes


class Pool:
    """Use as a context manager; `read` may be called several times."""

    def __init__(self, total_bytes: int, seconds: float = FILE_SECONDS) -> None:
        count = max(1, min(MAX_WORKERS, os.cpu_count() or 1, total_bytes // BYTES_PER_WORKER))
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker(seconds) for _ in range(count)]
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count, "coder-index")

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def read(self, jobs: Iterable[Job]) -> Iterator[Facts]:
        """The facts of each job, in order."""
        return self._threads.map(self._read, jobs)

    def _read(self, job: Job) -> Facts:
        worker = self._idle.get()
        try:
            found = worker.ask(job, plain=False) or worker.ask(job, plain=True)
            return found or Facts(why="could not be read by the indexer")
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, started with the first question and again after it was lost."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def ask(self, job: Job, *, plain: bool) -> Facts | None:
        """The facts, or None when the worker died or took too long; it is then started anew for the next file."""
        if self._ended:
            return None
        process = self._process = self._process or _start()
        deadline = time.monotonic() + self._seconds
        try:
            _send(cast("IO[bytes]", process.stdin), request(job.path, job.content, plain=plain), deadline)
            source = cast("IO[bytes]", process.stdout).fileno()
            (length,) = LENGTH.unpack(_receive(source, LENGTH.size, deadline))
            return Facts.unpacked(_receive(source, length, deadline))
        except (OSError, EOFError, TimeoutError):
            self._stop()
            return None

    def end(self) -> None:
        self._ended = True
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                cast("IO[bytes]", pipe).close()


def _start() -> "subprocess.Popen[bytes]":
    """A worker with an empty environment; `-P` keeps the current directory (a stranger's repository) off its path."""
    path = [entry for entry in sys.path if os.path.isabs(entry)]
    program = f"import sys; sys.path[:] = {path!r}; from coder.context.worker import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-P", "-S", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
        bufsize=0,
    )
    os.set_blocking(cast("IO[bytes]", process.stdin).fileno(), False)
    return process


def _send(sink: IO[bytes], frame: bytes, deadline: float) -> None:
    rest = memoryview(frame)
    while rest:
        _wait(deadline, writable=sink.fileno())
        rest = rest[os.write(sink.fileno(), rest[:_PIECE]) :]


def _receive(source: int, length: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < length:
        _wait(deadline, readable=source)
        piece = os.read(source, min(_PIECE, length - len(received)))
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)


def _wait(deadline: float, *, readable: int | None = None, writable: int | None = None) -> None:
    left = max(0.0, deadline - time.monotonic())
    poller = select.poll()  # select() fails on descriptors above 1,023
    poller.register(
        readable if readable is not None else cast("int", writable),
        select.POLLIN if readable is not None else select.POLLOUT,
    )
    if not poller.poll(left * 1000):
        raise TimeoutError
