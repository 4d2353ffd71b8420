"""Starts the process that becomes a sandbox and follows it: output with byte caps, time limit, certain end.

Knows pipes and time, nothing of mounts.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coder.sandbox.inside import wire
from coder.sandbox.values import SandboxError

LOG_BYTES = 16 * 1024 * 1024  # kept of the output: half from its start, half from its end
_SHOW_EVERY_S = 0.05
_SHOW_BYTES = 64 * 1024
_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process inside ended. `code` is None when the time limit did it."""

    code: int | None
    stopped: str
    duration_s: float
    truncated: bool
    artifacts: dict[str, bytes]


async def follow(
    line: list[str],
    order: dict[str, Any],
    environ: Mapping[str, str],
    timeout_s: float,
    on_output: Callable[[bytes], None],
    log: Path,
) -> Ended:
    """Run `line`, hand it `order`, and wait. Raises SandboxError when the sandbox could not be made or vanished.

    Cancelling kills everything inside. `order` gets its "status_fd" here.
    """
    receiver, sender = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environ),
            cwd="/",
            pass_fds=(sender,),
        )
    except OSError as error:  # its program went away since the self-test
        os.close(receiver)
        raise SandboxError("start", str(error)) from error
    except BaseException:
        os.close(receiver)
        raise
    finally:
        packed = wire.pack_order({**order, "status_fd": sender})
        os.close(sender)
    started = time.monotonic()
    answers = asyncio.create_task(_read_all(receiver))
    output = _Output(log, on_output)
    try:
        assert process.stdin and process.stdout
        with contextlib.suppress(ConnectionError):
            process.stdin.write(packed)
            await process.stdin.drain()
        timed_out = await _pump(process, output, timeout_s)
        duration = time.monotonic() - started
        if timed_out:
            await _kill(process)
        records = wire.parse(await answers)
    finally:
        await asyncio.shield(_finish(process, answers, output))
    return _conclude(records, timed_out, duration, output)


async def _pump(process: asyncio.subprocess.Process, output: "_Output", timeout_s: float) -> bool:
    """Read until the output ends and the process is gone; True if the time was up first."""
    assert process.stdout
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await process.stdout.read(65536):
                output.add(chunk)
            await process.wait()
    except TimeoutError:
        return True
    return False


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Closing the lifeline lets the process inside end everything; what does not heed it is killed."""
    if process.stdin:
        process.stdin.close()
    if process.returncode is None:
        try:
            await asyncio.wait_for(process.wait(), _GRACE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _finish(process: asyncio.subprocess.Process, answers: "asyncio.Task[bytes]", output: "_Output") -> None:
    await _kill(process)
    answers.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await answers
    output.close()


async def _read_all(descriptor: int) -> bytes:
    """Everything from the pipe; closes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    file = os.fdopen(descriptor, "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    try:
        return await reader.read(-1)
    finally:
        transport.close()


def _conclude(records: list[tuple[bytes, bytes]], timed_out: bool, duration: float, output: "_Output") -> Ended:
    kinds = dict(records)
    if wire.FAILED in kinds:
        stage, _, message = os.fsdecode(kinds[wire.FAILED]).partition("\n")
        raise SandboxError(stage, message)
    artifacts = dict(_artifact(body) for kind, body in records if kind == wire.ARTIFACT)
    if timed_out:
        return Ended(None, "time", duration, output.dropped > 0, artifacts)
    if wire.ENDED not in kinds:
        raise SandboxError("start" if wire.STARTED not in kinds else "run", output.last_words() or "it vanished")
    code, _, stopped = kinds[wire.ENDED].decode().partition(" ")
    return Ended(None if stopped else int(code), stopped, duration, output.dropped > 0, artifacts)


def _artifact(body: bytes) -> tuple[str, bytes]:
    end = 2 + int.from_bytes(body[:2], "big")
    return os.fsdecode(body[2:end]), body[end:]


class _Output:
    """Takes the output as it comes: to the log, its middle dropped past the cap, and in calm portions to a viewer."""

    def __init__(self, log: Path, show: Callable[[bytes], None]) -> None:
        self.dropped = 0
        self._log = log
        self._show = show
        self._head_room = LOG_BYTES // 2
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._unseen = b""
        self._shown_at = 0.0
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    def add(self, chunk: bytes) -> None:
        head, rest = chunk[: self._head_room], chunk[self._head_room :]
        if head:
            self._file.write(head)
            self._head_room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
            while self._tail_bytes - len(self._tail[0]) > LOG_BYTES // 2:
                gone = len(self._tail.popleft())
                self._tail_bytes -= gone
                self.dropped += gone
        self._offer(chunk)

    def _offer(self, chunk: bytes) -> None:
        self._unseen = (self._unseen + chunk)[-_SHOW_BYTES:]
        now = time.monotonic()
        if now - self._shown_at >= _SHOW_EVERY_S:
            self._flush(now)

    def _flush(self, now: float) -> None:
        if self._unseen:
            self._show(self._unseen)
        self._unseen, self._shown_at = b"", now

    def last_words(self) -> str:
        """The start of the log, once it is closed: where the process inside says what went wrong with itself."""
        with open(self._log, "rb") as log:
            return os.fsdecode(log.read(2000)).strip()

    def close(self) -> None:
        if self._file.closed:
            return
        self._flush(time.monotonic())
        if self.dropped:
            self._file.write(f"\n[coder: {self.dropped} bytes of output left out here]\n".encode())
        self._file.writelines(self._tail)
        self._file.close()
