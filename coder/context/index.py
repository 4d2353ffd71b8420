"""The index: facts of files by blob id, in one SQLite file in the cache directory.

Branches, worktrees and clones share what they have in common. The file may be deleted at any time; a damaged one is
set aside and built again. Each row holds its checksum, so that damage is never taken for a fact.
"""

import contextlib
import json
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from coder.context.facts import DATA_BYTES, Facts, facts_key, read_bytes, worth_reading
from coder.context.pool import Job, Pool
from coder.store import Places, aside_of, open_database, set_aside

FILE, VERSION = "context.sqlite", 5
RENEWED = "the index was damaged or of another version: it is now {}, and built anew"
NOT_KEPT = "the index is not kept: {} cannot be written"
CHUNK_BYTES, CHUNK_FILES = 4_000_000, 1_000  # contents held in memory at a time while indexing
GLANCE_SECONDS = 0.4
MANY = 500  # values in one SQL statement

_SCHEMA = """
CREATE TABLE facts (
    key TEXT PRIMARY KEY, ids BLOB NOT NULL, counts BLOB NOT NULL, words INT NOT NULL, comment_words INT NOT NULL,
    name_words INT NOT NULL, lines INT NOT NULL, why TEXT NOT NULL, imports TEXT NOT NULL, checksum INT NOT NULL
); -- with a rowid: whether a key is there is then told by a small index, not by pages full of terms
CREATE TABLE symbols (key TEXT PRIMARY KEY, symbols TEXT NOT NULL, checksum INT NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (oid TEXT PRIMARY KEY, tokens INT NOT NULL, checksum INT NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
    head TEXT PRIMARY KEY, used REAL NOT NULL, commits TEXT NOT NULL, checksum INT NOT NULL
) WITHOUT ROWID;
"""

Progress = Callable[[int, int], None]


