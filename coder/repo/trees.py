"""The words for what is in a git tree, and the reading of git's listings into them. Runs nothing."""

import os
import re
from dataclasses import dataclass
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
    """One line of `git ls-files -s -v`: `tag` is H, S (skip-worktree) or M (unmerged), small if assumed unchanged."""

    tag: str
    mode: str
    oid: str
    stage: str
    path: str


# Both listings are parsed by one pass of the regex engine: a loop in Python is what a large repository waits for.
_TREE_RECORD = re.compile(r"(\d+) \w+ ([0-9a-f]+) +(\S+)\t([^\0]*)\0")
_INDEX_RECORD = re.compile(r"(?:\? ([^\0]*)|([A-Za-z]) (\d+) ([0-9a-f]+) ([0-3])\t([^\0]*))\0")


def parse_tree(listing: bytes) -> tuple[TreeFile, ...]:
    """The entries of `git ls-tree -r -l -z`."""
    return tuple(
        TreeFile(path, mode, oid, int(size) if size.isdecimal() else 0 if size == "-" else MISSING)
        for mode, oid, size, path in _TREE_RECORD.findall(os.fsdecode(listing))
    )


def parse_index(listing: bytes) -> tuple[list[IndexEntry], list[str]]:
    """The tracked entries and the untracked paths of `git ls-files -z -v -s -c -o`."""
    records = _INDEX_RECORD.findall(os.fsdecode(listing))
    return [IndexEntry(*record[1:]) for record in records if record[1]], [record[0] for record in records if record[0]]
