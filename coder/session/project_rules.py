"""AGENTS.md of a trusted repository, its root's and its folders': context in a place of its own, never policy."""

from collections.abc import Iterable, Iterator

from coder.context.tree import read_texts
from coder.context.withheld import Rules
from coder.repo.repository import Repository, Snapshot
from coder.values import ContextEntry

NAME = "AGENTS.md"
MAX_CHARS = 32_000  # of all of them together

ProjectRules = tuple[tuple[str, str], ...]
"""Folder ("" for the root) and text of each, the outer ones first."""


def project_rules(
    repository: Repository, snapshot: Snapshot, rules: Rules, entries: Iterable[ContextEntry]
) -> ProjectRules:
    """Those that concern files whose text is shown; what the user keeps back (`rules`) is none. Blocking."""
    shown = (entry.path for entry in entries if entry.mode in ("full", "part") and not _is_own(entry.path))
    folders = {"", *(folder for path in shown for folder in _above(path))}
    own = [file for file in snapshot.files if _is_own(file.path) and file.mode.startswith("100")]
    by_depth = sorted(own, key=lambda file: (file.path.count("/"), file.path))
    texts, _ = read_texts(repository, [file for file in by_depth if _folder(file.path) in folders], rules)
    found, room = [], MAX_CHARS
    for path, text in texts.items():
        if text and room > 0:
            found.append((_folder(path), text[:room]))
            room -= len(text)
    return tuple(found)


def _is_own(path: str) -> bool:
    return path.rpartition("/")[2] == NAME


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _above(path: str) -> Iterator[str]:
    while path := _folder(path):
        yield path
