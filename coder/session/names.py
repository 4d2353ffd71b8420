"""The names a user may complete: files of the working tree, and what they declare, from the index as far as it is."""

import threading
import time
from collections.abc import Mapping, Sequence

from msgspec import Struct

from coder.context.facts import facts_key
from coder.context.index import with_index
from coder.repo.discover import Location
from coder.repo.repository import Repository
from coder.store import Places

FRESH_S = 20.0  # after which a list of files that is asked for is read anew
SMALL_BYTES = 1_000_000  # a repository that is indexed here, in a fraction of a second
MOST_ROWS = 2_000  # files with a declaration that holds what was typed; more are not looked at


class FoundSymbol(Struct, frozen=True):
    """A declaration: its name, its file and its first line (from 1)."""

    name: str
    path: str
    line: int


class Names:
    """For threads beside the session: it has a repository of its own, since one serves one caller at a time."""

    def __init__(self, location: Location, places: Places, session: str) -> None:
        self._location, self._places, self._session = location, places, f"{session}-names"
        self._lock = threading.Lock()
        self._at = 0.0
        self._paths: Mapping[str, Sequence[str]] = {}

    def paths(self) -> tuple[str, ...]:
        """The files of the working tree, untracked ones included. Blocking: the first time it reads it."""
        return tuple(sorted(path for paths in self._files().values() for path in paths))

    def tracked(self) -> tuple[str, ...]:
        """While the files are yet to be read: those that git tracks, in a fraction of the time. Else ()."""
        if self._at:
            return ()
        with Repository(self._location, self._places, f"{self._session}-first") as repository:
            return tuple(dict.fromkeys(repository.tracked_paths()))

    def symbols(self, typed: str, limit: int) -> tuple[FoundSymbol, ...]:
        """Declarations whose name holds `typed`: those that begin with it first, then the shortest. Blocking.

        The search itself runs in SQLite, which leaves other threads alone meanwhile.
        """
        files = self._files()
        rows = with_index(self._places, lambda index: index.declaring(typed, MOST_ROWS))
        wanted = typed.lower()
        found = [
            FoundSymbol(symbol.name, path, symbol.first)
            for key, facts in rows.items()
            for path in files.get(key, ())
            for symbol in facts.outline()
            if wanted in symbol.name.lower()
        ]
        found.sort(key=lambda each: (not each.name.lower().startswith(wanted), len(each.name), each.name, each.path))
        return tuple(found[:limit])

    def _files(self) -> Mapping[str, Sequence[str]]:
        """The paths by the key of their facts. A list that is there serves while a newer one is read."""
        with self._lock:
            if not self._at:
                self._read()
            elif time.monotonic() - self._at > FRESH_S:
                self._at = time.monotonic()
                threading.Thread(target=self._read, name="coder-names", daemon=True).start()
            return self._paths

    def _read(self) -> None:
        repository = Repository(self._location, self._places, self._session)
        try:
            files = repository.snapshot().files
            if sum(file.size for file in files) <= SMALL_BYTES:  # shown whole, so that no plan had to index it
                with_index(self._places, lambda index: index.update(repository, files))
        finally:
            repository.close()
        paths: dict[str, list[str]] = {}
        for file in files:
            paths.setdefault(facts_key(file.oid, file.path), []).append(file.path)
        self._paths, self._at = paths, time.monotonic()
