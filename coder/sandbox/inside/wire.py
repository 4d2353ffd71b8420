"""The two pipes between coder and the process inside: an order (one marshalled dict) in, records out."""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STARTED, FAILED, ENDED, ARTIFACT = b"S", b"F", b"E", b"A"
_HEADER = 5  # kind, then the payload's length, big endian
MAX_ARTIFACTS = 64 * 1024 * 1024  # bytes, of one run


def read_order(descriptor: int) -> dict[str, Any]:
    length = int.from_bytes(_read_exactly(descriptor, 8), "big")
    order: dict[str, Any] = marshal.loads(_read_exactly(descriptor, length))
    return order


def pack_order(order: dict[str, Any]) -> bytes:
    body = marshal.dumps(order)
    return len(body).to_bytes(8, "big") + body


def send(descriptor: int, kind: bytes, payload: bytes) -> None:
    rest = memoryview(kind + len(payload).to_bytes(_HEADER - 1, "big") + payload)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def parse(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Records of a finished stream; a torn tail (the process was killed) is dropped."""
    records = []
    at = 0
    while at + _HEADER <= len(stream):
        end = at + _HEADER + int.from_bytes(stream[at + 1 : at + _HEADER], "big")
        if end > len(stream):
            break
        records.append((stream[at : at + 1], stream[at + _HEADER : end]))
        at = end
    return records


def _read_exactly(descriptor: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(descriptor, min(length, 1 << 20))
        if not part:
            raise EOFError("coder went away")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
