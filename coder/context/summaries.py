"""Summaries of files, by blob id, prompt version and model, in one SQLite file in the cache directory.

Branches, worktrees and clones share them; CI takes them along as JSON lines. Who makes them is not known here.
"""

import itertools
import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Literal

from msgspec import Struct

from coder.errors import Failed
from coder.store import Places, open_database
from coder.text import redact, visible

NAME = "summaries.sqlite"  # in the cache directory
VERSION = 1
RENEWED = "the summaries were damaged or of another version: they are now {}, and have to be made again"
NOT_KEPT = "summaries are not kept: {} cannot be written"
MAX_SUMMARY = 4_000  # characters; a foreign file with more is not believed
MAX_LINE = 20_000  # bytes of one line of an exported file
MAX_TAKEN = 256 * 1024 * 1024  # bytes read of one: a hundred thousand files have a third of that
MANY = 500  # values in one SQL statement

_SCHEMA = """
CREATE TABLE summaries (
    oid TEXT NOT NULL, version TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (oid, version, model)
) WITHOUT ROWID;
"""


class Maker(Struct, frozen=True):
    """What made a summary: the version of the prompt, and the model. Another one makes another summary."""

    version: str
    model: str


Row = tuple[str, Maker, str]
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class SummaryStore:
    """The open database. Without a writable cache directory it lives in memory, for this process only.

    `note`: "" or what the user should know of it; `lasts`: whether what is kept is there tomorrow; `unkept`: what could
    not be written yet, known to this process alone. Threads may share it.
    """

    def __init__(self, database: sqlite3.Connection, note: str = "", *, lasts: bool = True) -> None:
        self._database = database
        self._alone = threading.Lock()  # a transaction is the connection's, not the thread's
        self.unkept: dict[tuple[str, Maker], str] = {}
        self.note, self.lasts = note, lasts

    @classmethod
    def open(cls, places: Places) -> "SummaryStore":
        path = places.cache / NAME
        try:
            database = open_database(path, _SCHEMA, VERSION, check=True)
            database.text_factory = _text
        except sqlite3.OperationalError:
            memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            memory.executescript(_SCHEMA)
            return cls(memory, NOT_KEPT.format(path), lasts=False)
        return cls(database, RENEWED.format(database.aside) if database.aside else "")

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "SummaryStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, oids: Iterable[str], maker: Maker) -> dict[str, str]:
        """The summaries of those blobs that have one by `maker`."""
        wanted = dict.fromkeys(oids)
        with self._alone:
            found = {oid: text for (oid, by), text in self.unkept.items() if by == maker and oid in wanted}
        for batch in _batches(list(wanted)):
            marks = ",".join("?" * len(batch))
            query = f"SELECT oid, text FROM summaries WHERE version = ? AND model = ? AND oid IN ({marks})"
            found.update(self._database.execute(query, (maker.version, maker.model, *batch)))
        return found

    def keep(self, summaries: Mapping[str, str], maker: Maker) -> None:
        """Remember summaries by blob id, as a model may read them, and what could not be written before. Raises Failed
        where that is not possible; they are `unkept` then."""
        self._write((oid, maker, text) for oid, text in summaries.items())

    def _write(self, rows: Iterable[Row]) -> None:
        with self._alone:
            self.unkept |= {(oid, maker): _shown(text) for oid, maker, text in rows}
            kept = [(oid, maker, text) for (oid, maker), text in self.unkept.items()]
            try:
                self._insert("REPLACE", kept)
            except sqlite3.OperationalError as error:
                raise Failed(
                    f"{len(kept)} summaries cannot be kept: {error}",
                    "make room in the cache directory, then the same call goes on; "
                    "--export FILE saves what cannot be kept",
                ) from error
            self.unkept.clear()

    def _insert(self, otherwise: Literal["REPLACE", "IGNORE"], rows: Iterable[Row]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            values = ((oid, maker.version, maker.model, text) for oid, maker, text in rows)
            self._database.executemany(f"INSERT OR {otherwise} INTO summaries VALUES (?,?,?,?)", values)
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def export(self, oids: Iterable[str], maker: Maker, file: IO[bytes]) -> int:
        """Write the known summaries of `oids` as JSON lines, sorted; how many."""
        found = self.known(oids, maker)
        for oid in sorted(found):
            row = {"oid": oid, "version": maker.version, "model": maker.model, "text": found[oid]}
            file.write(json.dumps(row).encode("ascii") + b"\n")
        return len(found)

    def take_in(self, file: IO[bytes], maker: Maker) -> "Taken":
        """Read what `export` wrote. A foreign file is data that a model will read: it is bounded, kept like any other,
        and replaces nothing. Raises Failed where it cannot be kept."""
        own = others = refused = size = 0
        while size < MAX_TAKEN and (lines := _some_lines(file)):
            size += sum(map(len, lines))
            rows = [(oid, by, _shown(text)) for oid, by, text in filter(None, map(_row, lines))]
            try:
                self._insert("IGNORE", rows)
            except sqlite3.OperationalError as error:
                raise Failed(f"the summaries cannot be kept: {error}", "make room in the cache directory") from error
            fit = sum(by == maker for _, by, _ in rows)
            own, others, refused = own + fit, others + len(rows) - fit, refused + len(lines) - len(rows)
        return Taken(own, others, refused, whole=not file.read(1))


class Taken(Struct, frozen=True):
    """Lines of an exported file: those by the maker asked for, by `others`, and `refused` ones, which are no summary;
    and whether that was the `whole` file."""

    own: int
    others: int
    refused: int
    whole: bool


def known_summaries(places: Places, oids: Iterable[str], maker: Maker | None) -> tuple[dict[str, str], str]:
    """The summaries of those blobs that `maker` made, none where nobody ever asked for one; and the store's note."""
    if maker is None or not (places.cache / NAME).is_file():
        return {}, ""
    with SummaryStore.open(places) as store:
        return store.known(oids, maker), store.note


def _text(stored: bytes) -> str:
    """A byte that went bad on the disk is no reason to fail."""
    return stored.decode("utf-8", "replace")


def _row(line: bytes) -> Row | None:
    try:
        match json.loads(line):
            case {"oid": str(oid), "version": str(version), "model": str(model), "text": str(text)}:
                fits = _OID.fullmatch(oid) and max(len(version), len(model)) <= 100 and 0 < len(text) <= MAX_SUMMARY
                return (oid, Maker(visible(version), visible(model)), text) if fits else None
    except (ValueError, RecursionError):
        pass
    return None


def _some_lines(file: IO[bytes]) -> list[bytes]:
    return list(itertools.islice(iter(lambda: file.readline(MAX_LINE + 1), b""), MANY))


def _shown(text: str) -> str:
    return redact(visible(text))


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), MANY):
        yield values[start : start + MANY]
