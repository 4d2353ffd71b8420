"""The words for what is in a git tree, and the reading of git's listings into them. Runs nothing."""

import os
from typing import NamedTuple

from msgspec import Struct

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


class FileState(Struct, frozen=True):
    """What a file is to hold."""

    content: bytes
    mode: str = "100644"


class Snapshot(Struct, frozen=True):
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


# A large repository waits for these loops: one split in C, then as little as can be for each record.


def parse_tree(listing: bytes) -> tuple[TreeFile, ...]:
    """The entries of `git ls-tree -r -l -z`."""
    files: list[TreeFile] = []
    for record in os.fsdecode(listing).split("\0")[:-1]:
        head, _, path = record.partition("\t")
        mode, _, oid, size = head.split()
        files.append(TreeFile(path, mode, oid, int(size) if size.isdecimal() else 0 if size == "-" else MISSING))
    return tuple(files)


def parse_differences(listing: bytes) -> tuple[tuple[TreeFile, ...], tuple[str, ...]]:
    """The new entries (sizes not told: 0) and the deleted paths of `git diff-tree -r -z --raw --no-renames`."""
    changed: list[TreeFile] = []
    gone: list[str] = []
    fields = iter(os.fsdecode(listing).split("\0")[:-1])
    for head, path in zip(fields, fields, strict=True):
        _, mode, _, oid, status = head.split(" ")
        if status == "D":
            gone.append(path)
        else:
            changed.append(TreeFile(path, mode, oid, 0))
    return tuple(changed), tuple(gone)


class IndexListing:
    """The output of `git ls-files -z -v -s -c -o`: what is tracked and what is not."""

    def __init__(self, listing: bytes) -> None:
        self._records = os.fsdecode(listing).split("\0")[:-1]
        self._plain: list[str] = []
        self._others: list[IndexEntry] = []
        self._untracked: list[str] = []
        for record in self._records:
            head, _, path = record.partition("\t")
            if head[:4] in ("H 10", "H 12") and head[-2:] == " 0":
                self._plain.append(path)
            elif head[0] == "?":
                self._untracked.append(record[2:])
            else:
                self._others.append(_entry(record))

    def plain(self) -> list[str]:
        """The paths of ordinary entries: files and links without a conflict or a mark."""
        return list(self._plain)

    def others(self) -> list[IndexEntry]:
        """The tracked entries that are not plain: submodules, conflicts, marked ones."""
        return self._others

    def tracked(self) -> list[IndexEntry]:
        """All tracked entries."""
        return [_entry(record) for record in self._records if record[0] != "?"]

    def untracked(self) -> list[str]:
        """Files that are neither tracked nor ignored; an embedded repository as a directory with a slash."""
        return self._untracked


def _entry(record: str) -> IndexEntry:
    head, _, path = record.partition("\t")
    tag, mode, oid, stage = head.split(" ")
    return IndexEntry(tag, mode, oid, stage, path)
