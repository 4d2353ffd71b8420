"""What can still be read of a damaged ledger, taken over into the new one; and that there may have been more.

A limit on the money of a day is only as good as what is known of the day.
"""

import contextlib
import sqlite3
import time
from pathlib import Path

# A gap: before `time`, in seconds since the epoch, there may have been calls that nobody knows of.
GAPS = "CREATE TABLE IF NOT EXISTS gaps (time REAL NOT NULL)"
_TYPES = {"INTEGER": (int,), "REAL": (int, float, type(None)), "TEXT": (str,)}


def salvage(old: Path, new: sqlite3.Connection) -> None:
    """Copy what is sound of `old` into the tables of `new` (see `store.open_database`). Where that may not be every
    call, a gap is noted."""
    new.execute(GAPS)
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as damaged:
        damaged.text_factory = _text
        tables = [name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        whole = {table: _copy(damaged, new, table) for table in tables}
    if not whole["calls"]:
        new.execute("INSERT INTO gaps VALUES (?)", (time.time(),))


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Whether all rows of `table` came over. Read from both ends, since damage may lie between."""
    columns = {name: _TYPES[kind] for _, name, kind, *_ in new.execute(f"PRAGMA table_info({table})")}
    rows: dict[int, tuple[object, ...]] = {}
    whole = False
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error):
            known = [name for _, name, *_ in old.execute(f"PRAGMA table_info({table})") if name in columns]
            found = old.execute(f"SELECT rowid, {', '.join(known)} FROM {table} NOT INDEXED ORDER BY rowid {order}")
            for rowid, *values in found:
                rows[rowid] = tuple(values)
            whole = True
            break
    sound = [row for row in rows.values() if all(map(isinstance, row, (columns[name] for name in known)))]
    if sound:
        marks = ", ".join("?" * len(known))
        new.execute("BEGIN IMMEDIATE")
        new.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(known)}) VALUES ({marks})", sound)
        new.execute("COMMIT")
    return whole and len(sound) == len(rows)


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")
