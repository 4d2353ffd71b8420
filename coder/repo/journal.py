"""The record of one change to a working tree: enough to take it back, at once after a kill or weeks later by undo.

A record is one file in the state directory: a line of JSON, then the bytes of the replaced files. Its name is its
state: `pending` (the tree is being changed: take it back), `committed` (the change is complete: tidy up) or
`NUMBER-ID.checkpoint`. It never touches the working tree itself.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, to_builtins

from coder.errors import Failed
from coder.repo.safe_io import Found
from coder.store import Places, locked, private_dir, sync_dir
from coder.text import visible_line

FORMAT = 1
LOCK_WAIT_S = 15.0
_NAME = re.compile(r"(\d{8})-([0-9a-f-]{10,40})\.checkpoint")


class Damaged(Failed):
    """A record does not hold what it should: its disk lost or changed bytes."""


class Image(Struct, frozen=True):
    """What a file is: SHA-256 and size of its bytes, permission bits and owner. `mode` -1: the umask decided."""

    sha256: str
    size: int
    executable: bool
    mode: int = -1
    uid: int = -1
    gid: int = -1

    def matches(self, found: Found | None) -> bool:
        """Whether a file is this one as git sees it: the same bytes and, where it was set, the same execute bit."""
        return (
            found is not None
            and len(found.content) == self.size
            and (self.mode < 0 or bool(found.mode & 0o100) == self.executable)
            and digest(found.content) == self.sha256
        )


class Step(Struct, frozen=True):
    """One move of a change, done in order and taken back in reverse.

    A file step takes `path` from `before` to `after` (None: no file). `temp` is the name under which the new file
    waits beforehand, and the old one afterwards. A directory step makes or removes `path` (`mode`: its permission
    bits, -1: by the umask).
    """

    do: Literal["file", "make_directory", "remove_directory"]
    path: str
    temp: str = ""
    before: Image | None = None
    after: Image | None = None
    mode: int = -1

    @property
    def restored(self) -> str:
        """The name that a recovery writes the old file to, apart from `temp`: it may be killed as well."""
        return f"{self.temp}-r"


class Journal(Struct, frozen=True):
    """A change as a list of steps. `emptied` are directories, deepest first, to remove afterwards if nothing is left
    in them, with their permission bits. `undoes` is the checkpoint that this change takes back, or ""."""

    id: str
    when: float
    label: str
    root: str
    steps: tuple[Step, ...]
    emptied: tuple[tuple[str, int], ...] = ()
    undoes: str = ""

    @property
    def files(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.do == "file")

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(step.path for step in self.files))


class Record(Struct, frozen=True):
    """A journal on disk. The bytes of the replaced files start at `data` and follow in the order of the steps."""

    file: Path
    journal: Journal
    data: int

    def content(self, step: Step) -> bytes:
        """The bytes of the file that `step` replaced. Raises Failed if the record is damaged."""
        assert step.before is not None
        offset = self.data
        for other in self.journal.files:
            if other is step:
                break
            offset += other.before.size if other.before else 0
        with open(self.file, "rb") as file:
            file.seek(offset)
            content = file.read(step.before.size)
        if digest(content) != step.before.sha256:
            raise Damaged(f"{self.file} is damaged: what {visible_line(step.path)} had been is lost")
        return content


class Vault:
    """The private directory that holds the records of one working tree."""

    def __init__(self, places: Places, root: Path) -> None:
        self.root = os.path.realpath(root)
        key = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        self.directory = places.state / "checkpoints" / key
        self._places = places

    @property
    def pending(self) -> Path:
        return self.directory / "pending"

    @property
    def committed(self) -> Path:
        return self.directory / "committed"

    def unfinished(self) -> Path | None:
        """The record of a change that has not come to its end, by a kill or because it is under way."""
        return next((path for path in (self.committed, self.pending) if os.path.lexists(path)), None)

    @contextlib.contextmanager
    def lock(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Only one coder changes a working tree at a time. Raises Failed when another one does not come to an end."""
        for directory in (self._places.state, self.directory.parent, self.directory):
            is_new = not directory.exists()
            private_dir(directory)
            if is_new:
                sync_dir(directory.parent)  # else a loss of power could take the records of a change with it
        give_up = time.monotonic() + wait_s
        while True:
            with locked(self.directory / "lock", wait=False) as mine:
                if mine:
                    yield
                    return
            if time.monotonic() > give_up:
                raise Failed(
                    f"another coder has been writing to {self.root} for over {wait_s:.0f} seconds",
                    "try again when it is done",
                )
            time.sleep(0.02)

    def names(self) -> list[tuple[int, str, Path]]:
        """Number, id and file of every checkpoint, oldest first. Reads one directory and no file."""
        try:
            entries = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        found = (_NAME.fullmatch(name) for name in entries)
        return sorted((int(match[1]), match[2], self.directory / match[0]) for match in found if match)

    def begin(self, journal: Journal, contents: Sequence[bytes]) -> Record:
        """Put the record on disk, durably, before the tree is touched."""
        draft = self.directory / "pending.new"
        header = json.dumps(to_builtins(journal) | {"format": FORMAT}, separators=(",", ":")).encode() + b"\n"
        draft.unlink(missing_ok=True)
        try:
            write_durably(draft, (header, *contents))
            os.replace(draft, self.pending)
            sync_dir(self.directory)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
                self.pending.unlink(missing_ok=True)
            raise
        return Record(self.pending, journal, len(header))

    def commit(self, record: Record) -> Record:
        """Mark the change as complete: from here on it is finished, never taken back."""
        os.replace(self.pending, self.committed)
        sync_dir(self.directory)
        return Record(self.committed, record.journal, record.data)

    def set_aside(self, file: Path) -> Path:
        """Move a record out of the way that cannot be worked with, and return where it is."""
        aside = file.with_name(f"damaged-{new_id(time.time())}")
        os.replace(file, aside)
        return aside

    def reopen(self, record: Record) -> Record:
        """Take the mark back, if it was set."""
        if self.committed.exists():
            os.replace(self.committed, self.pending)
        return Record(self.pending, record.journal, record.data)

    def close(self, record: Record) -> None:
        """Turn the record of a finished change into a checkpoint. The order of numbers does not trust the clock."""
        counter = self.directory / "count"  # spares a look at every name; a lost one is made up for
        try:
            number = int(counter.read_bytes()) + 1
        except (FileNotFoundError, ValueError):
            number = max((number for number, _, _ in self.names()), default=0) + 1
        counter.write_bytes(b"%d" % number)
        counter.chmod(0o600)
        os.replace(record.file, self.directory / f"{number:08d}-{record.journal.id}.checkpoint")

    def keep(self, record: Record, step: Step, content: bytes, what: str) -> Path:
        """Save bytes that nothing else holds any more, and return where."""
        directory = private_dir(private_dir(self.directory / "kept") / record.journal.id)
        name = os.fsdecode(os.fsencode(os.path.basename(step.path))[:100])
        file = directory / f"{record.journal.steps.index(step)}-{what}-{name}"
        file.unlink(missing_ok=True)
        write_durably(file, (content,))
        sync_dir(directory)
        return file


def read_record(file: Path) -> Record:
    """Read a record's journal. Raises OSError, or ValueError when the file is not one."""
    with open(file, "rb") as stream:
        header = stream.readline()
    try:
        fields = json.loads(header)
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
            raise ValueError(f"{file} is not a record of this version")
        fields["steps"] = tuple(_step(step) for step in fields["steps"])
        fields["emptied"] = tuple((str(path), int(mode)) for path, mode in fields["emptied"])
        return Record(file, Journal(**fields), len(header))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is not a record: {error}") from error


def _step(fields: dict[str, Any]) -> Step:
    images = {key: Image(**fields[key]) if fields[key] else None for key in ("before", "after")}
    return Step(**(fields | images))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def image_of(found: Found) -> Image:
    """The image of a file that was read."""
    return Image(digest(found.content), len(found.content), bool(found.mode & 0o100), found.mode, found.uid, found.gid)


def write_durably(path: Path, parts: Iterable[bytes]) -> None:
    """Write a new private file (0600) and wait for the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.writelines(parts)
        file.flush()
        os.fsync(descriptor)


def new_id(when: float) -> str:
    """An id that says when (UTC) and is unique: `20261231-235959-1a2b3c`."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(when))}-{os.urandom(3).hex()}"