class File(Protocol):
    """One tracked file of a tree: what `coder.repo` calls a TreeFile. `size` is in bytes."""

    @property
    def path(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def oid(self) -> str: ...
    @property
    def size(self) -> int: ...


class Blobs(Protocol):
    """Where file contents come from: a `coder.repo.Repository`."""

    def read_blobs(self, oids: Iterable[str]) -> Mapping[str, bytes]: ...


class Index:
    """The open database. Without a writable cache directory it lives in memory, for this process only.

    `note`: "" or what the user should know of it.
    """

    def __init__(self, database: sqlite3.Connection, note: str = "") -> None:
        self._database = database
        self.note = note

    @classmethod
    def open(cls, places: Places) -> "Index":
        path = places.cache / FILE
        try:
            database = open_database(path, _SCHEMA, VERSION)
        except sqlite3.OperationalError:
            return cls(_in_memory(), NOT_KEPT.format(path))
        if database.aside:
            _renewed[path] = RENEWED.format(database.aside)
        return cls(database, _renewed.get(path, ""))

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── facts ────────────────────────────────────────────────────────────────────────────────────

    def update(
        self,
        blobs: Blobs,
        files: Iterable[File],
        progress: Progress = lambda done, total: None,
        patience: float = float("inf"),
    ) -> list[File]:
        """Read what is not known yet, in worker processes and in the order given; returns what is left.

        Where all of it should take longer than `patience` seconds only a first glance is taken. Raises OperationalError
        where it cannot be kept: what is read is looked up later.
        """
        missing = self._missing(files)
        if not missing:
            return []
        size, done, total = sum(map(_bytes_read, missing.values())), 0, len(missing)
        progress(0, total)
        with Pool(size) as pool:
            expected = size / pool.bytes_per_second
            deadline = time.monotonic() + (2 * patience if expected <= patience else GLANCE_SECONDS)
            for chunk in _chunks(dict(missing)):
                read = self._store(_until(deadline, pool.read(_jobs(blobs, chunk))))
                done += len(read)
                progress(done, total)
                for key in read:
                    del missing[key]
                if time.monotonic() > deadline:
                    break
        return list(missing.values())

    def _missing(self, files: Iterable[File]) -> dict[str, File]:
        wanted = {facts_key(file.oid, file.path): file for file in files if worth_reading(file.path, file.size)}
        if not self._database.execute("SELECT 1 FROM facts LIMIT 1").fetchone():
            return wanted
        for keys in _batches(list(wanted)):
            marks = ",".join("?" * len(keys))
            for (key,) in self._database.execute(f"SELECT key FROM facts WHERE key IN ({marks})", keys):
                del wanted[key]
        return wanted

    def _store(self, read: Iterable[tuple[Job, Facts]]) -> list[str]:
        facts, symbols = [], []
        for job, found in read:
            fields = (found.words, found.comment_words, found.name_words, found.lines, found.why, found.imports)
            facts.append(_summed(job.key, found.ids, found.counts, *fields))
            symbols.append(_summed(job.key, found.symbols))
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?,?,?,?,?,?,?,?,?,?)", facts)
            database.executemany("INSERT OR REPLACE INTO symbols VALUES (?,?,?)", symbols)
        return [str(key) for key, *_ in facts]

    def facts(self, keys: Sequence[str]) -> Iterator[tuple[str, Facts]]:
        """The facts of those keys that are known, without their symbols."""
        for batch in _batches(keys):
            marks = ",".join("?" * len(batch))
            for row in self._database.execute(f"SELECT * FROM facts WHERE key IN ({marks})", batch):
                key, *fields = _sound(row)
                yield key, Facts(*fields)

    def holding(self, terms: Mapping[int, float], most: int) -> set[str]:
        """The keys that hold the most of `terms` (weights by number), a few of them by accident; without loading any.

        One pass over the table in C: term numbers are looked for as bytes, wherever these begin.
        """
        hits = "+".join("? * (instr(ids, ?) > 0)" for _ in terms)
        values = [value for number, weight in terms.items() for value in (weight, number.to_bytes(4, sys.byteorder))]
        query = f"SELECT key, {hits} AS held FROM facts WHERE held > 0 ORDER BY held DESC LIMIT ?"
        return {key for key, _ in self._database.execute(query, (*values, most))} if terms else set()

    def symbols(self, keys: Sequence[str]) -> dict[str, Facts]:
        """The symbols (nothing else) of those keys that are known."""
        found = {}
        for batch in _batches(keys):
            marks = ",".join("?" * len(batch))
            for row in self._database.execute(f"SELECT * FROM symbols WHERE key IN ({marks})", batch):
                key, symbols = _sound(row)
                found[key] = Facts(symbols=symbols)
        return found

    # ── token counts and history ─────────────────────────────────────────────────────────────────

    def declaring(self, text: str, most: int) -> dict[str, Facts]:
        """The symbols (nothing else) of at most `most` keys whose declarations hold `text`, in any case of letters."""
        query = "SELECT * FROM symbols WHERE instr(lower(symbols), lower(?)) LIMIT ?"
        rows = map(_sound, self._database.execute(query, (json.dumps(text)[1:-1], most)))
        return {key: Facts(symbols=symbols) for key, symbols in rows}

    def tokens(self, oids: Sequence[str]) -> dict[str, int]:
        """The exact token counts of the blobs that were counted before."""
        found: dict[str, int] = {}
        for batch in _batches(oids):
            marks = ",".join("?" * len(batch))
            for row in self._database.execute(f"SELECT * FROM tokens WHERE oid IN ({marks})", batch):
                oid, count = _sound(row)
                found[oid] = count
        return found

    def keep_tokens(self, counts: Mapping[str, int]) -> None:
        """Remember counts, if that can be done now."""
        with contextlib.suppress(sqlite3.OperationalError), self._transaction() as database:
            rows = (_summed(oid, tokens) for oid, tokens in counts.items())
            database.executemany("INSERT OR REPLACE INTO tokens VALUES (?,?,?)", rows)

    def history(self, head: str) -> str | None:
        """What `keep_history` was given for this head, if it was."""
        query = "SELECT head, commits, checksum FROM history WHERE head = ?"
        row = self._database.execute(query, (head,)).fetchone()
        return _sound(row)[1] if row else None

    def keep_history(self, head: str, commits: str, keep: int = 64) -> None:
        """Remember a history, if that can be done now."""
        with contextlib.suppress(sqlite3.OperationalError), self._transaction() as database:
            row = head, time.time(), commits, _checksum(head, commits)
            database.execute("INSERT OR REPLACE INTO history VALUES (?,?,?,?)", row)
            database.execute(
                "DELETE FROM history WHERE head NOT IN (SELECT head FROM history ORDER BY used DESC LIMIT ?)", (keep,)
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Written whole or not at all. Raises OperationalError where another process holds it, or the disk is full."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk has ended it already
                self._database.execute("ROLLBACK")
            raise


T = TypeVar("T")


def with_index(places: Places, work: Callable[[Index], T]) -> T:
    """What `work` makes of the index. One that turns out to be damaged is set aside, and `work` done with a new one;
    where it can't be read at all now, or can't be set aside, `work` is done with one in memory.
    """
    path = places.cache / FILE
    try:
        with Index.open(places) as index:
            return work(index)
    except sqlite3.DatabaseError as error:
        renewed = _is_damage(error) and _renew(path)
    with Index.open(places) if renewed else Index(_in_memory(), NOT_KEPT.format(path)) as index:
        return work(index)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the content is at fault, and not the disk or another process. Text that is no UTF-8 has no code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _renew(path: Path) -> bool:
    try:
        set_aside(path)
    except OSError:
        return False
    _renewed[path] = RENEWED.format(aside_of(path))
    return True


def _checksum(*fields: str | bytes | int) -> int:
    parts = [field if isinstance(field, bytes) else str(field).encode("utf-8", "surrogatepass") for field in fields]
    return zlib.crc32(b"".join(parts))


def _summed(*fields: str | bytes | int) -> tuple[str | bytes | int, ...]:
    return (*fields, _checksum(*fields))


def _sound(row: Sequence[Any]) -> Sequence[Any]:
    """The fields of a row without their checksum. Raises DatabaseError where it is not theirs."""
    if _checksum(*row[:-1]) != row[-1]:
        raise sqlite3.DatabaseError("a row of the index is damaged")
    return row[:-1]


_renewed: dict[Path, str] = {}  # what this process had to set aside, and what to say of it


def _in_memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.executescript(_SCHEMA)
    return database


def _bytes_read(file: File) -> int:
    most = read_bytes(file.path) if file.size > DATA_BYTES else None
    return file.size if most is None else min(file.size, most)


def _jobs(blobs: Blobs, chunk: Mapping[str, File]) -> Iterator[Job]:
    contents = blobs.read_blobs(file.oid for file in chunk.values())
    for key, file in chunk.items():
        yield Job(key, file.path, contents.get(file.oid, b"")[: read_bytes(file.path)])


def _until(deadline: float, read: Iterable[tuple[Job, Facts]]) -> Iterator[tuple[Job, Facts]]:
    for answer in read:
        yield answer
        if time.monotonic() > deadline:
            return


def _chunks(files: Mapping[str, File]) -> Iterator[dict[str, File]]:
    chunk: dict[str, File] = {}
    size = 0
    for key, file in files.items():
        if chunk and (size + file.size > CHUNK_BYTES or len(chunk) >= CHUNK_FILES):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = file
        size += file.size
    if chunk:
        yield chunk


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), MANY):
        yield values[start : start + MANY]
