"""Commits of what a session applied and has not committed yet: exactly that, whatever else is staged or changed."""

import asyncio
from collections.abc import Sequence

from coder.errors import CoderError, UserError
from coder.events import Notice
from coder.repo.commit import Committed, commit
from coder.repo.convert import joint_patch
from coder.session.means import Means
from coder.session.recorded import RecordedTurn
from coder.session.uninterrupted import uninterrupted

SUBJECT = 72  # columns of a commit's first line


def commit_message(task: str) -> str:
    """A commit message from the task: its first line as the subject (72 columns), the whole below if there is more."""
    subject = _subject(task)
    return subject if subject == task.strip() else f"{subject}\n\n{task.strip()}"


def _subject(task: str) -> str:
    line = (task.strip().splitlines() or ["coder"])[0]
    return line if len(line) <= SUBJECT else line[: SUBJECT - 1].rstrip() + "…"


class Commits:
    """What of a session waits to be committed. `turns` are the session's own, and grow."""

    def __init__(self, means: Means, turns: Sequence[RecordedTurn]) -> None:
        self._means, self._turns = means, turns

    def waiting(self) -> tuple[str, ...]:
        """The checkpoints that no commit holds, oldest first."""
        return tuple(self._means.applied)

    def paths(self) -> tuple[str, ...]:
        """The files that these changed. Blocking."""
        return _paths(self._means, self.waiting())

    def message(self) -> str:
        """What a commit of it all would say: the task, or each of several."""
        waiting = set(self.waiting())
        tasks = [turn.task for turn in self._turns if waiting.intersection(turn.checkpoints)]
        if len(tasks) < 2:
            return commit_message(tasks[0] if tasks else "")
        return f"{_subject(tasks[0])}\n\n" + "\n".join(f"- {_subject(task)}" for task in tasks)

    async def make(self, message: str) -> str:
        """Commit all of it on HEAD; the commit's id. Raises, with everything as it was, where that cannot be."""
        waiting = self.waiting()
        if not waiting:
            raise UserError("nothing that was applied here waits to be committed")
        return await make_commit(self._means, waiting, message)


async def make_commit(means: Means, checkpoints: Sequence[str], message: str) -> str:
    """Commit what these checkpoints applied. The user's hooks and signing run only in a repository they trust."""
    repository = means.repository

    def work() -> tuple[Committed, tuple[str, ...]]:
        paths = _paths(means, checkpoints)
        patch = joint_patch(repository, [means.applied[each] for each in checkpoints])
        return commit(repository, patch, message, None, means.options.trusted), paths

    (made, paths), interrupted = await uninterrupted(work)
    oid = made.oid
    for each in checkpoints:
        means.applied.pop(each, None)
    means.recorder.note("committed", checkpoints=list(checkpoints), commit=oid)
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    means.emit(Notice(f"committed {oid[:12]}: {', '.join(paths[:5])}{more}"))
    for remark in made.remarks:
        means.emit(Notice(remark, "warning"))
    if interrupted:
        raise asyncio.CancelledError
    return oid


async def commit_landed(means: Means, checkpoint: str, message: str) -> str:
    """Commit what was applied just now. What forbids it is said; the files stay as they were applied."""
    try:
        return await make_commit(means, [checkpoint], message)
    except CoderError as error:
        hint = f" ({error.hint})" if error.hint else ""
        means.emit(Notice(f"applied, but not committed: {error.message}{hint}; /commit tries again", "warning"))
        return ""


def _paths(means: Means, checkpoints: Sequence[str]) -> tuple[str, ...]:
    trees = [means.applied[each] for each in checkpoints]
    return tuple(sorted({file.path for old, new in trees for file in means.repository.diff(old, new)}))
