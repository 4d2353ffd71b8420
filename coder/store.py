"""Where coder keeps its own things: private directories, whole-file writes, locks and SQLite files that survive a kill.

Everything is 0700/0600 and outside every repository. What is stored, and its meaning, belongs to the rooms above.
"""

import contextlib
import fcntl
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coder.errors import Refused, UserError


@dataclass(frozen=True, slots=True)
class Places:
    """coder's directories: `config` (the user's own files), `state` (kept), `cache` (may be deleted at any time)."""

    config: Path
    state: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"


def find_places(environ: Mapping[str, str] = os.environ) -> Places:
    """The directories of the XDG base directory specification, on every system; creates nothing.

    XDG_* must be absolute to count, as the specification says. Without HOME the account's home is used.
    """
    home = environ.get("HOME") or os.path.expanduser("~")

    def place(variable: str, default: str) -> Path:
        base = environ.get(variable, "")
        return Path(base if base.startswith("/") else os.path.join(home, default)) / "coder"

    return Places(
        place("XDG_CONFIG_HOME", ".config"), place("XDG_STATE_HOME", ".local/state"), place("XDG_CACHE_HOME", ".cache")
    )


def private_dir(path: Path) -> Path:
    """Create `path` for this user only and return it. Refuses a symlink or another user's directory in its place."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise UserError(
            f"cannot create {path}: {error.strerror}", "set XDG_STATE_HOME, XDG_CACHE_HOME or HOME to a writable place"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise Refused(f"{path} is not a directory of yours", "remove it or point XDG_STATE_HOME elsewhere")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content` so that a reader or a crash sees the old file or the new one, never a part."""
    descriptor, name = tempfile.mkstemp(prefix=".coder-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Make renames and unlinks inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an advisory lock on `path` (created, 0600). Yields False at once if `wait` is off and it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(
                descriptor, fcntl.LOCK_UN
            )  # a child forked meanwhile holds the same lock: closing is not enough
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Append one record durably; `line` must hold no newline. Readers skip a tail that a crash tore."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open (or create, 0600) a SQLite file with `schema` at `version` (PRAGMA user_version).

    A file that is corrupt, foreign or of another version is set aside as `*.set-aside` and a new one made: these
    files are caches and records, never the only copy of a user's work. May raise sqlite3.OperationalError when the
    place is read-only or the file stays locked for 5 seconds.
    """
    private_dir(path.parent)
    try:
        return _open_database(path, schema, version)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.replace(path, path.with_name(path.name + ".set-aside"))
        return _open_database(path, schema, version)


def _open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"schema version {found}, not {version}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if found == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("not a file of coder")
            connection.executescript(f"BEGIN IMMEDIATE;{schema};PRAGMA user_version={version};COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection
