"""Objects read by their ids, from a git directory alone: no working tree, no index, no session."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from coder.repo.git import Git
from coder.repo.trees import TreeFile, parse_tree


def read_blobs(git: Git, oids: Iterable[str]) -> dict[str, bytes]:
    """The content of each blob; those that are not here are left out. Held in memory: bound it by `size` first."""
    wanted = b"".join(oid.encode("ascii") + b"\n" for oid in dict.fromkeys(oids))
    if not wanted:
        return {}
    return dict(_parse_batch(git.run("cat-file", "--batch", "--buffer", stdin=wanted)))


def list_tree(git: Git, tree: str) -> tuple[TreeFile, ...]:
    """All entries of a tree, in git's order (by the bytes of the path)."""
    return parse_tree(git.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree))


class Objects:
    """What one git directory and the stores that it borrows from hold; for a process beside the session's own."""

    def __init__(self, git_dir: Path) -> None:
        self._git = Git(git_dir, config={"core.bare": "true"})

    def read_blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        return read_blobs(self._git, oids)

    def files(self, tree: str) -> tuple[TreeFile, ...]:
        return list_tree(self._git, tree)


def _parse_batch(out: bytes) -> Iterator[tuple[str, bytes]]:
    """The objects of `git cat-file --batch`: a line "id type size", the content, a newline."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        fields = out[at:end].split(b" ")
        at = end + 1
        if len(fields) == 3:  # otherwise "id missing"
            size = int(fields[2])
            yield fields[0].decode("ascii"), out[at : at + size]
            at += size + 1
