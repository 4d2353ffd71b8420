"""What a commit lacks that is made without the user's own programs, as in a repository they don't trust."""

import os
from pathlib import Path

from coder.repo.discover import Location, is_true
from coder.repo.git import user_config

# Those that `git commit` runs; source: githooks(5).
_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")


def left_out(location: Location) -> tuple[str, ...]:
    """A sentence each for the hooks that would have run and for a signature that is wanted. Runs nothing."""
    remarks = []
    if hooks := [name for name in _HOOKS if os.access(_hooks_path(location) / name, os.X_OK)]:
        remarks.append(f"hooks run only in a repository you trust, so these did not: {', '.join(hooks)}")
    sign = _wanted(location, "commit.gpgsign")
    if sign is not None and is_true(sign):
        remarks.append("the commit is not signed: your signing program runs only in a repository you trust")
    return tuple(remarks)


def _hooks_path(location: Location) -> Path:
    named = _wanted(location, "core.hookspath")
    return location.root / os.path.expanduser(named) if named else location.common_dir / "hooks"


def _wanted(location: Location, key: str) -> str | None:
    """What the repository says of `key`, or else the user; None if neither does."""
    users = user_config().get(key, ())[:-1]  # the last is what coder says itself
    return location.config.get(key, users[-1] if users else None)
