"""The draft: the snapshot plus this turn's edits, as a tree. Everything the model writes lands here and only here."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from coder.repo.earlier import carried_over
from coder.repo.patch.edits import FileKind, FileResult, PatchRefused, Problem, Resolution, TreeView
from coder.repo.patch.resolve import resolve
from coder.repo.paths import looks_secret
from coder.repo.repository import FileState, Repository
from coder.repo.trees import SUBMODULE, SYMLINK, Snapshot, TreeFile

Hidden = Callable[[str, bytes], str]

# The Git LFS specification: pointer files begin with this line and are smaller than 1024 bytes.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_POINTER_BYTES = 1024
_MAX_EDITED_BYTES = 32 << 20


class DraftEdit(Struct, frozen=True):
    """What one edit did to the draft: its exact patch, the paths it touched, and what the user should know."""

    patch: bytes
    paths: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


class Draft:
    """One turn's draft. `tree` is its present tree id. Not for two threads at once.

    `known` is the tree that the model had seen before this snapshot, if any: an edit that speaks of it is merged.
    """

    def __init__(self, repository: Repository, snapshot: Snapshot, known: str = "") -> None:
        self.snapshot = snapshot
        self.tree = snapshot.tree
        self._known = known
        self._repository = repository
        self._before = {file.path: file for file in snapshot.files}
        self._files = dict(self._before)
        self._touched: set[str] = set()
        self._listing: tuple[TreeFile, ...] | None = snapshot.files
        self._locked = {note.path: note.why for note in (*snapshot.withheld, *snapshot.read_only)}

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that differ from the snapshot, sorted."""
        return tuple(sorted(path for path in self._touched if self._before.get(path) != self._files.get(path)))

    def files(self) -> tuple[TreeFile, ...]:
        """All entries of the draft, by the bytes of their paths."""
        if self._listing is None:
            self._listing = tuple(sorted(self._files.values(), key=lambda file: os.fsencode(file.path)))
        return self._listing

    def read(self, path: str) -> bytes | None:
        """The content of a regular file of the draft; None when there is none at `path`."""
        file = self._files.get(path)
        return self._repository.read_file(file) if file is not None and file.regular else None

    def read_blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """As `Repository.read_blobs`."""
        return self._repository.read_blobs(oids)

    def edit(self, text: str, hidden: Hidden = lambda path, content: "") -> DraftEdit:
        """Resolve an edit in any accepted format and put it in. Raises PatchRefused; then nothing has changed.

        `hidden` says why a file, by path and content, may not be shown to whoever wrote the edit: such a file is
        not touched either, since a refusal, a patch or a new name would show it.
        """
        resolution = self._resolve(text, _View(str(self._repository.location.root), self, self._files, hidden))
        self._check(resolution.files, hidden)
        states: dict[str, FileState | None] = {}
        for file in resolution.files:
            if file.old_path != file.path:
                states[file.old_path] = None
            states[file.path] = None if file.content is None else FileState(file.content, self._mode(file))
        before = self.tree
        self.tree = self._repository.write_tree(before, states)
        self._record(states)
        patch = self._repository.patch(before, self.tree)
        return DraftEdit(patch, tuple(states), resolution.warnings, resolution.protected)

    def _resolve(self, text: str, view: TreeView) -> Resolution:
        try:
            return resolve(text, view)
        except PatchRefused as refusal:
            return carried_over(text, view, self._seen_before, refusal)

    def _seen_before(self, path: str) -> bytes | None:
        """A file as the model knew it before this turn; None for one that it has changed itself since."""
        return self._repository.read(self._known, path) if self._known and path not in self.paths else None

    def _mode(self, file: FileResult) -> str:
        known = self._files.get(file.old_path)
        if file.executable is None:
            return known.mode if known else "100644"
        return "100755" if file.executable else "100644"

    def _record(self, states: Mapping[str, FileState | None]) -> None:
        self._touched |= states.keys()
        for path, state in states.items():
            if state is None:
                self._files.pop(path, None)
            else:
                oid = self._repository.blob_id(state.content)
                self._files[path] = TreeFile(path, state.mode, oid, len(state.content))
        self._listing = None

    def _check(self, files: Iterable[FileResult], hidden: Hidden) -> None:
        """Refuse what may be read but not written: conflicts, filtered files, what is on disk but not in the draft.

        Files whose name speaks of secrets are the user's to write, whoever may read them.
        """
        touched = sorted({path for file in files for path in (file.path, file.old_path)})
        reasons = {path: self._locked[path] for path in touched if path in self._locked}
        for path in touched:
            if path in reasons:
                continue
            if why := hidden(path, self.read(path) or b""):
                reasons[path] = f"withheld, {why}"
            elif looks_secret(path):
                reasons[path] = "by its name it holds secrets"
        reasons |= self._repository.filtered([path for path in touched if path not in reasons])
        for path in touched:
            if path not in reasons and (why := self._hidden_on_disk(path) or self._pointer(path)):
                reasons[path] = why
        if reasons:
            raise _forbidden(reasons)

    def _pointer(self, path: str) -> str:
        """LFS pointers are known by their content too: the attributes may have been lost."""
        file = self._files.get(path)
        small = file is not None and file.size <= _MAX_POINTER_BYTES
        return "stored in LFS" if small and (self.read(path) or b"").startswith(_LFS_POINTER) else ""

    def _hidden_on_disk(self, path: str) -> str:
        """Why a path that the draft does not have cannot be made: something is there that the snapshot left out."""
        if path in self._files or path in self._before:
            return ""
        if self._repository.location.ignores_case:
            folded = path.casefold()
            if twin := next((name for name in self._files if name.casefold() == folded), ""):
                return f"on this file system it is the same file as {twin}"
        if os.path.lexists(self._repository.location.root / path):
            return "it exists in the working tree but is ignored or withheld"
        return ""


