"""A working tree and its state directory for the tests of apply, recover and undo."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from coder.repo.apply import FileChange
from coder.store import Places

# Where hundreds of rounds cost little: a directory in memory, if there is one.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

Picture = dict[str, tuple[str, int, bytes]]


@dataclass(frozen=True)
class Spot:
    """What `apply` needs of a Location."""

    root: Path
    git_dir: Path
    common_dir: Path


def new_spot(base: Path) -> tuple[Spot, Places]:
    root = base / "tree"
    (root / ".git").mkdir(parents=True)
    return Spot(root, root / ".git", root / ".git"), Places(base / "config", base / "state" / "coder", base / "cache")


def picture(root: Path) -> Picture:
    """Every path below root: kind, permission bits, and content or link target."""
    seen: Picture = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            if path.is_symlink():
                content = os.fsencode(os.readlink(path))
            else:
                content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            seen[str(path.relative_to(root))] = (
                stat.filemode(status.st_mode)[0],
                stat.S_IMODE(status.st_mode),
                content,
            )
    return seen


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def modify(path: str, before: bytes, after: bytes, executable: bool | None = None) -> FileChange:
    return FileChange(path, before, None, after, executable)


def create(path: str, after: bytes, executable: bool | None = None) -> FileChange:
    return FileChange(path, None, None, after, executable)


def delete(path: str, before: bytes) -> FileChange:
    return FileChange(path, before, None, None, None)
