"""A patch of the bytes on disk as a patch of the bytes git keeps: where attributes turn CR LF into LF and `$Id$`.

Needed for commits only: everywhere else trees hold what is on disk. No filter can run here: there is none.
"""

from coder.repo.diff import parse_patch
from coder.repo.patch import PatchRefused
from coder.repo.repository import FileState, Repository
from coder.repo.trees import TreeFile

# gitattributes(5): of the conversions of files that may be edited only these change bytes.
_CONVERTIBLE = (b"\r\n", b"$Id")


def as_git_keeps_it(repository: Repository, patch: bytes) -> bytes:
    """`patch` as `git add` would see it. Its result must be on disk already, or else what it applies to.

    Raises PatchRefused when the files on disk are neither.
    """
    if not any(mark in patch for mark in _CONVERTIBLE):
        return patch
    files = parse_patch(patch)
    paths = {path for file in files for path in (file.path, file.old_path)}
    found = {path: repository.work_tree_bytes(path) for path in paths}
    modes = {file.path: file.new_mode or "100644" for file in files}
    on_disk = {p: FileState(content, modes.get(p, "100644")) for p, content in found.items() if content is not None}
    empty = repository.tree_of("")
    disk = repository.write_tree(empty, on_disk) if on_disk else empty
    try:
        before, after = repository.apply(disk, patch, reverse=True), disk
    except PatchRefused:
        before, after = disk, repository.apply(disk, patch)
    return repository.patch(_kept(repository, before), _kept(repository, after))


def _kept(repository: Repository, tree: str) -> str:
    """The tree with every file as git would store it. One process a file: these are the few of one commit."""
    git = repository.shadow.attributes()
    files = repository.files(tree)
    contents = repository.read_blobs(file.oid for file in files)
    entries: dict[str, TreeFile | None] = {}
    for file in files:
        content = contents[file.oid]
        if any(mark in content for mark in _CONVERTIBLE):
            out = git.run("hash-object", "-w", f"--path={file.path}", "--stdin", stdin=content)
            entries[file.path] = file._replace(oid=out.decode("ascii").strip())
    return repository.put_entries(tree, entries) if entries else tree
