"""Files that no command of the repository may see: those that look like secrets and are not part of the tree."""

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from coder.repo.paths import looks_secret
from coder.repo.repository import Repository
from coder.sandbox.copying import walk

_NOT_WALKED = frozenset({".git", "node_modules", ".venv", "venv", ".tox", ".nox", "target", "__pycache__"})
_MOST_WALKED = 200_000


def masked_files(repository: Repository, tree: str, unmask: Iterable[str]) -> tuple[str, ...]:
    """Their paths in the working tree that `tree` is of, but for what the patterns `unmask` let in. Blocking."""
    known, allowed = {file.path for file in repository.files(tree)}, tuple(unmask)
    return tuple(
        path
        for path in _walk(repository.location.root)
        if path not in known and looks_secret(path) and not _matches(path, allowed)
    )


def _matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the path or, without a slash, its last part."""
    return any(fnmatchcase(path, pattern) or fnmatchcase(os.path.basename(path), pattern) for pattern in patterns)


def _walk(root: Path) -> Iterable[str]:
    seen = 0
    for top, directories, files in walk(str(root)):
        directories[:] = [name for name in directories if name not in _NOT_WALKED]
        for name in files:
            yield os.path.relpath(os.path.join(top, name), root)
        seen += len(files)
        if seen > _MOST_WALKED:
            return
