"""Files below one root, reached without ever following a symbolic link.

Paths are relative POSIX text with surrogate escapes, contents are bytes. Knows nothing of journals, patches or git.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from msgspec import Struct

from coder.repo.rename import NEVER_REPLACE, SWAP, rename

Kind = Literal["none", "file", "directory", "symlink", "other"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24


class Obstacle(Exception):
    """The walk to `path`, or its end, meets something that is not what was asked for: a link, a pipe, a directory."""

    def __init__(self, path: str, kind: Kind) -> None:
        super().__init__(f"{path} is a {'special file' if kind == 'other' else kind}")
        self.path = path
        self.kind = kind


class Found(Struct, frozen=True):
    """A regular file as it was read. `mode` is its permission bits (0 to 0o7777)."""

    content: bytes
    mode: int
    links: int
    uid: int
    gid: int


class Creation(Struct, frozen=True):
    """How a new file is made. `mode` None: the umask decides, plus the execute bits if `executable`."""

    mode: int | None = None
    executable: bool = False
    uid: int = -1
    gid: int = -1
    attributes_of: str = ""


class Tree:
    """An open root directory. Holds one descriptor; every walk opens and closes its own."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A descriptor of the directory `path` ("" is the root). Raises FileNotFoundError or Obstacle."""
        descriptor = os.dup(self._root)
        try:
            walked = ""
            for name in path.split("/") if path else ():
                walked = f"{walked}/{name}" if walked else name
                try:
                    inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                except OSError as error:
                    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                        raise Obstacle(walked, _kind(name, descriptor)) from None
                    raise
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def deepest(self, path: str) -> tuple[str, Kind]:
        """The longest part of the directory `path` that exists, and what the next component is ("none" if complete
        or missing)."""
        while path:
            try:
                with self.directory(path):
                    return path, "none"
            except FileNotFoundError:
                path = path.rpartition("/")[0]
            except Obstacle as obstacle:
                return obstacle.path.rpartition("/")[0], obstacle.kind
        return "", "none"

    def kind(self, path: str) -> Kind:
        """What is at `path`; "none" also when a parent is missing or a file. Raises Obstacle for a link on the way."""
        parent, name = split(path)
        try:
            with self.directory(parent) as descriptor:
                return _kind(name, descriptor)
        except FileNotFoundError:
            return "none"
        except Obstacle as obstacle:
            if obstacle.kind == "file":
                return "none"
            raise

    def read(self, path: str) -> Found | None:
        """The regular file at `path`, None if there is none. Raises Obstacle for anything else there."""
        parent, name = split(path)
        try:
            with self.directory(parent) as directory:
                kind = _kind(name, directory)  # opening a device can have effects: look first
                if kind == "none":
                    return None
                if kind != "file":
                    raise Obstacle(path, kind)
                descriptor = os.open(name, _FILE, dir_fd=directory)
        except FileNotFoundError:
            return None
        except Obstacle as obstacle:
            if obstacle.kind == "file":
                return None
            raise
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Obstacle(path, "other")
            content = file.readall()
        return Found(content, stat.S_IMODE(status.st_mode), status.st_nlink, status.st_uid, status.st_gid)

    def names(self, directory: str) -> list[str]:
        """Every name in a directory, unsorted; empty if it does not exist."""
        try:
            with self.directory(directory) as descriptor:
                return os.listdir(descriptor)
        except FileNotFoundError:
            return []

    def mode(self, directory: str) -> int:
        """The permission bits of a directory."""
        with self.directory(directory) as descriptor:
            return stat.S_IMODE(os.fstat(descriptor).st_mode)

    def free(self, directory: str) -> tuple[int, os.statvfs_result]:
        """The device of a directory, and its file system's numbers."""
        with self.directory(directory) as descriptor:
            return os.fstat(descriptor).st_dev, os.fstatvfs(descriptor)

    def create(self, path: str, content: bytes, creation: Creation) -> list[str]:
        """Write a new file durably. Returns what could not be kept ("owner", "extended attributes")."""
        parent, name = split(path)
        first_mode = 0o600 if creation.mode is not None else 0o777 if creation.executable else 0o666
        with self.directory(parent) as directory:
            descriptor = os.open(name, _NEW_FILE, first_mode, dir_fd=directory)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
            lost = self._keep_owner(descriptor, creation)
            if creation.attributes_of:
                lost += self._copy_attributes(creation.attributes_of, descriptor)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if creation.mode is not None and creation.mode != mode:
                os.fchmod(descriptor, creation.mode)  # after the owner: a change of owner clears setuid
            elif creation.mode is None and creation.executable and not mode & 0o100:
                os.fchmod(descriptor, mode | 0o100)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return lost

    def _keep_owner(self, descriptor: int, creation: Creation) -> list[str]:
        status = os.fstat(descriptor)
        if creation.uid in (-1, status.st_uid) and creation.gid in (-1, status.st_gid):
            return []
        try:
            os.fchown(descriptor, creation.uid, creation.gid)
        except PermissionError:
            return ["owner"]
        return []

    def _copy_attributes(self, path: str, target: int) -> list[str]:
        if not hasattr(os, "listxattr"):
            return []
        parent, name = split(path)
        lost: list[str] = []
        with self.directory(parent) as directory:
            source = os.open(name, _FILE, dir_fd=directory)
        try:
            for attribute in os.listxattr(source):
                if not attribute.startswith("security."):  # the system labels new files itself
                    os.setxattr(target, attribute, os.getxattr(source, attribute))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EACCES):
                raise
            lost = [] if error.errno == errno.ENOTSUP else ["extended attributes"]
        finally:
            os.close(source)
        return lost

    def move(self, source: str, target: str) -> None:
        """Move a file to a name that must be free. Raises FileExistsError if it is taken."""
        self._rename(source, target, NEVER_REPLACE)

    def swap(self, one: str, other: str) -> bool:
        """Exchange two files in one step. Where the system cannot, `one` replaces `other`, and False is returned."""
        return self._rename(one, other, SWAP)

    def _rename(self, source: str, target: str, flag: int) -> bool:
        (from_parent, from_name), (to_parent, to_name) = split(source), split(target)
        with self.directory(from_parent) as from_directory, self.directory(to_parent) as to_directory:
            return rename(from_directory, from_name, to_directory, to_name, flag)

    def unlink(self, path: str) -> None:
        """Remove a file; one that is not there is no error."""
        parent, name = split(path)
        try:
            with self.directory(parent) as directory, _looking_first(name, directory):
                os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            pass

    def make_directory(self, path: str, mode: int | None) -> None:
        """Create a directory, by the umask or with an exact mode; one that exists is left as it is."""
        parent, name = split(path)
        with self.directory(parent) as directory:
            try:
                os.mkdir(name, 0o777 if mode is None else 0o700, dir_fd=directory)
            except FileExistsError:
                return
        if mode is not None:
            with self.directory(path) as descriptor:
                os.fchmod(descriptor, mode)

    def make_parents(self, path: str) -> None:
        """Create the missing directories above `path`."""
        names = split(path)[0].split("/") if "/" in path else []
        for depth in range(1, len(names) + 1):
            if self.kind("/".join(names[:depth])) == "none":
                self.make_directory("/".join(names[:depth]), None)

    def remove_directory(self, path: str) -> bool:
        """Remove a directory if it is there and empty; whether it was removed."""
        parent, name = split(path)
        try:
            with self.directory(parent) as directory, _looking_first(name, directory):
                os.rmdir(name, dir_fd=directory)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR):
                return False
            raise
        return True

    def sync(self, directory: str) -> None:
        """Make the names in a directory durable; one that no longer exists is no error."""
        try:
            with self.directory(directory) as descriptor:
                os.fsync(descriptor)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such thing
                raise


def split(path: str) -> tuple[str, str]:
    """The directory and the name of a path ("" is the root)."""
    parent, _, name = path.rpartition("/")
    return parent, name


def _kind(name: str, directory: int) -> Kind:
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return "none"
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


@contextlib.contextmanager
def _looking_first(name: str, directory: int) -> Iterator[None]:
    """A read-only file system says so even of a name that is not there; FileNotFoundError tells more."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EROFS:
            os.lstat(name, dir_fd=directory)
        raise
