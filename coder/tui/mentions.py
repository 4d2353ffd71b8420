"""What follows an `@`: files and declarations, searched in a thread, the newest word only. The screen never waits."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from coder.errors import CoderError
from coder.tui.completion import MAX_SHOWN, best_paths
from coder.tui.door import NamesLike

MOST_SYMBOLS = 4  # of the rows, so that files are always among them
Offers = list[tuple[str, str]]  # what is inserted, and a word about it


class Mentions:
    """`show` gets the word that was searched for and what was found."""

    def __init__(self, show: Callable[[str, Offers], None]) -> None:
        self._show = show
        self._wanted: str | None = None
        self._task: asyncio.Task[None] | None = None

    def look(self, names: NamesLike | None, typed: str, known: Sequence[str]) -> None:
        """Search for `typed`; `known` are paths to search where the repository is not open yet."""
        self._wanted = typed
        if self._task is None:
            self._task = asyncio.create_task(self._search(names, known))

    def forget(self) -> None:
        """Whatever is still found is not wanted any more."""
        self._wanted = None

    async def _search(self, names: NamesLike | None, known: Sequence[str]) -> None:
        try:
            searched: str | None = None
            while self._wanted is not None and self._wanted != searched:
                searched = self._wanted
                if names is not None and (first := await asyncio.to_thread(_first, names, searched)):
                    self._show_if_wanted(searched, first)
                found = await asyncio.to_thread(_find, names, searched, known)
                self._show_if_wanted(searched, found)
        finally:
            self._task = None

    def _show_if_wanted(self, searched: str, found: Offers) -> None:
        if self._wanted == searched:
            self._show(searched, found)


def _first(names: NamesLike, typed: str) -> Offers:
    """What can be offered at once, where the files of the repository are yet to be read."""
    with suppress(CoderError, OSError):
        return [(f"@{path}", "") for path in best_paths(names.tracked(), typed, MAX_SHOWN)]
    return []


def _find(names: NamesLike | None, typed: str, known: Sequence[str]) -> Offers:
    paths: Sequence[str] = ()
    symbols: Offers = []
    if names is not None:
        with suppress(CoderError, OSError):
            paths = names.paths()
            if typed and "/" not in typed:
                found = names.symbols(typed, MOST_SYMBOLS)
                symbols = [(f"{each.name} (@{each.path}:{each.line})", "") for each in found]
    files: Offers = [(f"@{path}", "") for path in best_paths(paths or known, typed, MAX_SHOWN)]
    room = MAX_SHOWN - min(len(symbols), max(MOST_SYMBOLS - 1, MAX_SHOWN - len(files)))
    return [*files[:room], *symbols[: MAX_SHOWN - len(files[:room])]]
