"""Every call to a model in one SQLite file: who asked, what it took and what it cost.

A call is written at its worst case before it is sent, and corrected when its usage arrives: what a killed process
left behind stays at its worst case. A ledger that is locked, corrupt or read-only never stops work that has no limit
for the day; what can be read of a damaged one is taken over into a new one.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from coder import amounts
from coder.errors import CoderError
from coder.model.catalog import Model
from coder.model.logs import LOGS, LogPrice, LogTotal
from coder.model.salvage import salvage
from coder.store import Database, is_damage, open_database, renew_database
from coder.values import Usage

SCHEMA = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, session TEXT NOT NULL, repository TEXT NOT NULL, role TEXT NOT NULL,
    model TEXT NOT NULL, tier TEXT NOT NULL, input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL, estimated INTEGER NOT NULL,
    latency_s REAL NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL,
    predicted_tokens INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX calls_by_time ON calls (time);
CREATE INDEX calls_by_session ON calls (session);
"""
VERSION = 1
BUSY_MS = 250  # longer would be felt on the screen; what cannot be written now is written with the next call

By = Literal["session", "day", "repository", "role", "model", "role and model"]
_GROUPS: dict[By, str] = {
    "session": "session",
    "day": "date(time, 'unixepoch', 'localtime')",
    "repository": "repository",
    "role": "role",
    "model": "model",
    "role and model": "role || char(31) || model",
}


class Call(Struct, frozen=True):
    """One try of one call. `time` is seconds since the epoch, `status` "ok", "open", "cut", "cancelled", or what the
    server refused it with ("429"). `usd` is None when the price is unknown."""

    time: float
    session: str
    repository: str
    role: str
    model: str
    tier: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    estimated: bool = False
    latency_s: float = 0.0
    attempt: int = 1
    status: str = "ok"
    predicted_tokens: int = 0  # of the input, that the cache should have held


_COLUMNS = tuple(Call.__struct_fields__)


class Total(Struct, frozen=True):
    """Calls added up. `usd` counts the known prices, `unpriced` the calls without one, `estimated` those booked at
    their worst case, `tries_failed` those that were refused and cost nothing. `main_usd` is what the same tokens
    would have cost on the main model (None when its price is unknown)."""

    key: str
    requests: int
    tries_failed: int
    input_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    output_tokens: int
    usd: float
    unpriced: int
    estimated: int
    latency_s: float
    main_usd: float | None
    predicted_tokens: int = 0  # of the input, that were expected to be cached


