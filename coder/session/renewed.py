"""A proposal whose files changed while it was reviewed, made anew on what is there now. Nothing is overwritten."""

from msgspec.structs import replace

from coder.repo.merge import merge3
from coder.repo.repository import FileState, Repository
from coder.values import Evidence, FileDiff, Proposal

CHANGED = "changed while you reviewed; the proposal is shown anew, on what is there now, and was not tested so"


def renewed(repository: Repository, proposal: Proposal) -> Proposal:
    """The same changes as a difference to the working tree of now, with a warning. Blocking.

    Where both changed the same lines, those of the proposal are left out and their file is named. No files: nothing of
    the proposal is left to apply.
    """
    now = repository.snapshot().tree
    modes = {file.path: file.mode for file in repository.files(proposal.draft)}
    changes: dict[str, FileState | None] = {}
    left_out: list[str] = []
    in_part: list[str] = []
    for file in proposal.files:
        merged = _merged(repository, proposal, now, file)
        if merged is None:
            merged = _merged(repository, proposal, now, file, prefer_ours=True)
            (left_out if merged is None else in_part).append(file.path)
        if merged is None:
            continue
        for path, content in merged.items():
            changes[path] = None if content is None else FileState(content, modes.get(path, "100644"))
    draft = repository.write_tree(now, changes)
    warnings = [*proposal.warnings, f"files {CHANGED}"]
    if left_out:
        warnings.append(f"left out, since you changed the same lines: {', '.join(left_out)}")
    if in_part:
        warnings.append(f"left out where you changed the same lines: some of {', '.join(in_part)}")
    return replace(
        proposal,
        snapshot=now,
        draft=draft,
        files=repository.diff(now, draft),
        patch=repository.patch(now, draft),
        evidence=Evidence(tree=draft, note="the files changed after the tests"),
        triage=(),
        warnings=tuple(warnings),
    )


def _merged(
    repository: Repository, proposal: Proposal, now: str, file: FileDiff, *, prefer_ours: bool = False
) -> dict[str, bytes | None] | None:
    """The contents that a file's change makes of what is there now, by path; None where they conflict, or where nothing
    of the change is left."""
    found: dict[str, bytes | None] = {}
    for path in dict.fromkeys((file.path, file.old_path)):
        base, ours, theirs = (repository.read(tree, path) for tree in (proposal.snapshot, now, proposal.draft))
        if ours in (base, theirs):
            found[path] = theirs
        elif base is None or ours is None or theirs is None:
            return None
        else:
            merge = merge3(base, ours, theirs, prefer_ours=prefer_ours)
            if merge.conflict or (prefer_ours and merge.content == ours):
                return None
            found[path] = merge.content
    return found
