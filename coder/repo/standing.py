"""Where HEAD, its branch and the index stand, and putting them back after a commit that must not stay.

Only undoes what coder itself just did: if anything moved since, nothing is touched.
"""

import os
import stat
from pathlib import Path

from msgspec import Struct

from coder.errors import Failed
from coder.repo.discover import Location, discover
from coder.repo.git import Git
from coder.repo.users_index import locked_index


class Standing(Struct, frozen=True):
    """`head` is a commit ("" if there is none yet), `branch` "" if HEAD is detached. `index` holds the file's bytes,
    None where there is no file; `logged` counts the entries in the logs of HEAD and of the branch."""

    head: str
    branch: str
    index: bytes | None
    logged: tuple[int, int]


def standing(root: Path) -> Standing:
    """How the repository of the working tree `root` stands now. Blocking; runs no program of the repository."""
    location = discover(root)
    index = location.index.read_bytes() if location.index.exists() else None
    git = Git(location.git_dir)
    return Standing(location.head, location.branch, index, (_logged(git, "HEAD"), _logged(git, _ref(location.branch))))


def put_back(root: Path, before: Standing, after: Standing) -> None:
    """Let HEAD, the branches, their logs and the index be as they were `before`; a branch made since then goes.

    (A HEAD that names no commit keeps a line in its log: git cannot take that one out.)
    Raises Failed, with nothing changed, if they do not stand as in `after` any more; Refused if git is at work there.
    """
    location = discover(root)
    with locked_index(location) as lock:
        if standing(root) != after:
            raise Failed(
                "the repository changed since the commit", f"`git show {after.head[:12]}` is what was committed"
            )
        git = Git(location.git_dir)
        _put_back_head(git, before, after)
        for ref, then in zip(("HEAD", _ref(before.branch)), before.logged, strict=True):
            for _ in range(_logged(git, ref) - then):
                git.run("reflog", "delete", f"{ref}@{{0}}")
        _put_back_index(location, before.index, lock)


def _put_back_head(git: Git, before: Standing, after: Standing) -> None:
    if before.branch != after.branch:
        if before.branch:
            git.run("symbolic-ref", "HEAD", _ref(before.branch))
        else:
            git.run("update-ref", "--no-deref", "HEAD", before.head)
        git.run("update-ref", "-d", _ref(after.branch), after.head)
    elif before.head:
        git.run("update-ref", "HEAD", before.head, after.head)
    else:
        git.run("update-ref", "-d", "HEAD", after.head)


def _put_back_index(location: Location, index: bytes | None, lock: Path) -> None:
    if index is None:
        location.index.unlink(missing_ok=True)
        return
    with lock.open("wb") as file:
        file.write(index)
        file.flush()
        os.fchmod(file.fileno(), stat.S_IMODE(location.index.stat().st_mode))
        os.fsync(file.fileno())
    os.replace(lock, location.index)


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}" if branch else "HEAD"


def _logged(git: Git, ref: str) -> int:
    code, out, _ = git.run_code("reflog", "show", "--format=%H", ref, "--")
    return len(out.splitlines()) if code == 0 else 0
