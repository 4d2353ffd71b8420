"""The user's own index: read, locked as git locks it, and replaced whole. For commits alone; nothing else writes it."""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from coder.errors import Failed, Refused
from coder.repo.discover import Location
from coder.repo.shadow import Shadow
from coder.repo.trees import IndexListing, TreeFile

PATIENCE_S = 1.0  # a git of somebody, or another coder, is rarely longer at it; a lock that was left stays for ever


@contextlib.contextmanager
def locked_index(location: Location) -> Iterator[Path]:
    """The user's index locked in git's own way; the file to fill is `index.lock`. Taken away if nothing took it."""
    lock = location.index.with_name("index.lock")
    last = time.monotonic() + PATIENCE_S
    while not _take(lock):
        if time.monotonic() > last:
            raise Refused(
                "another git process holds the index of this repository",
                f"let it end, or remove {lock} if none is running",
            )
        time.sleep(0.02)
    try:
        yield lock
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        return True
    except FileExistsError:
        return False
    except OSError as error:
        raise Failed(f"cannot write {lock}: {error.strerror}") from error


def index_entries(
    shadow: Shadow, location: Location, paths: Collection[str]
) -> tuple[dict[str, TreeFile], dict[str, str]]:
    """What is staged at `paths`, and the options of `update-index` that keep the marks some of them carry."""
    listing = shadow.trees.run("ls-files", "-z", "-v", "-s", env={"GIT_INDEX_FILE": str(location.index)})
    found: dict[str, TreeFile] = {}
    flags: dict[str, str] = {}
    for entry in IndexListing(listing).tracked():
        path = entry.path
        if path not in paths:
            continue
        if entry.stage != "0":
            raise Refused(f"{path} has merge conflicts", "resolve them first")
        found[path] = TreeFile(path, entry.mode, entry.oid, 0)
        if entry.tag in ("S", "s"):
            flags[path] = "--skip-worktree"
        elif entry.tag == "h":
            flags[path] = "--assume-unchanged"
    return found, flags


def index_info(location: Location, entries: Mapping[str, TreeFile | None]) -> bytes:
    lines = [f"0 {location.null_oid}\t{path}\0" for path, file in entries.items() if file is None]
    lines += [f"{file.mode} {file.oid}\t{path}\0" for path, file in entries.items() if file is not None]
    return os.fsencode("".join(lines))


def fill_lock(
    shadow: Shadow,
    location: Location,
    entries: Mapping[str, TreeFile | None],
    flags: Mapping[str, str],
    lock: Path,
) -> None:
    """Fill `index.lock` with the user's index and `entries` in it; `flags` are those that `index_entries` found."""
    index = location.index
    copy = shadow.work / "users-index"
    copy.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # there is none before the first `git add`
        shutil.copy2(index, copy)
    env = {"GIT_INDEX_FILE": str(copy)}
    info = index_info(location, entries)
    shadow.files.run("update-index", "-z", "--replace", "--index-info", stdin=info, env=env)
    for path, flag in flags.items():
        if entries.get(path) is not None:
            shadow.files.run("update-index", flag, "--", path, env=env)
    with open(copy, "rb") as source, open(lock, "wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        if index.exists():
            os.fchmod(target.fileno(), stat.S_IMODE(index.stat().st_mode))
        os.fsync(target.fileno())
    times = copy.stat()
    os.utime(lock, ns=(times.st_atime_ns, times.st_mtime_ns))
