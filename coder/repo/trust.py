"""The user's word about repositories: which are trusted, and which commands may run in which. Never asks anyone.

Kept in the user's state directory. A repository is known by its real path and by the very `.git` found there, so
that another one put in its place is asked about again.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from coder.errors import Failed, UserError
from coder.store import Places, open_database

_VERSION = 1
_SCHEMA = """
CREATE TABLE trusted (root TEXT NOT NULL PRIMARY KEY, git TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE approved (root TEXT NOT NULL, git TEXT NOT NULL, argv TEXT NOT NULL, at REAL NOT NULL,
                       PRIMARY KEY (root, git, argv));
"""


class TrustStore:
    """Trust by repository root. Each call opens the file anew: several sessions may write at once."""

    def __init__(self, places: Places) -> None:
        self._file = places.state / "trust.sqlite"

    def is_trusted(self, root: Path) -> bool:
        """Whether this very repository was trusted. The home directory and `/` never are."""
        git = _identity(root)
        if not git or _is_too_wide(root):
            return False
        return bool(self._read("SELECT 1 FROM trusted WHERE root = ? AND git = ?", _key(root), git))

    def add(self, root: Path) -> None:
        """Trust the repository at `root` until `remove`. Raises UserError where that would mean too much."""
        git = _identity(root)
        if _is_too_wide(root):
            raise UserError(f"{root} is never trusted as a whole", "trust the repository itself")
        if not git:
            raise UserError(f"{root} is not the root of a git repository")
        self._write("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?)", _key(root), git, time.time())

    def remove(self, root: Path) -> None:
        """Forget all that was said about `root`, which need not exist any more."""
        self._write("DELETE FROM trusted WHERE root = ?", _key(root))
        self._write("DELETE FROM approved WHERE root = ?", _key(root))

    def list(self) -> tuple[Path, ...]:
        """The trusted roots, oldest first."""
        return tuple(Path(json.loads(row[0])) for row in self._read("SELECT root FROM trusted ORDER BY at"))

    def approved_commands(self, root: Path) -> frozenset[tuple[str, ...]]:
        """The commands that the user allowed to run in this very repository, word for word."""
        rows = self._read("SELECT argv FROM approved WHERE root = ? AND git = ?", _key(root), _identity(root))
        return frozenset(tuple(json.loads(row[0])) for row in rows)

    def approve_command(self, root: Path, argv: Sequence[str]) -> None:
        """Remember that exactly this command may run here. Not remembered for the home directory and `/`."""
        git = _identity(root)
        if git and not _is_too_wide(root):
            row = (_key(root), git, json.dumps(list(argv)), time.time())
            self._write("INSERT OR REPLACE INTO approved VALUES (?, ?, ?, ?)", *row)

    def _read(self, query: str, *values: str) -> Sequence[tuple[str]]:
        if not self._file.exists():
            return []
        with contextlib.suppress(sqlite3.Error), self._open() as database:
            return database.execute(query, values).fetchall()
        return []  # what cannot be read was not said

    def _write(self, statement: str, *values: str | float) -> None:
        try:
            with self._open() as database:
                database.execute(statement, values)
        except sqlite3.Error as error:
            raise Failed(f"cannot write {self._file}: {error}") from error

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(open_database(self._file, _SCHEMA, _VERSION)) as database:
            yield database


def _key(root: Path) -> str:
    """The real path, as JSON: names need not be UTF-8."""
    return json.dumps(os.path.realpath(root))


def _identity(root: Path) -> str:
    """What tells this `.git` from another one at the same path: device and inode. "" when there is none."""
    try:
        status = (root / ".git").stat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}"


def _is_too_wide(root: Path) -> bool:
    homes = {os.path.realpath(os.path.expanduser("~")), os.path.realpath(Path.home()), "/"}
    return os.path.realpath(root) in homes
