"""The files' side of undo and rewind: checkpoints taken back, several as one, newest first, or none of them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from msgspec import to_builtins

from coder.errors import CoderError
from coder.events import Undone
from coder.repo.checkpoint import UndoItem, list_checkpoints, preview, undo
from coder.repo.discover import Location
from coder.session.means import Means
from coder.store import Places
from coder.values import Checkpoint


def standing(location: Location, places: Places, ids: Sequence[str]) -> tuple[str, ...]:
    """Those of `ids` that are in place now: known, and not undone. Newest first."""
    wanted = set(ids)
    return tuple(each.id for each in list_checkpoints(location, places) if each.id in wanted and not each.undone)


def preview_all(location: Location, places: Places, ids: Sequence[str]) -> tuple[UndoItem, ...]:
    """What taking back `ids` (newest first) does to each file, whether it stands in one of them or in several."""
    items: dict[str, UndoItem] = {}
    for checkpoint in ids:
        for item in preview(location, places, checkpoint):
            newer = items.get(item.path)
            if newer is None:
                items[item.path] = item
            elif not newer.blocked:
                items[item.path] = _through(newer, item)
    return tuple(items[path] for path in sorted(items))


def _through(newer: UndoItem, older: UndoItem) -> UndoItem:
    """A file that a newer and an older change touched: from what it is now to what it was before the older one."""
    if newer.now == older.then:
        return UndoItem(newer.path, "nothing", newer.now, older.then)
    if older.then is None:
        return UndoItem(newer.path, "remove", newer.now, None)
    return UndoItem(newer.path, "restore" if newer.now is not None else "recreate", newer.now, older.then)


def take_back(location: Location, places: Places, ids: Sequence[str]) -> tuple[Checkpoint, ...]:
    """Undo `ids` (newest first); the checkpoints of the undos. Blocking.

    If one cannot be undone, those before it are put in place again and its error is raised.
    """
    made: list[Checkpoint] = []
    try:
        for checkpoint in ids:
            made.append(undo(location, places, checkpoint))
    except CoderError:
        for done in reversed(made):
            with contextlib.suppress(CoderError):
                undo(location, places, done.id)
        raise
    return tuple(made)


async def undo_in(means: Means, work: Callable[[], tuple[Checkpoint, ...]]) -> tuple[Checkpoint, ...]:
    """Carry out `work` (blocking), whose checkpoints undo others; the session forgets what is gone, and tells it."""
    before = await asyncio.to_thread(_undone, means)
    made = await asyncio.to_thread(work)
    gone = sorted(await asyncio.to_thread(_undone, means) - before)
    for checkpoint in gone:
        means.edits.pop(checkpoint, None)
        means.applied.pop(checkpoint, None)
    for done in made:
        means.recorder.note("undone", checkpoint=to_builtins(done), paths=done.paths, undoes=gone)
        means.emit(Undone(done, done.paths))
    return made


def _undone(means: Means) -> set[str]:
    return {each.id for each in list_checkpoints(means.repository.location, means.places) if each.undone}
