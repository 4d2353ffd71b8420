"""The process that reads files for the index: frames of bytes in, frames of facts out, until its input ends.

It is started without the current directory on its path and holds nothing worth stealing: no key, no network, no
handle on the repository. It bounds itself, for the day when nobody is left to end it. Starting it is a good part of
indexing a small repository: what it imports is kept few (no dataclasses, which bring the whole of `inspect`).
"""

import contextlib
import gc
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from coder.context.facts import read_facts

FILE_SECONDS = 20.0  # wall time for one file, kept by who asked; for hangs without work, and machines without time
CPU_SECONDS = 6.0  # processor time for one file, kept here: above the parser's limit, for hangs outside the parser
NICE = 5  # who types meanwhile goes first
MEMORY = 1 << 29  # bytes of address space: a file that needs more costs this process, not the machine
LENGTH = struct.Struct("<I")


def main() -> None:
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        os.nice(NICE)
    gc.disable()  # what it makes has no cycles, and every look at a grown vocabulary is in vain
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while (request := read_frame(source)) is not None:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # these two end the process, wherever it hangs
        signal.alarm(int(1.5 * FILE_SECONDS))
        plain, rest = request[:1] == b"1", request[1:]
        path, _, content = rest.partition(b"\0")
        answer = read_facts(path.decode("utf-8", "surrogateescape"), content, plain=plain).packed()
        sink.write(LENGTH.pack(len(answer)) + answer)
        sink.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def request(path: str, content: bytes, *, plain: bool) -> bytes:
    """The frame that asks for one file's facts."""
    body = (b"1" if plain else b"0") + path.encode("utf-8", "surrogateescape") + b"\0" + content
    return LENGTH.pack(len(body)) + body


def read_frame(source: BinaryIO) -> bytes | None:
    """The next frame, or None where the stream ends or is cut."""
    header = source.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    body = source.read(length)
    return body if len(body) == length else None
