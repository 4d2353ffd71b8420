"""A session on disk: an append-only file of JSON lines, one durable record each; a torn tail is skipped when read.

Records: `session` (once, first), `task`, `items` (the conversation from position `at` on is now `items`), `outcome`.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coder.errors import UserError
from coder.store import Places, append_line, private_dir

Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as lists show it. `started` is in seconds since the epoch, `task` the first one."""

    id: str
    root: str
    model: str
    started: float
    turns: int
    task: str
    status: str
    path: Path


class Record:
    """The writing side. Remembers what the file says of the conversation, so that only what is new is appended."""

    def __init__(self, places: Places, session: str) -> None:
        self._path = private_dir(places.state / "sessions") / f"{session}.jsonl"
        self._written: Items = []

    def write(self, kind: str, **fields: Any) -> None:
        """Append one record. Raises OSError where the disk is full or read-only."""
        line = json.dumps({"kind": kind, "time": round(time.time(), 3), **fields}, allow_nan=False)
        append_line(self._path, line.encode("ascii"))

    def write_items(self, history: Sequence[dict[str, Any]]) -> None:
        """Bring the recorded conversation up to `history`, which usually only grew."""
        same = 0
        for ours, theirs in zip(self._written, history, strict=False):
            if ours is not theirs:
                break
            same += 1
        if same < len(history) or same < len(self._written):
            self.write("items", at=same, items=list(history[same:]))
            self._written = list(history)


def sessions_dir(places: Places) -> Path:
    return places.state / "sessions"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a session file, oldest first. Lines that a crash tore or that are foreign are skipped."""
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(record.get("kind"), str):
                yield record


def load_history(path: Path) -> Items:
    """The conversation as the last complete record left it."""
    history: Items = []
    for record in read_records(path):
        if record["kind"] == "items" and isinstance(record.get("at"), int) and isinstance(record.get("items"), list):
            history[record["at"] :] = record["items"]
    return history


def session_info(path: Path) -> SessionInfo | None:
    """What a list shows of one session file; None for a file that is none."""
    head: dict[str, Any] = {}
    tasks: list[str] = []
    status = "open"
    for record in read_records(path):
        match record["kind"]:
            case "session":
                head = record
            case "task":
                tasks.append(str(record.get("text", "")))
            case "outcome":
                status = str(record.get("status", ""))
    if not head:
        return None
    return SessionInfo(
        path.stem,
        str(head.get("root", "")),
        str(head.get("model", "")),
        float(head.get("time", 0.0)),
        len(tasks),
        tasks[0] if tasks else "",
        status,
        path,
    )


def list_sessions(places: Places, root: str = "") -> list[SessionInfo]:
    """Sessions, newest first; of one repository root if given."""
    found = [session_info(path) for path in sessions_dir(places).glob("*.jsonl")]
    kept = [info for info in found if info is not None and root in ("", info.root)]
    return sorted(kept, key=lambda info: info.started, reverse=True)


def find_session(places: Places, name: str) -> SessionInfo:
    """The one session whose id starts with `name`. Raises UserError where there is none or several."""
    matches = [info for info in list_sessions(places) if info.id.startswith(name)] if name else []
    if len(matches) != 1:
        word = "several sessions start" if matches else "no session starts"
        raise UserError(f"{word} with {name!r}", "see `coder sessions`")
    return matches[0]


def prune_sessions(places: Places, days: int) -> None:
    """Delete session files that were not touched for `days` days."""
    oldest = time.time() - days * 86_400
    for path in sessions_dir(places).glob("*.jsonl"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