def _forbidden(reasons: Mapping[str, str]) -> PatchRefused:
    problems = tuple(Problem(path, 0, "forbidden", why) for path, why in reasons.items())
    lines = [f"{path} cannot be edited: {why}" for path, why in list(reasons.items())[:20]]
    return PatchRefused(problems, "\n".join(["Nothing was changed.", *lines]))


class _View:
    """A draft as the edit engine sees it (`patch.TreeView`)."""

    def __init__(self, root: str, draft: Draft, files: Mapping[str, TreeFile], hidden: Hidden) -> None:
        self.root = root
        self._hidden = hidden
        self._draft = draft
        self._files = files
        self._directories: set[str] | None = None

    def kind(self, path: str) -> FileKind:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            file = self._files.get("/".join(parts[:depth]))
            if file is None:
                continue
            if file.mode in (SYMLINK, SUBMODULE):
                return "symlink" if file.mode == SYMLINK else "submodule"
            return "file" if depth == len(parts) else "none"
        return "dir" if path in self._all_directories() else "none"

    def _all_directories(self) -> set[str]:
        if self._directories is None:
            self._directories = set()
            for path in self._files:
                parent = path.rpartition("/")[0]
                while parent and parent not in self._directories:
                    self._directories.add(parent)
                    parent = parent.rpartition("/")[0]
        return self._directories

    def read(self, path: str) -> bytes:
        file = self._files[path]
        if file.size > _MAX_EDITED_BYTES:
            raise _forbidden({path: f"it is too large ({file.size:,} bytes)"})
        content = self._draft.read(path)
        if content is None:
            raise _forbidden({path: "its content is not here (a partial clone fetches it on checkout)"})
        if why := self._hidden(path, content):
            raise _forbidden({path: f"withheld, {why}"})
        return content

    def paths(self) -> Collection[str]:
        return [path for path, file in self._files.items() if file.regular]

    def executable(self, path: str) -> bool:
        return self._files[path].mode == "100755"
