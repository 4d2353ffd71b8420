"""A TreeView of the working tree on disk: follows no symbolic link, enters no submodule, reads no special file."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

from coder.repo.patch.edits import FileKind

_LISTED = 200_000  # paths; beyond that no name is completed by its ending
_TOO_LARGE = 32 * 1024 * 1024  # bytes; no edit of a model is about such a file


class WorktreeView:
    """The files below `root` as they are now. Every component of a path is checked on each access."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._paths: tuple[str, ...] | None = None

    @property
    def root(self) -> str:
        return self._root

    def kind(self, path: str) -> FileKind:
        at = self._root
        parts = path.split("/")
        for number, part in enumerate(parts, 1):
            at = os.path.join(at, part)
            try:
                mode = os.lstat(at).st_mode
            except (OSError, ValueError):
                return "none"
            if stat.S_ISLNK(mode):
                return "symlink"
            if stat.S_ISDIR(mode):
                if os.path.lexists(os.path.join(at, ".git")):
                    return "submodule"
                if number == len(parts):
                    return "dir"
            elif number < len(parts):
                return "none"
            elif not stat.S_ISREG(mode):
                return "symlink"  # a pipe, a socket or a device: as little to be opened as a link
        return "file"

    def read(self, path: str) -> bytes:
        """The bytes of a regular file. Raises OSError if a component is a link, or the file is too large."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            *parents, name = path.split("/")
            for parent in parents:
                inner = os.open(parent, flags | os.O_DIRECTORY, dir_fd=folder)
                os.close(folder)
                folder = inner
            with open(os.open(name, flags, dir_fd=folder), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > _TOO_LARGE:
                    raise OSError(f"{path} is not a regular file of at most {_TOO_LARGE} bytes")
                return file.read()
        finally:
            os.close(folder)

    def executable(self, path: str) -> bool:
        try:
            return bool(os.lstat(os.path.join(self._root, path)).st_mode & stat.S_IXUSR)
        except OSError:
            return False

    def paths(self) -> Collection[str]:
        """All regular files outside `.git` and submodules, listed once; none if there are too many to tell apart."""
        if self._paths is None:
            found: list[str] = []
            self._walk("", found)
            self._paths = tuple(found) if len(found) < _LISTED else ()
        return self._paths

    def _walk(self, folder: str, found: list[str]) -> None:
        pending = [folder]
        while pending and len(found) < _LISTED:
            prefix = pending.pop()
            try:
                entries = list(os.scandir(os.path.join(self._root, prefix)))
            except OSError:
                continue
            if prefix and any(entry.name == ".git" for entry in entries):
                continue
            for entry in entries:
                path = f"{prefix}/{entry.name}" if prefix else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git":
                        pending.append(path)
                elif entry.is_file(follow_symlinks=False):
                    found.append(path)
