"""Worker processes that read files for the index: each file with a time limit, all ended together.

A worker that hangs or dies costs one file its grammar: it is read again plainly, and left empty if that fails too.
One thread serves them all, so that a screen beside it keeps the processor; several files are on their way to each.
"""

import math
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, cast

from msgspec import Struct
from msgspec.structs import replace

from coder.context.facts import Facts
from coder.context.worker import FILE_SECONDS, LENGTH, request

BYTES_PER_SECOND = 2_000_000  # that one worker reads, about
BYTES_PER_WORKER = 2 * BYTES_PER_SECOND  # for less a process of its own and its vocabulary cost too much
MAX_WORKERS = 8
AHEAD_BYTES = 200_000  # of files that a worker has been asked for: about a tenth of a second's work
NAP = 0.01  # seconds in which answers gather while a worker has enough to do; each look costs the processor too
_PIECE = 1 << 16
UNREADABLE = Facts(why="could not be read by the indexer")


class Job(Struct, frozen=True):
    """`plain`: without a grammar, since one failed on it."""

    key: str
    path: str
    content: bytes
    plain: bool = False


class Pool:
    """Use as a context manager; `read` may be called several times."""

    def __init__(self, total_bytes: int, seconds: float = FILE_SECONDS) -> None:
        count = max(1, min(MAX_WORKERS, os.cpu_count() or 1, total_bytes // BYTES_PER_WORKER))
        self._workers = [_Worker(seconds) for _ in range(count)]

    @property
    def bytes_per_second(self) -> int:
        """About what all of them read."""
        return BYTES_PER_SECOND * len(self._workers)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def read(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Facts]]:
        """Each job with its facts, as they come."""
        waiting = deque(jobs)
        while waiting or any(worker.asked for worker in self._workers):
            for worker in self._workers:
                while waiting and worker.has_room:
                    worker.ask(waiting.popleft())
            self._wait(NAP if waiting else 0.0)
            for worker in self._workers:
                yield from worker.answers()
                if worker.is_lost:
                    first, *rest = worker.restart()
                    waiting.extendleft(reversed(rest))
                    if first.plain:
                        yield first, UNREADABLE
                    else:
                        waiting.appendleft(replace(first, plain=True))

    def _wait(self, nap: float) -> None:
        """Until some worker can be written to or read from, or its time is over."""
        poller = select.poll()  # select() fails on descriptors above 1,023
        busy = [worker for worker in self._workers if worker.asked]
        for worker in busy:
            worker.register(poller)
        if not poller.poll(max(0, math.ceil(1000 * (min(worker.deadline for worker in busy) - time.monotonic())))):
            return
        for worker in busy:
            worker.write()
        time.sleep(nap)


class _Worker:
    """One process, started while the first question is still put together, and again after it was lost. Answers come
    in the order asked."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = _start()
        self._sent, self._received = bytearray(), bytearray()  # not yet written; not yet understood
        self.asked: deque[Job] = deque()
        self._asked_bytes = 0
        self.deadline = 0.0
        self.is_lost = False

    @property
    def has_room(self) -> bool:
        return len(self.asked) < 2 or self._asked_bytes < AHEAD_BYTES

    def ask(self, job: Job) -> None:
        if not self.asked:
            self.deadline = time.monotonic() + self._seconds
        self._process = self._process or _start()
        self.asked.append(job)
        self._asked_bytes += len(job.content)
        self._sent += request(job.path, job.content, plain=job.plain)

    def register(self, poller: "select.poll") -> None:
        process = cast("subprocess.Popen[bytes]", self._process)
        poller.register(cast("IO[bytes]", process.stdout).fileno(), select.POLLIN)
        if self._sent:
            poller.register(cast("IO[bytes]", process.stdin).fileno(), select.POLLOUT)

    def write(self) -> None:
        """As much of what it was asked as the pipe takes now."""
        sink = cast("IO[bytes]", cast("subprocess.Popen[bytes]", self._process).stdin).fileno()
        try:
            while self._sent:
                del self._sent[: os.write(sink, self._sent[:_PIECE])]
        except BlockingIOError:
            pass
        except OSError:
            self.is_lost = True

    def answers(self) -> Iterator[tuple[Job, Facts]]:
        """What has come by now. Notes whether the worker is lost: it ended, or its time is over."""
        if not self.asked:
            return
        self._receive()
        at = 0
        while self.asked and len(self._received) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received, at)
            end = at + LENGTH.size + length
            if len(self._received) < end:
                break
            job = self.asked.popleft()
            self._asked_bytes -= len(job.content)
            yield job, Facts.unpacked(bytes(self._received[at + LENGTH.size : end]))
            at = end
            self.deadline = time.monotonic() + self._seconds
        del self._received[:at]
        if self.asked and time.monotonic() > self.deadline:
            self.is_lost = True

    def _receive(self) -> None:
        source = cast("IO[bytes]", cast("subprocess.Popen[bytes]", self._process).stdout).fileno()
        try:
            while piece := os.read(source, _PIECE):
                self._received += piece
            self.is_lost = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_lost = True

    def restart(self) -> deque[Job]:
        """End the process; what it had not answered, of which it was lost over the first."""
        self.end()
        self.is_lost = False
        asked, self.asked, self._asked_bytes = self.asked, deque(), 0
        self._sent, self._received = bytearray(), bytearray()
        return asked

    def end(self) -> None:
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
    for pipe in (process.stdin, process.stdout):
        os.set_blocking(cast("IO[bytes]", pipe).fileno(), False)
    return process
