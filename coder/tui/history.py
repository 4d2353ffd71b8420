"""What the user asked before, newest last: kept in one private file of JSON lines, walked with the arrow keys."""

import json
from pathlib import Path

from coder.store import append_line, private_dir

MAX_ENTRIES = 500
MAX_BYTES = 2_000_000


class History:
    """`older` and `newer` walk; the text being written waits at the end. `path` None keeps nothing on disk."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._entries = _read(path) if path else []
        self._position = len(self._entries)
        self._draft = ""

    def add(self, text: str) -> None:
        if not self._entries or self._entries[-1] != text:
            self._entries.append(text)
            if self._path is not None:
                try:
                    private_dir(self._path.parent)
                    append_line(self._path, json.dumps(text).encode())
                except OSError:
                    pass  # a full disk must not stop the user from asking
        self._position, self._draft = len(self._entries), ""

    def older(self, current: str) -> str | None:
        if self._position == 0:
            return None
        if self._position == len(self._entries):
            self._draft = current
        self._position -= 1
        return self._entries[self._position]

    def newer(self) -> str | None:
        if self._position >= len(self._entries):
            return None
        self._position += 1
        return self._draft if self._position == len(self._entries) else self._entries[self._position]

    def search(self, text: str) -> list[str]:
        """Entries that hold `text`, newest first."""
        found = (entry for entry in reversed(self._entries) if text.lower() in entry.lower())
        return list(dict.fromkeys(found))


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    entries = []
    for line in lines[-MAX_ENTRIES - 1 :]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the tail of a write that a crash tore, or the cut at MAX_BYTES
        if isinstance(entry, str) and entry:
            entries.append(entry)
    return entries
