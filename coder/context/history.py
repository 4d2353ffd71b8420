"""What the project's past says: the messages of its newest commits as terms, and the files each of them changed.

Only history up to HEAD is read. Mass changes (renames, formatting) say nothing about a task and are left out.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from coder.context.index import Index
from coder.context.terms import distinct

COMMITS = 3_000
MESSAGE_LIMIT = 2_000  # characters
MOST_PATHS = 30


class LogEntry(Protocol):
    @property
    def message(self) -> str: ...
    @property
    def paths(self) -> tuple[str, ...]: ...


class Log(Protocol):
    """A `coder.repo.Repository`, as far as history goes."""

    def log(self, limit: int) -> Iterable[LogEntry]: ...


class Commit(Struct, frozen=True):
    """Term numbers of the message, sorted, and positions in `History.paths`."""

    terms: tuple[int, ...]
    paths: tuple[int, ...]


class History(Struct, frozen=True):
    """Commits newest first. Paths are as they were then; some are gone."""

    paths: tuple[str, ...] = ()
    commits: tuple[Commit, ...] = ()


def read_history(log: Log, head: str, index: Index) -> History:
    """The history up to `head` ("" when there is none yet), from the index where it is known."""
    if not head:
        return History()
    kept = index.history(head)
    if kept is not None:
        return unpack(kept)
    history = digest(log.log(COMMITS))
    index.keep_history(head, pack(history))
    return history


def digest(entries: Iterable[LogEntry]) -> History:
    places: dict[str, int] = {}
    commits = []
    for entry in entries:
        if 0 < len(entry.paths) <= MOST_PATHS:
            paths = tuple(places.setdefault(path, len(places)) for path in entry.paths)
            commits.append(Commit(tuple(sorted(distinct(entry.message[:MESSAGE_LIMIT]))), paths))
    return History(tuple(places), tuple(commits))


def pack(history: History) -> str:
    return json.dumps([history.paths, [[commit.terms, commit.paths] for commit in history.commits]])


def unpack(packed: str) -> History:
    paths, commits = json.loads(packed)
    return History(tuple(paths), tuple(Commit(tuple(terms), tuple(places)) for terms, places in commits))


def present(history: History, tree: Sequence[str]) -> tuple[int, ...]:
    """For each path of the history its position in `tree`, -1 when it is gone.

    A path that moved is followed to the one file of the tree with the same last two parts, or the same name.
    """
    exact = {path: place for place, path in enumerate(tree)}
    moved = {tail for path in history.paths if path not in exact for tail in _tails(path)}
    tails: dict[str, int] = {}
    for place, path in enumerate(tree) if moved else ():
        for tail in _tails(path):
            if tail in moved:
                tails[tail] = place if tail not in tails else -1
    return tuple(
        exact[path] if path in exact else next((tails[tail] for tail in _tails(path) if tails.get(tail, -1) >= 0), -1)
        for path in history.paths
    )


def _tails(path: str) -> tuple[str, ...]:
    split = path.split("/")
    return ("/".join(split[-2:]), "/" + split[-1])
