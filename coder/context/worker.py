"""The process that reads files for the index: frames of bytes in, frames of facts out, until its input ends.

It is started without the current directory on its path and holds nothing worth stealing: no key, no network, no
handle on the repository.
"""

import struct
import sys
from typing import BinaryIO

from coder.context.facts import read_facts

LENGTH = struct.Struct("<I")


def main() -> None:
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while (request := read_frame(source)) is not None:
        plain, rest = request[:1] == b"1", request[1:]
        path, _, content = rest.partition(b"\0")
        answer = read_facts(path.decode("utf-8", "surrogateescape"), content, plain=plain).packed()
        sink.write(LENGTH.pack(len(answer)) + answer)
        sink.flush()


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