class Ledger:
    """The file, opened by `open` or the first `totals`. `complaint` says why it cannot be used, "" while it can;
    `note` what the user should know of it, or ""."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.complaint = self.note = ""
        self._connection: Database | None = None
        self._unwritten: dict[int, Call] = {}  # by a negative id of our own, until the file takes them
        self._last_unwritten = 0

    def open(self) -> None:
        """Open now, which may block for some seconds when the file is locked. Never raises for a bad file."""
        if self._connection is not None:
            return
        try:
            self._use(open_database(self._path, SCHEMA, VERSION, rescue=salvage))
        except (sqlite3.Error, OSError, CoderError) as error:
            self._failed(error)

    def _use(self, connection: Database) -> None:
        self._connection = connection
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.row_factory = sqlite3.Row
        with contextlib.suppress(sqlite3.OperationalError):  # a ledger of before gets the column, once
            connection.execute("ALTER TABLE calls ADD COLUMN predicted_tokens INTEGER NOT NULL DEFAULT 0")
        if connection.aside:
            (known,) = connection.execute("SELECT count(*) FROM calls").fetchone()
            missing = ", others may be missing" if self._gap() else ""
            saved = f"{amounts.count(known, 'call')} saved{missing}"
            self.note = f"the ledger was damaged: it is now {connection.aside}; {saved}"

    def _renew(self) -> None:
        """Put a new ledger, with what can be saved, in the place of one that turned out to be damaged."""
        assert self._connection is not None
        found, self._connection = self._connection, None
        try:
            self._use(renew_database(found, self._path, SCHEMA, VERSION, rescue=salvage))
        except (sqlite3.Error, OSError, CoderError) as error:
            self._failed(error)

    def begin(self, call: Call) -> int:
        """Write a call that is about to be sent, at its worst case; the answer names it for `finish`."""
        if (written := self._write(call)) is not None:
            return written
        self._last_unwritten -= 1
        self._unwritten[self._last_unwritten] = call
        return self._last_unwritten

    def finish(self, number: int, call: Call) -> None:
        """What the call came to in the end."""
        if number in self._unwritten:
            self._unwritten[number] = call
        else:
            columns = ", ".join(f"{name} = ?" for name in _COLUMNS)
            if self._execute(f"UPDATE calls SET {columns} WHERE id = ?", (*_row(call), number)) is None:
                self._unwritten[number] = call
        self._flush()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from booking between a look at what is spent and the next booking."""
        began = self._connection if self._execute("BEGIN IMMEDIATE", ()) is not None else None
        try:
            yield
        finally:
            if began is not None and began is self._connection:
                self._execute("COMMIT", ())

    def shared(self) -> contextlib.AbstractContextManager[None]:
        """No lock: enough where only this process books."""
        return contextlib.nullcontext()

    def spent(self, *, session: str | None = None, since: float | None = None) -> tuple[float, int]:
        """USD booked for a session or since a time, and how many calls have no known price."""
        where, values = _where(session, since)
        rows = self._select(f"SELECT coalesce(sum(usd), 0), count(*) - count(usd) FROM calls {where}", values)
        usd, unpriced = (rows[0][0], rows[0][1]) if rows else (0.0, 0)
        for number, call in self._unwritten.items():
            if number < 0 and (session in (None, call.session)) and (since is None or call.time >= since):
                usd, unpriced = usd + (call.usd or 0.0), unpriced + (call.usd is None)
        return float(usd), int(unpriced)

    def ignorance(self, since: float) -> str:
        """Why it cannot be known what was spent since a time; "" where it can."""
        if not self._select("SELECT 1", ()):
            return self.complaint or "the ledger is not open"
        gap = self._gap()
        if gap <= since:
            return ""
        then = time.strftime("%Y-%m-%d %H:%M", time.localtime(gap))
        return f"the ledger was damaged before {then}, and calls may be missing"

    def _gap(self) -> float:
        """Until when there may have been calls that are not in the ledger; 0 for never."""
        if not self._has("gaps"):
            return 0.0
        rows = self._select("SELECT coalesce(max(time), 0.0) FROM gaps", ())
        return float(rows[0][0]) if rows else 0.0

    def last(self, session: str, role: str) -> Call | None:
        """The newest call of a role in a session that was answered. Opens the file if need be."""
        self.open()
        where = "WHERE session = ? AND role = ? AND status = 'ok' ORDER BY id DESC LIMIT 1"
        rows = self._select(f"SELECT {', '.join(_COLUMNS)} FROM calls {where}", (session, role))
        return Call(*rows[0]) if rows else None

    def totals(
        self, by: By, *, session: str | None = None, since: float | None = None, main: Model | None = None
    ) -> tuple[Total, ...]:
        """Totals by `by`, dearest first. With `main`, also what all of it would have cost on that model.

        Opens the file if need be, so it may block; `complaint` says why nothing came.
        """
        self.open()
        where, values = _where(session, since)
        rows = self._select(
            f"SELECT {_GROUPS[by]} AS key, model, input_tokens > 0 OR output_tokens > 0 AS billed, count(*) AS calls,"
            " sum(input_tokens) AS i, sum(cached_tokens) AS c, sum(reasoning_tokens) AS r, sum(output_tokens) AS o,"
            " coalesce(sum(usd), 0.0) AS usd, count(*) - count(usd) AS unpriced, sum(estimated) AS e,"
            f" sum(latency_s) AS l, sum(predicted_tokens) AS p FROM calls {where} GROUP BY 1, 2, 3",
            values,
        )
        found: dict[str, Total] = {}
        for row in rows:
            found[row["key"]] = _plus(found.get(row["key"]), row, main)
        return tuple(sorted(found.values(), key=lambda total: (-total.usd, total.key)))

    def keep_log(self, price: LogPrice) -> None:
        """Write what triaged logs came to; without a usable file nothing is kept of it."""
        values = tuple(getattr(price, name) for name in LogPrice.__struct_fields__)
        if self._execute(LOGS, ()) is not None:
            marks = ", ".join("?" for _ in values)
            self._execute(f"INSERT INTO logs ({', '.join(LogPrice.__struct_fields__)}) VALUES ({marks})", values)

    def logs(self, *, session: str | None = None, since: float | None = None) -> LogTotal:
        """The triaged logs of a session or since a time. Opens the file if need be."""
        self.open()
        where, values = _where(session, since)
        if not self._has("logs"):
            return LogTotal()
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ("raw_tokens", "told_tokens", "raw_usd", "usd"))
        rows = self._select(f"SELECT count(*), {sums} FROM logs {where}", values)
        return LogTotal(*rows[0]) if rows else LogTotal()

    def close(self) -> None:
        if self._connection is not None:
            self._flush()
            self._connection.close()
            self._connection = None

    def _write(self, call: Call) -> int | None:
        marks = ", ".join("?" for _ in _COLUMNS)
        return self._execute(f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({marks})", _row(call))

    def _flush(self) -> None:
        for number, call in list(self._unwritten.items()):
            if number >= 0:
                columns = ", ".join(f"{name} = ?" for name in _COLUMNS)
                done = self._execute(f"UPDATE calls SET {columns} WHERE id = ?", (*_row(call), number))
            else:
                done = None if call.status == "open" else self._write(call)
            if done is None:
                return
            del self._unwritten[number]

    def _execute(self, statement: str, values: tuple[object, ...]) -> int | None:
        done = self._run(statement, values)
        return done[0] if done else None

    def _select(self, statement: str, values: tuple[object, ...]) -> list[sqlite3.Row]:
        done = self._run(statement, values)
        return done[1] if done else []

    def _has(self, table: str) -> bool:
        return bool(self._select("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    def _run(self, statement: str, values: tuple[object, ...]) -> tuple[int, list[sqlite3.Row]] | None:
        """The last row's id and the rows; None where that fails, also with a ledger made anew."""
        for renewable in (True, False):
            if self._connection is None:
                break
            try:
                cursor = self._connection.execute(statement, values)
                return cursor.lastrowid or 0, cursor.fetchall()
            except sqlite3.Error as error:
                if not (renewable and is_damage(error)):
                    self._failed(error)
                    break
                self._renew()
        return None

    def _failed(self, error: Exception) -> None:
        self.complaint = f"the ledger {self._path.name} cannot be used now ({error}); costs are kept in memory only"


def _row(call: Call) -> tuple[object, ...]:
    values = (getattr(call, name) for name in _COLUMNS)
    return tuple(_storable(value) if isinstance(value, str) else value for value in values)


def _storable(text: str) -> str:
    """As SQLite takes it: a directory's name may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _where(session: str | None, since: float | None) -> tuple[str, tuple[object, ...]]:
    wanted = [("session = ?", session), ("time >= ?", since)]
    given = [(clause, value) for clause, value in wanted if value is not None]
    clause = " AND ".join(clause for clause, _ in given)
    return (f"WHERE {clause}" if clause else ""), tuple(value for _, value in given)


def _plus(total: Total | None, row: sqlite3.Row, main: Model | None) -> Total:
    total = total or Total(row["key"], 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0.0, 0.0 if main else None)
    usage = Usage("", row["model"], row["calls"], row["i"], row["c"], row["r"], row["o"])
    on_main = replace(main, long_above=0).price(usage) if main else None  # sums say nothing of single long calls
    return replace(
        total,
        requests=total.requests + (row["calls"] if row["billed"] else 0),
        tries_failed=total.tries_failed + (0 if row["billed"] else row["calls"]),
        input_tokens=total.input_tokens + row["i"],
        cached_tokens=total.cached_tokens + row["c"],
        reasoning_tokens=total.reasoning_tokens + row["r"],
        output_tokens=total.output_tokens + row["o"],
        usd=total.usd + row["usd"],
        unpriced=total.unpriced + row["unpriced"],
        estimated=total.estimated + row["e"],
        latency_s=total.latency_s + row["l"],
        main_usd=None if total.main_usd is None or on_main is None else total.main_usd + on_main,
        predicted_tokens=total.predicted_tokens + row["p"],
    )


def start_of_day(now: float) -> float:
    """Seconds since the epoch at which the local day of `now` began."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))
