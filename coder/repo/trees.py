"""The words for what is in a git tree, and the reading of git's listings into them. Runs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import fsdecode
from typing import NamedTuple

from coder.values import Withheld

FILE_MODES = ("100644", "100755")
SYMLINK = "120000"
SUBMODULE = "160000"
MISSING = -1


class TreeFile(NamedTuple):
    """One entry of a tree: a tuple and not a dataclass because a snapshot makes a hundred thousand of them.

    `size` is in bytes; 0 for a submodule, MISSING when the object is not here (a partial clone).
    """

    path: str
    mode: str
    oid: str
    size: int

    @property
    def regular(self) -> bool:
        return self.mode in FILE_MODES


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file is to hold."""

    content: bytes
    mode: str = "100644"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The working tree as a tree id. `files` are all its entries, links and submodules too.

    `withheld` is what is not content to be shown: untracked files over the caps, embedded repositories,
    submodules, symbolic links, paths outside the sparse checkout. `read_only` may be shown but not edited
    (conflicts).
    """

    tree: str
    files: tuple[TreeFile, ...]
    withheld: tuple[Withheld, ...] = ()
    read_only: tuple[Withheld, ...] = ()


class IndexEntry(NamedTuple):
    """One line of `git ls-files -s -t`: `tag` is H, S (skip-worktree) or M (unmerged)."""

    tag: str
    mode: str
    oid: str
    stage: int
    path: bytes


def parse_tree(listing: bytes) -> Iterator[TreeFile]:
    """The entries of `git ls-tree -r -l -z`."""
    for record in listing.split(b"\0")[:-1]:
        head, _, path = record.partition(b"\t")
        mode, _, oid, size = head.decode("ascii").split()
        yield TreeFile(fsdecode(path), mode, oid, int(size) if size.isdecimal() else 0 if size == "-" else MISSING)


def parse_index(listing: bytes) -> tuple[list[IndexEntry], list[bytes]]:
    """The tracked entries and the untracked paths of `git ls-files -z -t -s -c -o`."""
    tracked: list[IndexEntry] = []
    untracked: list[bytes] = []
    for record in listing.split(b"\0")[:-1]:
        if record.startswith(b"? "):
            untracked.append(record[2:])
        else:
            head, _, path = record.partition(b"\t")
            tag, mode, oid, stage = head.decode("ascii").split(" ")
            tracked.append(IndexEntry(tag, mode, oid, int(stage), path))
    return tracked, untracked
