"""From the working tree to a tree id: what is tracked and what is new, with the bytes that are on disk.

Lists with `ls-files`, hashes with `update-index` on an index of the shadow's. Never `add -A` or `status`: these obey
submodules. The user's index is read and nothing else of theirs is touched; no lock is taken there.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from coder.errors import UserError
from coder.garbage import not_collecting
from coder.repo.discover import read_small
from coder.repo.git import GitError
from coder.repo.shadow import Shadow
from coder.repo.sizes import sizes_on_disk
from coder.repo.trees import (
    FILE_MODES,
    MISSING,
    SUBMODULE,
    SYMLINK,
    IndexEntry,
    IndexListing,
    Snapshot,
    TreeFile,
    parse_tree,
)
from coder.text import visible_line
from coder.values import Withheld

# Untracked files are taken on their owner's silence, so within bounds; tracked ones are the repository.
MAX_UNTRACKED_FILES = 10_000
MAX_UNTRACKED_BYTES = 8 << 20
MAX_UNTRACKED_TOTAL = 256 << 20
MAX_ATTRIBUTES = 1 << 20  # bytes of one file that are looked through


class _Wanted(Struct):
    """What the snapshot's index must hold: `present` as the disk has it, `fixed` as the user's index has it.

    `modes` are the user's index's, where the file system's execute bits mean nothing (core.fileMode off).
    """

    present: list[str] = []
    fixed: dict[str, IndexEntry] = {}
    modes: dict[str, str] = {}
    withheld: list[Withheld] = []
    read_only: list[Withheld] = []


@not_collecting()
def take_snapshot(shadow: Shadow) -> Snapshot:
    """The working tree now. Leaves the index of it in `shadow.index`. Blocking: call it in a thread."""
    shadow.catch_up()
    listing = _list_user_index(shadow)
    wanted = _sort_out(shadow.location.root, listing)
    if not shadow.location.is_on("core.filemode", True):
        wanted.modes = {e.path: e.mode for e in listing.tracked() if e.mode in FILE_MODES and e.stage == "0"}
    seeded = _start_index(shadow)
    with ThreadPoolExecutor(1) as beside:  # git works in another process meanwhile
        sizes = beside.submit(sizes_on_disk, shadow.location.root, wanted.present) if seeded else None
        if seeded:
            _unsettle(shadow, listing, [*wanted.present, *wanted.fixed])
        del listing  # in pieces: to free all at the end would keep a screen from painting for a tenth of a second
        _hash(shadow, wanted)
        tree, files = _write(shadow)
    doubtful = _not_as_on_disk(files, sizes.result()) if sizes else set()
    if _mend(shadow, wanted, files, doubtful):
        tree, files = _write(shadow)
        if any(file.size == MISSING and file.path not in wanted.fixed for file in files):
            raise GitError("update-index", 0, b"an object of the shadow is damaged")
    _publish(shadow)
    return Snapshot(tree, files, (*wanted.withheld, *_notes_on(files, wanted)), tuple(wanted.read_only))


def _list_user_index(shadow: Shadow) -> IndexListing:
    index = shadow.location.index
    try:
        listing = shadow.files.run(
            *("ls-files", "-z", "-v", "-s", "-c", "-o", "--exclude-standard"), env={"GIT_INDEX_FILE": str(index)}
        )
    except GitError as error:
        raise UserError(f"the index {index} cannot be read: {error.message}", "check it with `git status`") from error
    return IndexListing(listing)


def _sort_out(root: Path, listing: IndexListing) -> _Wanted:
    wanted = _Wanted(present=listing.plain())
    conflicts: set[str] = set()
    for entry in listing.others():
        if entry.stage != "0":
            conflicts.add(entry.path)
        elif entry.mode == SUBMODULE:
            wanted.fixed[entry.path] = entry
        elif entry.tag in "Ss" and not os.path.lexists(root / entry.path):
            wanted.fixed[entry.path] = entry
            wanted.withheld.append(Withheld(entry.path, "outside the sparse checkout"))
        else:
            wanted.present.append(entry.path)
    for path in sorted(conflicts):
        wanted.present.append(path)
        wanted.read_only.append(Withheld(path, "has merge conflicts"))
    _add_untracked(root, listing.untracked(), wanted)
    return wanted


def _add_untracked(root: Path, untracked: list[str], wanted: _Wanted) -> None:
    total = 0
    over: Counter[str] = Counter()
    for number, path in enumerate(untracked):
        if path.endswith("/"):
            wanted.withheld.append(Withheld(path, "a repository of its own"))
            continue
        if number >= MAX_UNTRACKED_FILES:
            over[path.split("/")[0]] += 1
            continue
        try:
            size = os.lstat(f"{root}/{path}").st_size
        except OSError:
            continue
        if size > MAX_UNTRACKED_BYTES or total + size > MAX_UNTRACKED_TOTAL:
            wanted.withheld.append(Withheld(path, f"untracked and large ({size:,} bytes)"))
            continue
        total += size
        wanted.present.append(path)
    for top, count in over.items():
        why = f"{count:,} more untracked files than the limit of {MAX_UNTRACKED_FILES:,}: add them to .gitignore"
        wanted.withheld.append(Withheld(top, why))


def _start_index(shadow: Shadow) -> bool:
    """Provide an index with stat data to start from; True when it is the user's and thus has to be doubted.

    Copies keep the file's time: git compares it with the entries' to find files changed in the same instant.
    """
    shadow.index.with_name("index.lock").unlink(missing_ok=True)  # left by a git that had to be killed
    if shadow.index.exists():
        return False
    with contextlib.suppress(OSError):
        shutil.copy2(shadow.published_index, shadow.index)
        return False
    with contextlib.suppress(OSError):
        shutil.copy2(shadow.location.index, shadow.index)
        return True
    return False


def _unsettle(shadow: Shadow, listing: IndexListing, paths: list[str]) -> None:
    """Forget what the user's index claims without having looked: hidden changes, filtered content, conflicts.

    `paths` are all that the snapshot is to hold.
    """
    others = listing.others()
    doubted = {e.path: e for e in others if e.stage == "0" and e.mode != SUBMODULE and e.tag != "H"}
    if _converts(shadow, paths) and (converted := filtered_paths(shadow, paths)):
        tracked = (e for e in listing.tracked() if e.stage == "0" and e.mode != SUBMODULE)
        doubted |= {entry.path: entry for entry in tracked if entry.path in converted}
    lines = [_removal(shadow, entry.path) for entry in others if entry.stage != "0"]
    _feed(shadow, [*lines, *(_line(e.mode, e.oid, e.path) for e in doubted.values())])


def _line(mode: str, oid: str, path: str) -> str:
    return f"{mode} {oid}\t{path}"


def _removal(shadow: Shadow, path: str) -> str:
    return f"0 {shadow.location.null_oid}\t{path}"


def _feed(shadow: Shadow, lines: list[str]) -> None:
    """Every write of an index needs the files at hand: git then looks again at those that changed in the very second
    of the index (git's racy-git.txt), since the new index will no longer show that they are in doubt."""
    if lines:
        shadow.files.run("update-index", "-z", "--replace", "--index-info", stdin=_records(lines), env=_on(shadow))


def _records(fields: list[str]) -> bytes:
    return os.fsencode("".join([f"{field}\0" for field in fields]))


def _on(shadow: Shadow) -> dict[str, str]:
    return {"GIT_INDEX_FILE": str(shadow.index)}


def filtered_paths(shadow: Shadow, paths: list[str]) -> dict[str, str]:
    """The paths whose content a filter or a re-encoding changes between disk and git, each with the reason."""
    if not paths:
        return {}
    out = shadow.attributes().run(
        *("check-attr", "-z", "--stdin", "filter", "working-tree-encoding"),
        stdin=_records(paths),
    )
    found: dict[str, str] = {}
    fields = iter(os.fsdecode(out).split("\0")[:-1])
    for path, attribute, value in zip(fields, fields, fields, strict=True):
        if value in ("unspecified", "unset"):
            continue
        name = visible_line(value, 40)
        if attribute == "working-tree-encoding":
            found[path] = f"git stores it in another encoding than the working tree has ({name})"
        else:
            found[path] = "stored in LFS" if value == "lfs" else f"the filter {name} stands between disk and git"
    return found


def _converts(shadow: Shadow, paths: list[str]) -> bool:
    """Whether any attributes that git would read for `paths` may name a filter or an encoding. Where none does, git
    need not be asked about each of a hundred thousand files."""
    folders = {path.rpartition("/")[0] for path in paths}
    for folder in tuple(folders):
        while folder and (folder := folder.rpartition("/")[0]) not in folders:
            folders.add(folder)
    root = shadow.location.root
    tracked = [root / path for path in paths if path.endswith(".gitattributes")]  # git knows those gone from the disk
    beside = [path for folder in folders if os.path.lexists(path := f"{root}/{folder}/.gitattributes")]
    for file in {*shadow.attribute_files(), *tracked, *map(Path, beside)}:
        text = read_small(file, MAX_ATTRIBUTES)
        if not text or "filter" in text or "working-tree-encoding" in text:  # without a text: let git decide
            return True
    return False


def _hash(shadow: Shadow, wanted: _Wanted) -> None:
    """Bring the index up to the disk for every wanted path; files that are gone leave it."""
    for attempt in range(2):
        paths = _records(wanted.present)
        code, _, err = shadow.files.run_code(
            *("update-index", "-z", "--add", "--remove", "--replace", "--stdin"), stdin=paths, env=_on(shadow)
        )
        if code == 0:
            return
        if attempt:
            raise GitError("update-index", code, err)
        _leave_out_unreadable(shadow, wanted)


def _leave_out_unreadable(shadow: Shadow, wanted: _Wanted) -> None:
    """git stops at the first path it cannot read or that lies behind a link. Looked for only once it did."""
    kept: list[str] = []
    for path in wanted.present:
        why = _why_not(shadow.location.root, path)
        if why is None:
            kept.append(path)
        elif why:
            wanted.withheld.append(Withheld(path, why))
    wanted.present = kept


def _why_not(root: Path, path: str) -> str | None:
    """None: git can take it. "": it is not there any more. Else why it cannot be read."""
    place = root / path
    below = len(root.parts) - len(place.parts) + 1
    if any(not parent.is_dir() or parent.is_symlink() for parent in place.parents[: -below or None]):
        return ""
    try:
        mode = os.lstat(place).st_mode
    except FileNotFoundError:
        return None  # `--remove` sees to it
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISLNK(mode):
        return None
    if not stat.S_ISREG(mode):
        return ""
    return None if os.access(place, os.R_OK) else "cannot be read: permission denied"


def _write(shadow: Shadow) -> tuple[str, tuple[TreeFile, ...]]:
    tree = shadow.files.run("write-tree", "--missing-ok", env=_on(shadow)).decode("ascii").strip()
    return tree, parse_tree(shadow.trees.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree))


