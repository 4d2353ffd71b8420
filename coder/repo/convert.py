"""An approved patch as the entries git would have before and after it: with line ends and `$Id$` as git keeps them.

Needed for commits only; everywhere else trees hold what is on disk. No filter can run here: there is none.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from coder.errors import Refused
from coder.repo.diff import parse_patch
from coder.repo.merge import merge3
from coder.repo.patch.edits import PatchRefused
from coder.repo.repository import FileState, Repository
from coder.repo.trees import TreeFile

# gitattributes(5): of the conversions of files that may be edited only these change bytes.
_CONVERTIBLE = (b"\r\n", b"$Id")


class ApprovedChange(Struct, frozen=True):
    """The entries of a patch's paths before and after it; absent where there is no file."""

    paths: tuple[str, ...]
    before: Mapping[str, TreeFile]
    after: Mapping[str, TreeFile]


def approved_change(repository: Repository, patch: bytes) -> ApprovedChange:
    """What `patch` changes. The working tree must hold its result already, or else what it applies to."""
    files = parse_patch(patch)
    paths = tuple(sorted({path for file in files for path in (file.path, file.old_path)}))
    modes = {file.path: file.new_mode or "100644" for file in files}
    contents = {path: repository.work_tree_bytes(path) for path in paths}
    states = {p: FileState(content, modes.get(p, "100644")) for p, content in contents.items() if content is not None}
    disk = repository.write_tree(repository.tree_of(""), states)
    try:
        before, after = repository.apply(disk, patch, reverse=True), disk
    except PatchRefused:
        before, after = disk, _apply(repository, disk, patch)
    return ApprovedChange(paths, _as_git_keeps_them(repository, before), _as_git_keeps_them(repository, after))


def joint_patch(repository: Repository, changes: Sequence[tuple[str, str]]) -> bytes:
    """The one patch that `changes` (trees before and after each, oldest first) come to in the working tree.

    What others changed in between or since is no part of it. Raises Refused where they cannot be told apart, or where
    nothing of the changes is in the files any more.
    """
    states: dict[str, FileState | None] = {}
    modes: dict[str, str] = {}
    for old, new in reversed(changes):
        for file in repository.diff(old, new):
            for path in dict.fromkeys((file.path, file.old_path)):
                if path not in states:
                    content = repository.work_tree_bytes(path)
                    states[path] = None if content is None else FileState(content, file.new_mode or "100644")
    empty = repository.tree_of("")
    after = repository.write_tree(empty, {path: state for path, state in states.items() if state})
    for old, new in reversed(changes):
        for file in repository.diff(old, new):
            modes[file.old_path] = file.old_mode or "100644"
            for path in dict.fromkeys((file.path, file.old_path)):
                was = _without(repository, path, states[path], old, new)
                states[path] = None if was is None else FileState(was, modes.get(path, "100644"))
    before = repository.write_tree(empty, {path: state for path, state in states.items() if state})
    if before == after:
        raise Refused("nothing of what was applied is in the files any more", "there is nothing to commit")
    return repository.patch(before, after)


def _without(repository: Repository, path: str, now: FileState | None, old: str, new: str) -> bytes | None:
    """A file's content without the change that the trees make of it."""
    was, became = repository.read(old, path), repository.read(new, path)
    content = None if now is None else now.content
    if content in (was, became):
        return was
    if content is not None and was is not None and became is not None:
        merged = merge3(became, content, was)
        if not merged.conflict:
            return merged.content
    raise Refused(f"{path} was changed since in the same place", "commit it with git")


def _apply(repository: Repository, tree: str, patch: bytes) -> str:
    try:
        return repository.apply(tree, patch)
    except PatchRefused as refusal:
        raise Refused(
            f"the working tree does not hold the approved changes any more: {refusal.problems[0].message}",
            "let the change be made again",
        ) from refusal


def _as_git_keeps_them(repository: Repository, tree: str) -> dict[str, TreeFile]:
    """Every file as `git add` would store it. One process a converted file: these are the few of one commit."""
    files = repository.files(tree)
    contents = repository.read_blobs(file.oid for file in files)
    git = repository.shadow.attributes()
    entries: dict[str, TreeFile] = {}
    for file in files:
        entries[file.path] = file
        if any(mark in contents[file.oid] for mark in _CONVERTIBLE):
            out = git.run("hash-object", "-w", f"--path={file.path}", "--stdin", stdin=contents[file.oid])
            entries[file.path] = file._replace(oid=out.decode("ascii").strip())
    return entries
