"""Checkpoints: what applied changes replaced, and taking one back.

Undo is an ordinary change made by the same engine, so it is all or nothing and can be undone itself. It touches only
files that still are what coder wrote.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from coder.errors import Failed, UserError
from coder.repo.apply import change_tree, tree_to_change
from coder.repo.journal import Image, Journal, Record, Step, Vault, read_record
from coder.repo.recovery import explain
from coder.repo.safe_io import Found, Obstacle, Tree
from coder.repo.steps import FileChange, Stale, plan
from coder.store import Places
from coder.text import visible_line
from coder.values import Checkpoint

if TYPE_CHECKING:
    from coder.repo.discover import Location


class UndoItem(Struct, frozen=True):
    """What undo does to one file, and the bytes now and afterwards (None: no file).

    "nothing": it already is what it had been. `blocked` says why it cannot be restored, "" if it can.
    """

    path: str
    action: Literal["restore", "recreate", "remove", "nothing"]
    now: bytes | None
    then: bytes | None
    blocked: str = ""


def list_checkpoints(location: "Location", places: Places) -> tuple[Checkpoint, ...]:
    """All checkpoints of a working tree, newest first. Those whose file cannot be read are left out."""
    journals = [record.journal for record in _records(Vault(places, location.root))]
    undone = _undone(journals)
    return tuple(_checkpoint(journal, journal.id in undone) for journal in reversed(journals))


def preview(location: "Location", places: Places, checkpoint_id: str = "") -> tuple[UndoItem, ...]:
    """What `undo` with the same id would do, file by file. Raises UserError if there is no such checkpoint."""
    try:
        record, _ = _find(Vault(places, location.root), checkpoint_id)
        with Tree(location.root) as tree:
            return tuple(_item(tree, record, step) for step in record.journal.files)
    except OSError as error:
        raise Failed(f"cannot read the checkpoint: {explain(error)}") from error


def undo(location: "Location", places: Places, checkpoint_id: str = "", *, partial: bool = False) -> Checkpoint:
    """Restore what a checkpoint replaced ("": the latest that is neither undone nor an undo itself); blocking.

    Returns the new checkpoint, which takes the undo back. Raises Stale, with nothing written, if a file was changed
    since; with `partial` such files are left out and named in the warnings, and Stale means that none was left.
    """
    with tree_to_change(location, places) as (vault, tree, messages):
        record, undone = _find(vault, checkpoint_id)
        items = [(step, _item(tree, record, step)) for step in record.journal.files]
        blocked = [item for _, item in items if item.blocked]
        if undone and all(item.action == "nothing" and not item.blocked for _, item in items):
            raise UserError("that change is already undone", "coder undo --list shows the others")
        if blocked and (not partial or len(blocked) == len(items)):
            raise Stale([item.path for item in blocked], "changed since coder wrote it")
        changes = [_change(step, item) for step, item in items if not item.blocked and item.action != "nothing"]
        journal = record.journal
        made = {step.path for step in journal.steps if step.do == "make_directory"}
        removed = {step.path: step.mode for step in journal.steps if step.do == "remove_directory"}
        planned = plan(tree, changes, modes=removed | dict(journal.emptied), removable=made)
        left = tuple(f"{visible_line(item.path)} {item.blocked}; it was left as it is" for item in blocked)
        label = f"undo of “{journal.label}”"
        return change_tree(vault, tree, planned, label, undoes=journal.id, warnings=(*messages, *left))


def prune(places: Places, retention_days: float) -> int:
    """Delete the checkpoints of all working trees that are older than this, and what recoveries kept as long.

    Returns how many went. A record of an unfinished change stays.
    """
    oldest = time.time() - retention_days * 86_400
    removed = 0
    for folder, _, names in os.walk(places.state / "checkpoints", topdown=False):
        for file in (Path(folder, name) for name in names if name not in _KEPT_NAMES):
            try:
                if file.lstat().st_mtime < oldest:
                    file.unlink()
                    removed += file.suffix == ".checkpoint"
            except FileNotFoundError:
                continue  # another coder pruned it
        if Path(folder).parent.name == "kept" and not os.listdir(folder):
            os.rmdir(folder)
    return removed


_KEPT_NAMES = ("lock", "count", "pending", "committed", "pending.new")


def _records(vault: Vault) -> Iterator[Record]:
    for _, _, file in vault.names():
        try:
            yield read_record(file)
        except (OSError, ValueError):
            continue


def _undone(journals: list[Journal]) -> set[str]:
    """The ids that are taken back now. Taking back an undo puts what it had undone in place again."""
    undoes = {journal.id: journal.undoes for journal in journals}
    undone: set[str] = set()
    for journal in journals:
        if journal.undoes:
            undone.add(journal.undoes)
            undone.discard(undoes.get(journal.undoes, ""))
    return undone


def _checkpoint(journal: Journal, undone: bool) -> Checkpoint:
    return Checkpoint(journal.id, journal.when, journal.label, journal.paths, undone)


def _find(vault: Vault, checkpoint_id: str) -> tuple[Record, bool]:
    """The record of a checkpoint, and whether it is undone."""
    records = list(_records(vault))
    undone = _undone([record.journal for record in records])
    if checkpoint_id:
        found = [record for record in records if record.journal.id.startswith(checkpoint_id)]
        if len(found) == 1:
            return found[0], found[0].journal.id in undone
        what = "more than one checkpoint starts with" if found else "there is no checkpoint"
        raise UserError(f"{what} {visible_line(checkpoint_id, 60)!r}", "coder undo --list shows them")
    for record in reversed(records):
        if not record.journal.undoes and record.journal.id not in undone:
            return record, False
    hint = "coder undo --list shows the undone ones, which can be put back by their id" if records else ""
    raise UserError("there is nothing to undo", hint)


def _item(tree: Tree, record: Record, step: Step) -> UndoItem:
    then = record.content(step) if step.before else None
    try:
        found = tree.read(step.path)
    except Obstacle as obstacle:
        if step.after is None and obstacle.kind == "directory" and _holds_a_new_file(record.journal, step.path):
            return UndoItem(step.path, "recreate", None, then)
        return UndoItem(step.path, "nothing", None, then, f"cannot be written: {obstacle}")
    except OSError as error:
        return UndoItem(step.path, "nothing", None, then, f"cannot be read: {explain(error)}")
    now = found.content if found else None
    if _is(step.before, found):
        return UndoItem(step.path, "nothing", now, then)
    action: Literal["restore", "recreate", "remove"] = (
        "remove" if step.before is None else "restore" if step.after else "recreate"
    )
    return UndoItem(step.path, action, now, then, "" if _is(step.after, found) else "changed since coder wrote it")


def _holds_a_new_file(journal: Journal, directory: str) -> bool:
    """Whether the change itself put a file below `directory`, where a file had been: undo removes that first."""
    return any(step.after and step.path.startswith(f"{directory}/") for step in journal.files)


def _is(image: Image | None, found: Found | None) -> bool:
    return found is None if image is None else image.matches(found)


def _change(step: Step, item: UndoItem) -> FileChange:
    return FileChange(item.path, item.now, None, item.then, like=step.before)
