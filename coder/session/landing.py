"""From approved hunks to files: select, merge with what changed meanwhile, write all or nothing, commit if asked."""

import stat
from typing import TYPE_CHECKING

from msgspec import Struct

from coder.errors import CoderError, Failed
from coder.repo import apply as journal
from coder.repo.apply import FileChange
from coder.repo.checkpoint import undo
from coder.repo.diff import parse_patch, select
from coder.repo.merge import merge3
from coder.repo.repository import Repository
from coder.repo.second_reader import check_patch
from coder.repo.standing import Standing, put_back, standing
from coder.repo.steps import Stale
from coder.session.outcome import Destination
from coder.store import Places
from coder.values import Checkpoint, FileDiff, Proposal, ReviewDecision

if TYPE_CHECKING:
    from coder.repo.commit import Committed


class Landed(Struct, frozen=True):
    """What was approved and what became of it: `tree` is the snapshot with it. `merged` are files that had changed
    meanwhile and were merged;
    `stood` is how HEAD and the index stood before and after a commit, `remarks` what there is to say of that."""

    files: tuple[FileDiff, ...]
    patch: bytes
    checkpoint: Checkpoint | None = None
    commit: str = ""
    merged: tuple[str, ...] = ()
    stood: tuple[Standing, Standing] | None = None
    remarks: tuple[str, ...] = ()
    tree: str = ""


def approved_tree(repository: Repository, proposal: Proposal, decision: ReviewDecision) -> tuple[str, bytes]:
    """The tree that the approved hunks make of the snapshot, and their exact patch. git applies what was shown."""
    patch = select(proposal.files, decision)
    check_patch(patch, parse_patch(patch))
    tree = repository.apply(proposal.snapshot, patch) if patch else proposal.snapshot
    return tree, patch


def land(
    repository: Repository,
    places: Places,
    proposal: Proposal,
    decision: ReviewDecision,
    destination: Destination,
    message: str,
    *,
    hooks: bool = False,
) -> Landed:
    """Carry out an approved decision. Blocking; raises Failed or Refused with everything as it was before."""
    tree, patch = approved_tree(repository, proposal, decision)
    files = repository.diff(proposal.snapshot, tree)
    match destination.kind:
        case "nothing":
            return Landed(files, patch)
        case "patch":
            if destination.patch_file is not None:
                _write_patch(destination, patch)
            return Landed(files, patch)
        case "tree":
            checkpoint, merged = _write_files(repository, places, proposal.snapshot, tree, files, message)
            return Landed(files, patch, checkpoint, merged=merged, tree=tree)
        case "commit":
            before = standing(repository.location.root)
            checkpoint, merged = _write_files(repository, places, proposal.snapshot, tree, files, message)
            made = _commit_or_undo(repository, places, patch, destination, message, checkpoint, hooks)
            stood = before, standing(repository.location.root)
            return Landed(files, patch, checkpoint, made.oid, merged, stood, made.remarks)


def take_back(repository: Repository, places: Places, landed: Landed) -> Checkpoint | None:
    """Undo all that was landed, its commit too, or nothing of it; the checkpoint of the undo. Blocking.

    Raises Stale, Refused or Failed, with everything in place, where files, HEAD or the index changed since.
    """
    if landed.checkpoint is None:
        return None
    location = repository.location
    written = landed.checkpoint.id  # "" where the files held the change already: an undo of "" is one of another change
    undone = undo(location, places, written) if written else None
    if landed.stood:
        try:
            put_back(location.root, *landed.stood)
        except (CoderError, OSError):
            if undone:
                undo(location, places, undone.id)
            raise
    return undone


def _write_files(
    repository: Repository, places: Places, snapshot: str, tree: str, files: tuple[FileDiff, ...], label: str
) -> tuple[Checkpoint, tuple[str, ...]]:
    changes, merged = [], []
    for file in files:
        after = None if file.kind == "deleted" else repository.read(tree, file.path)
        change, was_merged = _change(repository, snapshot, file, after)
        changes.append(change)
        if was_merged:
            merged.append(file.path)
        if file.kind == "renamed":
            gone, _ = _change(repository, snapshot, file, None, path=file.old_path)
            changes.append(gone)
    return journal.apply(repository.location, places, changes, label), tuple(merged)


def _change(
    repository: Repository, snapshot: str, file: FileDiff, after: bytes | None, *, path: str = ""
) -> tuple[FileChange, bool]:
    """One file's change against what is on disk now, merged if that is no longer what the snapshot held."""
    path = path or file.path
    base = repository.read(snapshot, path)
    now = repository.work_tree_bytes(path)
    merged = False
    if now != base:
        if now is None or base is None or after is None:
            raise Stale([path], "changed since the task began")
        result = merge3(base, now, after)
        if result.conflict:
            raise Stale([path], "changed since the task began, and the changes conflict", result.shown)
        after, merged = result.content, True
    executable = file.new_mode == "100755" if file.new_mode != file.old_mode and after is not None else None
    mode = _mode(repository, path) if now is not None else None
    renamed_from = file.old_path if file.kind == "renamed" and after is not None else ""
    return FileChange(path, now, mode, after, executable, renamed_from), merged


def _mode(repository: Repository, path: str) -> int:
    return stat.S_IMODE((repository.location.root / path).lstat().st_mode)


def _commit_or_undo(
    repository: Repository,
    places: Places,
    patch: bytes,
    destination: Destination,
    message: str,
    checkpoint: Checkpoint,
    hooks: bool,
) -> "Committed":
    from coder.repo.commit import commit

    try:
        return commit(repository, patch, message, destination.branch or None, hooks)
    except CoderError:
        if checkpoint.id:
            undo(repository.location, places, checkpoint.id)
        raise


def _write_patch(destination: Destination, patch: bytes) -> None:
    assert destination.patch_file is not None
    try:
        destination.patch_file.write_bytes(patch)
    except OSError as error:
        raise Failed(f"cannot write {destination.patch_file}: {error.strerror}", "nothing was changed") from None
