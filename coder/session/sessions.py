"""The sessions of this user: listed, found by the beginning of an id, renamed, forked, deleted."""

import shutil
import time
from pathlib import Path

from msgspec import Struct

from coder.errors import UserError
from coder.session.record import lock_of, new_session_id, sessions_dir, write_record, write_records
from coder.session.recorded import Json, live_records, read_records, recorded, records_before
from coder.store import Places, locked


class SessionInfo(Struct, frozen=True):
    """A session as lists show it. Times are in seconds since the epoch, `task` is the first one."""

    id: str
    root: str
    model: str
    started: float
    turns: int
    task: str
    status: str
    path: Path
    title: str = ""
    updated: float = 0.0
    parent: str = ""


def session_info(path: Path) -> SessionInfo | None:
    """What a list shows of one session file; None for a file that is none."""
    try:
        records = live_records(read_records(path, without=b"items"))
    except OSError:
        return None
    head = next((record for record in records if record["kind"] == "session"), None)
    if head is None:
        return None
    state = recorded(records)
    return SessionInfo(
        path.stem,
        str(head.get("root", "")),
        state.settings.get("model") or state.model,
        _seconds(head),
        len(state.turns),
        state.turns[0].task if state.turns else "",
        state.turns[-1].status if state.turns else "open",
        path,
        state.title,
        max(map(_seconds, records)),
        str(head.get("parent", "")),
    )


def _seconds(record: Json) -> float:
    when = record.get("time", 0.0)
    return float(when) if isinstance(when, int | float) else 0.0


def list_sessions(places: Places, root: str = "") -> list[SessionInfo]:
    """Sessions, the one used last first; of one repository root if given."""
    found = [session_info(path) for path in sessions_dir(places).glob("*.jsonl")]
    kept = [info for info in found if info is not None and root in ("", info.root)]
    return sorted(kept, key=lambda info: (info.updated, info.id), reverse=True)


def find_session(places: Places, name: str, root: str = "") -> SessionInfo:
    """The one session whose id starts with `name`. Raises UserError where there is none or several."""
    matches = [info for info in list_sessions(places, root) if info.id.startswith(name)] if name else []
    if len(matches) != 1:
        word = "several sessions start" if matches else "no session starts"
        raise UserError(f"{word} with {name!r}", "see `coder sessions`")
    return matches[0]


def newest_session(places: Places, root: str) -> SessionInfo:
    """The session of a repository that was used last. Raises UserError where there is none."""
    found = next((info for info in list_sessions(places, root) if info.turns), None)
    if found is None:
        raise UserError("there is no session of this repository to continue", "start one: coder")
    return found


def rename_session(info: SessionInfo, title: str) -> None:
    """Give a session a name ("" takes it away); it may be open elsewhere."""
    write_record(info.path, "title", text=title.strip())


def fork_session(places: Places, info: SessionInfo, turn: int = 0) -> str:
    """A new session with the same history, or with that before turn `turn`; its id. The old one stays as it is.

    The fork goes on with the old one's cache key: what they have in common is cached already.
    """
    records = live_records(read_records(info.path))
    state = recorded(records)
    if turn and not 1 <= turn <= len(state.turns):
        raise UserError(f"session {info.id} has no turn {turn}", f"it has {len(state.turns)}")
    head = next(record for record in records if record["kind"] == "session")
    kept = [record for record in (records_before(records, turn) if turn else records) if record is not head]
    more = {"time": round(time.time(), 3), "parent": info.id, "cache_key": state.cache_key or f"coder:{info.id}"}
    made = new_session_id()
    write_records(places, made, [{**head, **more}, *kept])
    return made


def delete_session(places: Places, info: SessionInfo) -> None:
    """Delete a session and the logs of its tests. Raises UserError while it is open."""
    with locked(lock_of(info.path), wait=False) as free:
        if not free:
            raise UserError(f"session {info.id} is open in another coder", "close it there first")
        info.path.unlink(missing_ok=True)
        shutil.rmtree(places.state / "logs" / info.id, ignore_errors=True)
        lock_of(info.path).unlink(missing_ok=True)
