"""A scratch copy of a repository, for where no overlay can be had. Shares blocks with the original where it can."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from coder.sandbox.values import SandboxError, View

# Dependencies and build results: big, ignored by git as a rule, and read-only to a command. Left out of the copy.
_LINKED = (".git", ".venv", "venv", "node_modules", ".tox", ".nox", "target", "vendor/bundle", ".gradle")
_MOST_FILES, _MOST_BYTES = 200_000, 4 << 30
_FICLONE = 0x40049409


def linked(root: str) -> list[str]:
    """What `copy_tree` leaves out of the copy and the caller must link to the original, read-only."""
    return [name for name in _LINKED if os.path.isdir(f"{root}/{name}") and not os.path.islink(f"{root}/{name}")]


def copy_tree(root: str, view: View, into: Path) -> None:
    """Copy the view's files to `into`, empty directories standing for `linked` ones. Symlinks stay symlinks; what is
    neither file, directory nor symlink is left out. Raises SandboxError past the size that is bearable."""
    apart = set(linked(root))
    budget = [_MOST_FILES, _MOST_BYTES]
    into.mkdir(mode=0o700)
    for top, directories, files in walk(root):
        if Path(top) == into.parent:
            directories.remove(into.name)  # the copy itself, where coder's cache lies in the repository
        below = os.path.relpath(top, root)
        target = into / below
        for name in [*directories]:
            inside = os.path.normpath(f"{below}/{name}")
            if os.path.islink(f"{top}/{name}"):
                os.symlink(os.readlink(f"{top}/{name}"), target / name)
            else:
                (target / name).mkdir()
            if inside in apart or os.path.islink(f"{top}/{name}"):
                directories.remove(name)
        for name in files:
            if os.path.normpath(f"{below}/{name}") not in view.masked:
                _copy(f"{top}/{name}", target / name, budget)
    if view.changed:
        shutil.copytree(view.changed, into, symlinks=True, dirs_exist_ok=True)
    for path in view.deleted:
        (into / path).unlink(missing_ok=True)


def walk(root: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """What os.walk yields, from the top; directories can be nested deeper than Python recurses. Names taken out of a
    list of directories are not entered."""
    waiting = [root]
    while waiting:
        top = waiting.pop()
        directories: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(top) as entries:
                for entry in entries:
                    (directories if entry.is_dir() else files).append(entry.name)
        except OSError:
            continue
        yield top, directories, files
        waiting += [path for name in directories if not os.path.islink(path := f"{top}/{name}")]


def python_path(root: str, copy: str) -> dict[str, str]:
    """PYTHONPATH for a copy of a repository that is installed in its own environment as editable.

    The installation points to the original, whose files are not the draft's: the copy's directories must come first.
    """
    found: list[str] = []
    for environment in (".venv", "venv"):
        for path in Path(root, environment).glob("lib/python3*/site-packages/*.pth"):
            lines = [os.path.realpath(line.strip()) for line in _text(path).splitlines() if line.startswith("/")]
            found += [line for line in lines if line == root or line.startswith(f"{root}/")]
            if path.name.startswith("__editable__") and not lines:  # a finder: it holds a map of packages
                found += [f"{root}/src", root]
    inside = [copy + path.removeprefix(root) for path in dict.fromkeys(found) if os.path.isdir(path)]
    return {"PYTHONPATH": ":".join(inside)} if inside else {}


def _text(path: Path) -> str:
    return path.read_bytes()[: 1 << 16].decode("utf-8", "surrogateescape")


def _copy(source: str, target: Path, budget: list[int]) -> None:
    status = os.lstat(source)
    budget[0] -= 1
    budget[1] -= status.st_size
    if min(budget) < 0:
        raise SandboxError("copy", "the repository is too big for a scratch copy")
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(status.st_mode):
        with open(source, "rb") as original, open(target, "xb") as copy:
            try:
                fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
            except OSError:
                shutil.copyfileobj(original, copy, 1 << 20)
        os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
