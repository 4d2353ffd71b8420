"""One repository as a session uses it: snapshots, trees, blobs and patches, all in the shadow.

What the files on disk are changed by is `apply`; what the user's history is changed by is `commit`. Not here.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from coder.repo.blobs import list_tree, read_blobs
from coder.repo.diff import parse_patch
from coder.repo.discover import Location, discover
from coder.repo.git import GitError
from coder.repo.patch.edits import PatchRefused, Problem
from coder.repo.safe_io import Obstacle, Tree
from coder.repo.shadow import Shadow
from coder.repo.snapshot import filtered_paths, take_snapshot
from coder.repo.trees import SUBMODULE, SYMLINK, FileState, Snapshot, TreeFile, parse_differences, parse_tree
from coder.store import Places
from coder.text import visible_line
from coder.values import FileDiff

__all__ = ["FileState", "LogEntry", "Repository", "Snapshot", "TreeFile"]


class LogEntry(Struct, frozen=True):
    """One commit: its id, its message, the paths it changed against its first parent (none for a merge)."""

    oid: str
    message: str
    paths: tuple[str, ...]


class Repository:
    """A repository opened for one session. All methods block; they may be called from any thread, one at a time."""

    def __init__(self, location: Location, places: Places, session: str) -> None:
        self.location = location
        self.places = places
        self.shadow = Shadow(location, places, session)
        self._trees = self.shadow.trees
        self._index = self.shadow.work / "draft-index"
        self._index_tree = ""  # the tree `_index` holds, so that the next edit need not read it again
        self._listings: dict[str, tuple[TreeFile, ...]] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, cwd: Path, places: Places, session: str) -> "Repository":
        """The repository that holds `cwd`. Raises UserError when there is none to work on."""
        return cls(discover(cwd), places, session)

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release what belongs to this session; trees and blobs stay readable by later ones."""
        self.shadow.close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Snapshot:
        """The working tree now, uncommitted and untracked-not-ignored files included, as a tree of the shadow."""
        with self._lock:
            try:
                snapshot = take_snapshot(self.shadow)
            except GitError:
                if not self.shadow.renew():  # what a crash left there is not worth mending: all can be made again
                    raise
                snapshot = take_snapshot(self.shadow)
            self._remember(snapshot.tree, snapshot.files)
            shutil.copy2(self.shadow.index, self._index)
            self._index_tree = snapshot.tree
            return snapshot

    def tracked_paths(self) -> list[str]:
        """What the user's index lists: there in an instant, blind to what is new or gone; conflicts several times."""
        out = self.shadow.files.run("ls-files", "-z", "--cached", env={"GIT_INDEX_FILE": str(self.location.index)})
        return os.fsdecode(out).split("\0")[:-1]

    def files(self, tree: str) -> tuple[TreeFile, ...]:
        """All entries of a tree, in git's order (by the bytes of the path)."""
        known = self._listings.get(tree)
        if known is None:
            known = list_tree(self._trees, tree)
            self._remember(tree, known)
        return known

    def entries(self, tree: str, paths: Sequence[str]) -> dict[str, TreeFile]:
        """The entries at `paths`, absent where there is none; without the listing of the whole tree for a few."""
        if tree in self._listings or len(paths) > 200:
            wanted = set(paths)
            return {file.path: file for file in self.files(tree) if file.path in wanted}
        out = self._trees.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree, "--", *paths) if paths else b""
        return {file.path: file for file in parse_tree(out) if file.path in paths}

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """The paths that differ between two trees, a renamed file as two."""
        changed, gone = self._differences(old, new)
        return (*(file.path for file in changed), *gone)

    def _remember(self, tree: str, files: tuple[TreeFile, ...]) -> None:
        self._listings[tree] = files
        while len(self._listings) > 4:
            del self._listings[next(iter(self._listings))]

    def read(self, tree: str, path: str) -> bytes | None:
        """The content of a file (for a link: where it leads) in a tree; None when it has none there."""
        code, out, _ = self._trees.run_code("cat-file", "blob", f"{tree}:{path}")
        return out if code == 0 else None

    def read_file(self, file: TreeFile) -> bytes | None:
        """The content of one entry. From disk where the disk still has it: that spares a process."""
        if file.regular and self._size_on_disk(file.path) == file.size:
            found = self.work_tree_bytes(file.path)
            if found is not None and self.blob_id(found) == file.oid:
                return found
        return self.read_blobs([file.oid]).get(file.oid)

    def _size_on_disk(self, path: str) -> int:
        try:
            return (self.location.root / path).lstat().st_size
        except OSError:
            return -1

    def read_blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """The content of each blob; those that are not here are left out. Held in memory: bound it by `size` first."""
        return read_blobs(self._trees, oids)

    def work_tree_bytes(self, path: str) -> bytes | None:
        """What the working tree holds at `path` now; None when that is no regular file or lies behind a link."""
        with Tree(self.location.root) as tree:
            try:
                found = tree.read(path)
            except (OSError, Obstacle):
                return None
        return found.content if found else None

    def filtered(self, paths: Sequence[str]) -> dict[str, str]:
        """Why some of `paths` are read-only: what the disk holds is not what git would keep (LFS, filters, UTF-16)."""
        return filtered_paths(self.shadow, list(paths))

    def log(self, limit: int) -> tuple[LogEntry, ...]:
        """The newest commits up to HEAD, at most `limit`; fewer where history is not here (shallow, partial)."""
        if not self.location.head:
            return ()
        _, out, _ = self._trees.run_code(
            *("log", "-z", f"--max-count={limit}", "--name-only", "--no-renames", "--no-show-signature"),
            *("--no-ext-diff", "--no-textconv", "--format=%x00%H%x00%B", "--end-of-options", self.location.head),
            timeout=20,
        )
        return tuple(_parse_log(out))

    def blob_id(self, content: bytes) -> str:
        """The object id that `content` has in this repository."""
        digest = hashlib.new("sha256" if self.location.object_format == "sha256" else "sha1", usedforsecurity=False)
        digest.update(b"blob %d\0" % len(content))
        digest.update(content)
        return digest.hexdigest()

    # ── trees and patches ────────────────────────────────────────────────────────────────────────

    def write_tree(self, base: str, files: Mapping[str, FileState | None]) -> str:
        """The tree `base` with `files` put in; None takes one out."""
        with self._lock:
            stored = self._store({path: state for path, state in files.items() if state is not None})
            entries = {p: TreeFile(p, s.mode, stored[p], len(s.content)) if s else None for p, s in files.items()}
            return self.put_entries(base, entries)

    def put_entries(self, base: str, entries: Mapping[str, TreeFile | None]) -> str:
        """The tree `base` with entries whose objects exist already; None takes one out."""
        null = self.location.null_oid
        lines = [f"0 {null}\t{path}\0" for path, entry in entries.items() if entry is None]
        lines += (f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in entries.items() if entry is not None)
        with self._lock:
            self._load(base)
            self._index_tree = ""
            stdin = os.fsencode("".join(lines))
            self._trees.run("update-index", "-z", "--replace", "--index-info", stdin=stdin, env=self._on_index)
            return self._write_index()

    def tree_of(self, commit: str) -> str:
        """The tree of a commit; the empty tree for "" (a branch not yet born)."""
        if not commit:
            return self._trees.run("mktree").decode("ascii").strip()
        name = f"{commit}^{{tree}}"
        return self._trees.run("rev-parse", "--verify", "--end-of-options", name).decode("ascii").strip()

    def patch(self, old: str, new: str) -> bytes:
        """The canonical git patch from tree to tree: full ids, renames found, binary content included."""
        return self._trees.run(
            *("diff-tree", "-r", "-p", "--full-index", "--binary", "-M", "--no-ext-diff", "--no-textconv"),
            *("--no-color", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/", old, new),
        )

    def diff(self, old: str, new: str) -> tuple[FileDiff, ...]:
        """The same patch by file and hunk."""
        return parse_patch(self.patch(old, new))

    def apply(self, tree: str, patch: bytes, *, reverse: bool = False) -> str:
        """The tree that `patch` makes of `tree`. Raises PatchRefused, with what git said, when it does not apply."""
        if not patch:
            return tree
        with self._lock:
            self._load(tree)
            options = ("--cached", "--whitespace=nowarn", *(("--reverse",) if reverse else ()))
            code, _, err = self._trees.run_code("apply", *options, "-", stdin=patch, env=self._on_index)
            if code != 0:
                raise _refusal(err)
            self._index_tree = ""
            return self._write_index()

    def materialise(self, old: str, new: str, into: Path) -> tuple[str, ...]:
        """Write the files that differ into the directory `into`, modes kept; return the paths that `new` lacks."""
        changed, gone = self._differences(old, new)
        contents = self.read_blobs(file.oid for file in changed if file.mode != SUBMODULE)
        for file in changed:
            target = into / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.mode == SYMLINK:
                target.symlink_to(os.fsdecode(contents[file.oid]))
            elif file.regular:
                _write_new(target, contents[file.oid], 0o777 if file.mode == "100755" else 0o666)
        return gone

    def _differences(self, old: str, new: str) -> tuple[tuple[TreeFile, ...], tuple[str, ...]]:
        out = self._trees.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new)
        return parse_differences(out)

    @property
    def _on_index(self) -> dict[str, str]:
        return {"GIT_INDEX_FILE": str(self._index)}

    def _load(self, tree: str) -> None:
        self._index.with_name("draft-index.lock").unlink(missing_ok=True)  # left by a git that had to be killed
        if self._index_tree != tree:
            self._index_tree = ""
            self._trees.run("read-tree", tree, env=self._on_index)
            self._index_tree = tree

    def _write_index(self) -> str:
        tree = self._trees.run("write-tree", "--missing-ok", env=self._on_index).decode("ascii").strip()
        self._index_tree = tree
        return tree

    def store(self, path: str, state: FileState) -> TreeFile:
        """The entry of a file whose content is put into the shadow."""
        return TreeFile(path, state.mode, self._store({path: state})[path], len(state.content))

    def _store(self, files: Mapping[str, FileState]) -> dict[str, str]:
        """Put contents into the shadow's objects; the object id by path."""
        drafts: list[Path] = []
        try:
            for number, state in enumerate(files.values()):
                drafts.append(self.shadow.work / f"blob-{number}")
                drafts[-1].write_bytes(state.content)
            names = b"".join(os.fsencode(draft) + b"\n" for draft in drafts)
            out = self._trees.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names) if drafts else b""
        finally:
            for draft in drafts:
                draft.unlink(missing_ok=True)
        return dict(zip(files, out.decode("ascii").split(), strict=True))


def _write_new(target: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _refusal(stderr: bytes) -> PatchRefused:
    lines = [visible_line(os.fsdecode(line), 300) for line in stderr.split(b"\n") if line.startswith(b"error: ")]
    said = [line.removeprefix("error: ") for line in lines] or ["git does not accept the patch"]
    return PatchRefused(tuple(Problem("", 0, "stale", line) for line in said[:20]), "\n".join(said[:20]))


def _parse_log(out: bytes) -> Iterator[LogEntry]:
    """The records of `git log -z --name-only --format=%x00%H%x00%B`: an empty field opens each commit."""
    fields = iter(out.split(b"\0"))
    field = next(fields, None)
    while field is not None:
        oid, message = next(fields, b""), next(fields, b"")
        paths: list[str] = []
        while field := next(fields, None):
            paths.append(os.fsdecode(field.removeprefix(b"\n")))
        if oid:
            yield LogEntry(oid.decode("ascii"), message.decode("utf-8", "replace").strip(), tuple(paths))
