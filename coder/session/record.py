"""A session on disk: an append-only file of JSON lines, one durable record each. This is the writing side.

Records: `session` (first: root, model, parent and cache key of a fork), `task` (opens a turn), `section` (the plan of
the repository section that was shown), `items` (the conversation from position `at` on is now `items`; `tree` is the
draft the model then knew), `said` (of a reply under way, from its character `at` on), `evidence`, `proposal`,
`applied`, `committed`, `undone`, `pins`, `setting`, `title`, `remark` (what the next turn begins with), `plan` (the
user changed it), `rewind` (the turns from `turn` on are void) and `outcome` (closes a turn). Readers skip what they
don't know.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from coder.errors import UserError
from coder.store import Places, append_line, locked, private_dir, write_whole

Items = list[dict[str, Any]]


class Record:
    """Remembers what the file says of the conversation, so that only what is new is appended.

    `renewals` counts how often the conversation changed elsewhere than at its end: the provider's cache of it is then
    void. Holds the session until `close`, so that no second process continues it.
    """

    def __init__(self, places: Places, session: str, written: Sequence[dict[str, Any]] = (), renewals: int = 0) -> None:
        private_dir(sessions_dir(places))
        self.path = session_path(places, session)
        self.renewals = renewals
        self._written: Items = list(written)
        self._held = contextlib.ExitStack()
        if not self._held.enter_context(locked(lock_of(self.path), wait=False)):
            raise UserError(f"session {session} is open in another coder", "close it there, or fork it: coder sessions")

    def write(self, kind: str, **fields: Any) -> None:
        """Append one record. Raises OSError where the disk is full or read-only."""
        write_record(self.path, kind, **fields)

    def write_items(self, history: Sequence[dict[str, Any]], tree: str = "") -> None:
        """Bring the recorded conversation up to `history`, which usually only grew."""
        same = 0
        for ours, theirs in zip(self._written, history, strict=False):
            if ours is not theirs:
                break
            same += 1
        before, self._written = len(self._written), list(history)
        self.renewals += same < before
        if same < max(len(history), before):
            self.write("items", at=same, items=list(history[same:]), tree=tree)

    def rewind(self, turn: int, written: Sequence[dict[str, Any]], renewals: int) -> None:
        """Void the turns from `turn` on; the conversation is `written` again."""
        self.write("rewind", turn=turn)
        self._written, self.renewals = list(written), renewals

    def close(self) -> None:
        """Let other processes have the session."""
        self._held.close()


def write_record(path: Path, kind: str, **fields: Any) -> None:
    """Append one record to a session file."""
    append_line(path, _line({"kind": kind, "time": round(time.time(), 3), **fields}))


def write_records(places: Places, session: str, records: Iterable[dict[str, Any]]) -> None:
    """A new session file of `records`, whole or not at all."""
    private_dir(sessions_dir(places))
    write_whole(session_path(places, session), b"".join(_line(record) + b"\n" for record in records))


def new_session_id() -> str:
    """Sortable by time, unique between processes: 20261125-161502-4f1c9a."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def session_path(places: Places, session: str) -> Path:
    return sessions_dir(places) / f"{session}.jsonl"


def sessions_dir(places: Places) -> Path:
    return places.state / "sessions"


def lock_of(path: Path) -> Path:
    """The file whose lock says that a session is open."""
    return path.with_suffix(".lock")


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode("ascii")
