"""Bringing a change of the working tree to an end: taking it back, or tidying up after it.

Works from the record and from what is on disk now, trusts nothing else, and may itself be killed anywhere and run
again. Bytes that are neither the old file nor coder's are the user's: they stay, and what they displace is kept.
"""

from collections.abc import Iterable

from coder import amounts
from coder.errors import CoderError, Failed
from coder.repo.journal import Damaged, Journal, Record, Step, Vault, read_record
from coder.repo.safe_io import Creation, Found, Obstacle, Tree, split
from coder.text import visible_line


def recover_locked(vault: Vault, tree: Tree) -> tuple[str, ...]:
    """Bring an unfinished change to its end; what was done, in words for the user. The vault's lock must be held."""
    file = vault.unfinished()
    if file is None:
        return ()
    try:
        record = read_record(file)
    except ValueError:
        return (f"the record of an interrupted change could not be read; it is now {vault.set_aside(file)}",)
    label = visible_line(record.journal.label, 60)
    files = amounts.count(len(record.journal.files), "file")
    if file == vault.committed:
        messages = finish(vault, tree, record)
        return (f"the change “{label}” was interrupted when it was complete ({files}); it was tidied up", *messages)
    messages = take_back(vault, tree, record)
    return (f"the change “{label}” was interrupted; {files} were put back as they had been", *messages)


def take_back(vault: Vault, tree: Tree, record: Record) -> tuple[str, ...]:
    """Undo the steps of a pending record in reverse and remove it. Returns a sentence per file that could not be."""
    messages: list[str] = []
    damaged = False
    for step in reversed(record.journal.steps):
        try:
            match step.do:
                case "make_directory":
                    tree.remove_directory(step.path)
                case "remove_directory":
                    if tree.kind(step.path) == "none":
                        tree.make_directory(step.path, step.mode)
                case "file":
                    messages += _take_back_file(vault, tree, record, step)
        except Obstacle:
            messages += [_left(vault, record, step)] if step.before else []
        except Damaged as trouble:
            damaged = True
            messages.append(trouble.message)
    sync_all(tree, record.journal)
    if damaged:
        messages.append(f"the damaged record is now {vault.set_aside(record.file)}")
    else:
        record.file.unlink(missing_ok=True)
    return tuple(messages)


def finish(vault: Vault, tree: Tree, record: Record) -> tuple[str, ...]:
    """Remove what a committed change left beside its files, and close its record as a checkpoint."""
    messages: list[str] = []
    for step in record.journal.files:
        tree.unlink(step.restored)
        old = _peek(tree, step.temp)
        if isinstance(old, Found) and step.before and old.content and not step.before.matches(old):
            place = vault.keep(record, step, old.content, "edited")
            messages.append(f"{_name(step)} was edited at the moment it was replaced; that version is kept at {place}")
        tree.unlink(step.temp)
    for directory, _ in record.journal.emptied:
        tree.remove_directory(directory)
    sync_all(tree, record.journal)
    vault.close(record)
    return tuple(messages)


def sync_all(tree: Tree, journal: Journal) -> None:
    """Make every name that a change touches durable."""
    touched = {split(path)[0] for step in journal.steps for path in (step.path, step.temp or step.path)}
    touched |= {split(directory)[0] for directory, _ in journal.emptied}
    for directory in sorted(touched):
        try:
            tree.sync(directory)
        except Obstacle:
            continue  # the user put something else in its place: not ours to sync


def _take_back_file(vault: Vault, tree: Tree, record: Record, step: Step) -> Iterable[str]:
    tree.unlink(step.restored)
    now, aside = _peek(tree, step.path), _peek(tree, step.temp)
    if step.before is None:
        tree.unlink(step.temp)
        return _take_back_creation(tree, step, now)
    if step.after is None and now is None and isinstance(aside, Found):
        tree.move(step.temp, step.path)
        return ()
    if _is_after(step, now) and isinstance(aside, Found) and _was_swapped_out(step, now, aside):
        return _swap_back(vault, tree, record, step, aside)
    if isinstance(aside, Found) and not _is_ours(step, now, aside):
        place = vault.keep(record, step, aside.content, "edited")
        tree.unlink(step.temp)
        return (*_put_back(vault, tree, record, step), f"a version of {_name(step)} was kept at {place}")
    tree.unlink(step.temp)
    return _put_back(vault, tree, record, step)