def _not_as_on_disk(files: Iterable[TreeFile], sizes: Mapping[str, int]) -> set[str]:
    """Entries taken from the user's index whose object has another size than the file: git had converted it.

    Every conversion of line ends or `$Id$` changes the size; filters, which need not, are found by attribute. A file
    that changed since its size was taken is at worst looked at once more.
    """
    get = sizes.get
    return {path for path, mode, _, size in files if get(path, size) != size and mode in FILE_MODES}


def _mend(shadow: Shadow, wanted: _Wanted, files: Iterable[TreeFile], doubtful: set[str]) -> bool:
    """Make the index hold exactly what is wanted; True when something had to change.

    What git had to be told: entries no longer tracked, submodules and sparse paths, and files whose object is
    doubtful or missing though the file is here.
    """
    present = set(wanted.present)
    lines: list[str] = []
    rehash: list[str] = []
    fixed: dict[str, tuple[str, str]] = {}
    for path, mode, oid, size in files:
        if path not in present:
            fixed[path] = (mode, oid)
        elif path in doubtful or size == MISSING:
            rehash.append(path)
            lines.append(_line(mode, oid, path))
        elif wanted.modes and mode in FILE_MODES and wanted.modes.get(path, mode) != mode:
            lines.append(_line(wanted.modes[path], oid, path))
    lines += (_removal(shadow, path) for path in fixed if path not in wanted.fixed)
    for path, entry in wanted.fixed.items():
        if fixed.get(path) != (entry.mode, entry.oid):
            lines.append(_line(entry.mode, entry.oid, path))
    _feed(shadow, lines)
    if rehash:
        wanted.present = rehash
        _hash(shadow, wanted)
    return bool(lines)


def _publish(shadow: Shadow) -> None:
    """Offer this index to the next session. Whole and by rename: others may be copying it now."""
    descriptor, name = tempfile.mkstemp(prefix=".index-", dir=shadow.place)
    os.close(descriptor)
    shutil.copy2(shadow.index, name)
    os.chmod(name, 0o600)  # it may have come from the user's index, which need not be private
    os.replace(name, shadow.published_index)


def _notes_on(files: Iterable[TreeFile], wanted: _Wanted) -> Iterable[Withheld]:
    for file in files:
        if file.mode == SYMLINK:
            yield Withheld(file.path, "a symbolic link")
        elif file.mode == SUBMODULE:
            yield Withheld(file.path, "a submodule")
        elif file.size == MISSING and file.path not in wanted.fixed:
            yield Withheld(file.path, "not downloaded (partial clone)")
