"""Where coder keeps its own things: private directories, whole-file writes, locks and SQLite files that survive a kill.

Everything is 0700/0600 and outside every repository. What is stored, and its meaning, belongs to the rooms above.
Nothing but the standard library is imported: processes in a sandbox, which see no library, use this module.
"""

import contextlib
import fcntl
import os
import pwd
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from coder.errors import Refused, UserError


class Places(NamedTuple):
    """coder's directories: `config` (the user's own files), `state` (kept), `cache` (may be deleted at any time)."""

    config: Path
    state: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"


def find_places(environ: Mapping[str, str] = os.environ) -> Places:
    """The directories of the XDG base directory specification, on every system; creates nothing.

    XDG_* and HOME must be absolute to count, so that nothing lands in the current directory. Without HOME the
    account's home is used; a user without an account has nowhere to write.
    """
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            home = "/nonexistent"

    def place(variable: str, default: str) -> Path:
        base = environ.get(variable, "")
        return Path(base if base.startswith("/") else os.path.join(home, default)) / "coder"

    return Places(
        place("XDG_CONFIG_HOME", ".config"), place("XDG_STATE_HOME", ".local/state"), place("XDG_CACHE_HOME", ".cache")
    )


def usable_places(places: Places) -> tuple[Places, str]:
    """`places`, created; those that cannot be written are replaced by private ones in the system's temporary
    directory, and a remark says so, else "". Raises where that cannot be written either, or is somebody else's."""
    remarks = []
    chosen = {}
    for what, place in (("state", places.state), ("cache", places.cache)):
        chosen[what] = place
        if not _is_writable(place):
            chosen[what] = private_dir(Path(tempfile.gettempdir(), f"coder-{os.geteuid()}-{what}"))
            remarks.append(f"{place} cannot be written: {_KEPT[what]} in {chosen[what]}, which may not last")
    return Places(places.config, chosen["state"], chosen["cache"]), "; ".join(remarks)


_KEPT = {"state": "sessions, costs and what undo needs are kept", "cache": "the cache is kept"}


def _is_writable(place: Path) -> bool:
    try:
        return os.access(private_dir(place), os.W_OK | os.X_OK)
    except UserError:
        return False


def private_dir(path: Path) -> Path:
    """Create `path` for this user only and return it. Refuses a symlink or another user's directory in its place.

    Missing directories above it are created in the same way, whatever the umask.
    """
    try:
        for missing in [parent for parent in reversed(path.parents) if not parent.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
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
    """Append one record durably; `line` should hold no newline.

    Several processes may append at once. A record that does not fit on the disk is taken out again. A tail that a
    kill tore is closed first, so that only that record is lost; readers skip it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        rest = memoryview((b"\n" if is_torn else b"") + line + b"\n")
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read_redacted(path: Path, known: tuple[str, ...] = ()) -> str:
    """The text of a log, and from now on the log itself, without the `known` secrets and what looks like one."""
    from coder.text import redact  # only here: processes that are started often use this module

    text = path.read_bytes().decode("utf-8", "replace")
    redacted = redact(text, known)
    if redacted != text:
        write_whole(path, redacted.encode("utf-8", "replace"))
    return redacted


# "codr": tells a file of coder from any other SQLite file. See https://www.sqlite.org/pragma.html#pragma_application_id
_APPLICATION_ID = 0x636F6472
BUSY_SECONDS = 5.0  # that another process's hold is waited for


class Database(sqlite3.Connection):
    """An open SQLite file. `aside`: where what it took the place of was put, None where it was there or is new."""

    aside: Path | None = None
    inode = 0


Rescue = Callable[[Path, sqlite3.Connection], None]


def _nothing(old: Path, new: sqlite3.Connection) -> None:
    """What most databases take over of a damaged one."""


def open_database(path: Path, schema: str, version: int, *, check: bool = False, rescue: Rescue = _nothing) -> Database:
    """Open (or create, 0600) a SQLite file with `schema` at `version` (PRAGMA user_version). `check` reads all of it.

    A file that is corrupt, foreign or of another version is set aside as `*.set-aside` and a new one made, into which
    `rescue` may take over what it can read of the old one, before anybody else opens it. Raises
    sqlite3.OperationalError when the place cannot be written or the file stays locked for 5 seconds, also for another
    user's directory.
    """
    with _one_at_a_time(path):
        try:
            return _open_database(path, schema, version, check)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return _renewed(path, schema, version, rescue)


def renew_database(found: Database, path: Path, schema: str, version: int, *, rescue: Rescue = _nothing) -> Database:
    """The same for a database that was found to be damaged after it was opened. It is set aside once: who comes second
    opens what the first has made."""
    found.close()
    with _one_at_a_time(path):
        if _inode(path) in (0, found.inode):
            return _renewed(path, schema, version, rescue)
        return _open_database(path, schema, version, check=False)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the content of a database is at fault, and not the disk, another process or what was asked of it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _renewed(path: Path, schema: str, version: int, rescue: Rescue) -> Database:
    _set_aside(path)
    database = _open_database(path, schema, version, check=False)
    database.aside = aside_of(path)
    rescue(database.aside, database)
    return database


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Only one process creates a database, or sets it aside. Raises OperationalError where the place is at fault."""
    try:
        private_dir(path.parent)
        with locked(path.with_name(f"{path.name}.lock")):
            yield
    except (OSError, UserError) as error:
        raise sqlite3.OperationalError(f"cannot open {path}: {error}") from error


def set_aside(path: Path) -> None:
    """Put away a database that was found to be damaged after it was opened; the next opening makes a new one."""
    with locked(path.with_name(f"{path.name}.lock")):
        _set_aside(path)


def aside_of(path: Path) -> Path:
    """Where a database goes that cannot be used."""
    return path.with_name(path.name + ".set-aside")


def _set_aside(path: Path) -> None:
    """With its log, which may hold what was written last."""
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    for suffix in ("-wal", ""):
        target = aside_of(path).with_name(aside_of(path).name + suffix)
        target.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            os.replace(path.with_name(path.name + suffix), target)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _open_database(path: Path, schema: str, version: int, check: bool) -> Database:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Database
    )
    connection.inode = _inode(path)
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        is_new = (found, application, tables) == (0, 0, 0)
        if not is_new and (found, application) != (version, _APPLICATION_ID):
            raise sqlite3.DatabaseError(f"not a file of coder at version {version}")
        if check and not is_new:
            _check(connection, schema)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if is_new:
            marks = f"PRAGMA application_id={_APPLICATION_ID};PRAGMA user_version={version}"
            connection.executescript(f"BEGIN IMMEDIATE;{schema};{marks};COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, schema: str) -> None:
    """Raises DatabaseError unless every page is sound and the tables are those of `schema`."""
    tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
    with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
        wanted.executescript(schema)
        if connection.execute(tables).fetchall() != wanted.execute(tables).fetchall():
            raise sqlite3.DatabaseError("its tables are other ones")
    if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
        raise sqlite3.DatabaseError("it is damaged")