def _take_back_creation(tree: Tree, step: Step, now: "Found | Obstacle | None") -> Iterable[str]:
    if _is_after(step, now):
        tree.unlink(step.path)
        return ()
    return () if now is None else (f"{_name(step)} was changed meanwhile and is left as it is",)


def _was_swapped_out(step: Step, now: "Found | Obstacle | None", aside: Found) -> bool:
    """Whether `aside` is what stood at the path before the swap: the old file, or the user's newer one.

    Otherwise it is coder's new file or the beginning of it, and the user happens to have written the same bytes.
    """
    if step.before is not None and step.before.matches(aside):
        return True
    return isinstance(now, Found) and not now.content.startswith(aside.content)


def _swap_back(vault: Vault, tree: Tree, record: Record, step: Step, aside: Found) -> Iterable[str]:
    messages = _swap_in(vault, tree, record, step, step.temp)
    if step.before is not None and not step.before.matches(aside):
        messages.append(_left(vault, record, step))
    return messages


def _swap_in(vault: Vault, tree: Tree, record: Record, step: Step, waiting: str) -> list[str]:
    """Put the file `waiting` in the place of coder's, and keep what came out if it was no longer that."""
    tree.swap(waiting, step.path)
    displaced = _peek(tree, waiting)
    messages = []
    if isinstance(displaced, Found) and not _is_after(step, displaced):
        place = vault.keep(record, step, displaced.content, "edited")
        messages.append(f"{_name(step)} was edited at the moment it was put back; that version is kept at {place}")
    tree.unlink(waiting)
    return messages


def _is_ours(step: Step, now: "Found | Obstacle | None", aside: Found) -> bool:
    """Whether losing `aside` loses nothing: it is the old file (also in the record), or coder's own new one."""
    assert step.before is not None
    if not aside.content or step.before.matches(aside) or _is_after(step, aside):
        return True
    return step.before.matches(now if isinstance(now, Found) else None) or _is_after(step, now)


def _put_back(vault: Vault, tree: Tree, record: Record, step: Step) -> Iterable[str]:
    """Write the old file from the record, if what is there now is coder's."""
    now = _peek(tree, step.path)
    before = step.before
    assert before is not None
    if isinstance(now, Found) and before.matches(now):
        return ()
    if not _is_after(step, now):
        return (_left(vault, record, step),)
    creation = Creation(before.mode, uid=before.uid, gid=before.gid, attributes_of=step.path if now else "")
    tree.make_parents(step.restored)
    tree.create(step.restored, record.content(step), creation)
    if now is not None:
        return _swap_in(vault, tree, record, step, step.restored)
    tree.make_parents(step.path)
    tree.move(step.restored, step.path)
    return ()


def _left(vault: Vault, record: Record, step: Step) -> str:
    place = vault.keep(record, step, record.content(step), "before")
    return f"{_name(step)} was changed meanwhile and is left as it is; what it had been is kept at {place}"


def _is_after(step: Step, now: "Found | Obstacle | None") -> bool:
    if step.after is None:
        return now is None
    return isinstance(now, Found) and step.after.matches(now)


def _peek(tree: Tree, path: str) -> "Found | Obstacle | None":
    """What is at `path`, with an obstacle as a value: in a recovery it is one of the answers."""
    try:
        return tree.read(path)
    except Obstacle as obstacle:
        return obstacle


def _name(step: Step) -> str:
    return visible_line(step.path)


def explain(error: BaseException) -> str:
    """The reason of a failure for the middle of a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return error.message if isinstance(error, CoderError) else str(error)


def could_not(journal: Journal, error: BaseException) -> Failed:
    """The failure of a recovery itself: the record stays, so that the next start tries again."""
    return Failed(
        f"the interrupted change “{visible_line(journal.label, 60)}” could not be taken back yet: {explain(error)}",
        "mend that and start coder again: it will go on from there",
    )
