"""Writing approved changes into the working tree: all of them or none, whatever happens in between.

The one place that changes the user's files. The order is: verify, record, write the new files beside the old ones,
exchange names, mark as done, tidy up. Everything before the mark can be taken back without writing file contents.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from coder.errors import CoderError, Failed
from coder.repo.journal import Journal, Record, Step, Vault, new_id
from coder.repo.recovery import could_not, explain, finish, recover_locked, sync_all, take_back
from coder.repo.safe_io import Creation, Found, Obstacle, Tree
from coder.repo.space import check_space
from coder.repo.steps import FileChange, Plan, Stale, plan
from coder.store import Places
from coder.text import visible_line
from coder.values import Checkpoint

if TYPE_CHECKING:
    from coder.repo.discover import Location

__all__ = ["FileChange", "Stale", "apply", "change_tree", "recover", "tree_to_change"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def apply(location: "Location", places: Places, changes: Sequence[FileChange], label: str) -> Checkpoint:
    """Make `changes` in the working tree, or none of them; blocking. An interrupted earlier change is recovered first.

    Returns the checkpoint that `undo` takes, with warnings; its id is "" if there was nothing to change. Raises Stale
    when a file is not what `before` says, Refused for links and other things that are never written to, and Failed
    when the system says no: the tree is then as it was. In the main thread a signal waits until the change is made;
    what its handler raises then does not mean that the change was not.
    """
    with tree_to_change(location, places) as (vault, tree, messages):
        planned = plan(tree, changes)
        if not planned.steps:
            return Checkpoint("", time.time(), label, (), warnings=messages)
        return change_tree(vault, tree, planned, label, warnings=messages)


def recover(location: "Location", places: Places) -> tuple[str, ...]:
    """Bring a change that was interrupted to its end, and say what was done (usually nothing: two look-ups).

    To be called by every command that opens a repository. Never raises for what it cannot mend: it says so, and the
    next start tries again.
    """
    if Vault(places, location.root).unfinished() is None:
        return ()
    try:
        with tree_to_change(location, places) as (_, _, messages):
            return messages
    except CoderError as error:
        return (f"{error.message} ({error.hint})" if error.hint else error.message,)


@contextlib.contextmanager
def tree_to_change(location: "Location", places: Places) -> Iterator[tuple[Vault, Tree, tuple[str, ...]]]:
    """The working tree, locked and recovered, with the messages of the recovery. Failures of the system are Failed."""
    vault = Vault(places, location.root)
    try:
        with vault.lock(), held_signals(), Tree(location.root) as tree:
            yield vault, tree, _recover_first(vault, tree)
    except Obstacle as error:
        raise Stale((error.path,), f"is a {error.kind} now") from error
    except OSError as error:
        name = f"{visible_line(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        raise Failed(f"{name}{explain(error)}; nothing was changed") from error


def _recover_first(vault: Vault, tree: Tree) -> tuple[str, ...]:
    """Nothing may be written on top of a change that could not be taken back."""
    try:
        return recover_locked(vault, tree)
    except (OSError, Obstacle) as error:
        raise Failed(
            f"an interrupted change could not be taken back yet: {explain(error)}",
            "mend that and start coder again: it will go on from there",
        ) from error


def change_tree(
    vault: Vault, tree: Tree, planned: Plan, label: str, *, undoes: str = "", warnings: tuple[str, ...] = ()
) -> Checkpoint:
    """Carry out a plan with the lock held. The checkpoint's warnings are the given ones and those of the plan."""
    when = time.time()
    journal = Journal(new_id(when), when, label, vault.root, planned.steps, planned.emptied, undoes)
    check_space(vault, tree, planned)
    old_contents = [planned.replaced[step.path].content for step in journal.files if step.before]
    with _about(str(vault.directory)):
        record = vault.begin(journal, old_contents)
    try:
        lost = _write_beside(tree, planned)
        _exchange_names(tree, planned)
        with _about(vault.root):
            sync_all(tree, journal)
        with _about(str(vault.directory)):
            record = vault.commit(record)
    except BaseException as error:
        _fail(vault, tree, record, error)
        raise
    return Checkpoint(
        journal.id,
        when,
        label,
        journal.paths,
        warnings=(*warnings, *planned.warnings, *lost, *_tidy_up(vault, tree, record)),
    )


def _write_beside(tree: Tree, planned: Plan) -> list[str]:
    """Every new file on disk, under its temporary name. Here a full disk shows, while the tree is untouched."""
    warnings = []
    for step in planned.steps:
        if step.after is None:
            continue
        after, mode = step.after, step.after.mode if step.after.mode >= 0 else None
        creation = Creation(mode, after.executable, after.uid, after.gid, planned.models.get(step.path, ""))
        with _about(step.path):
            lost = tree.create(step.temp, planned.contents[step.path], creation)
        warnings += [f"{visible_line(step.path)} could not keep its {what}" for what in lost]
    return warnings


def _exchange_names(tree: Tree, planned: Plan) -> None:
    for step in planned.steps:
        with _about(step.path):
            match step.do:
                case "make_directory":
                    tree.make_directory(step.path, step.mode if step.mode >= 0 else None)
                case "remove_directory":
                    if not tree.remove_directory(step.path):
                        raise Stale((step.path,), "is a directory with other files in it")
                case "file":
                    _exchange(tree, step, planned.replaced.get(step.path))


def _exchange(tree: Tree, step: Step, old: Found | None) -> None:
    """Put one new file in its place, or take one old file away. What came out is looked at once more: an editor that
    wrote in the last instant is noticed, and taking back puts its version in place again."""
    if old is None:
        tree.move(step.temp, step.path)
        return
    if not _is_still(tree, step.path, old):
        raise Stale((step.path,))
    if step.after is None:
        tree.move(step.path, step.temp)
        came_out = True
    else:
        came_out = tree.swap(step.temp, step.path)
    if came_out and not _is_still(tree, step.temp, old):
        raise Stale((step.path,))


def _is_still(tree: Tree, path: str, old: Found) -> bool:
    now = tree.read(path)
    return now is not None and (now.content, now.mode) == (old.content, old.mode)


def _fail(vault: Vault, tree: Tree, record: Record, error: BaseException) -> None:
    """Take everything back. Adds to the error what could not be; if nothing could be, the record stays for later."""
    try:
        messages = take_back(vault, tree, vault.reopen(record))
    except (OSError, Obstacle, Failed) as trouble:
        raise could_not(record.journal, trouble) from error
    if messages and isinstance(error, CoderError):
        error.hint = "; ".join((*messages, error.hint) if error.hint else messages)


def _tidy_up(vault: Vault, tree: Tree, record: Record) -> tuple[str, ...]:
    try:
        return finish(vault, tree, record)
    except (OSError, Obstacle, Failed) as error:
        return (f"the change is in place, but not tidied up ({explain(error)}); the next start of coder does that",)


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Keep signals that ask to end waiting, so that their handlers raise after a change and not within it.

    Only the main thread runs handlers; in another one there is nothing to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    """Failures of the system in the words of the user, with the path they are about."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, Obstacle) as error:
        raise Stale((path,)) from error
    except OSError as error:
        raise Failed(f"cannot write {visible_line(path)}: {explain(error)}; nothing was changed") from error
