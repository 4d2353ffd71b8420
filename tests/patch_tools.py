"""A tree in memory for the tests of the edit engine, and what an edit makes of it."""

from collections.abc import Collection, Mapping

import pytest

from coder.repo.patch.edits import FileKind, PatchRefused, Problem
from coder.repo.patch.resolve import resolve

ROOT = "/home/ann/project"


class Tree:
    """Files by path; `kinds` says what else there is (symlinks, submodules). A TreeView."""

    root = ROOT

    def __init__(self, files: Mapping[str, bytes], kinds: Mapping[str, FileKind] | None = None) -> None:
        self.files = dict(files)
        self.kinds = dict(kinds or {})

    def kind(self, path: str) -> FileKind:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            if (kind := self.kinds.get("/".join(parts[:depth]))) is not None:
                return kind
        if path in self.files:
            return "file"
        return "dir" if any(name.startswith(path + "/") for name in self.files) else "none"

    def read(self, path: str) -> bytes:
        return self.files[path]

    def paths(self) -> Collection[str]:
        return list(self.files)

    def executable(self, path: str) -> bool:
        return path.endswith(".sh")


def applied(text: str, files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    """Every file after the edit."""
    after = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
    for result in resolve(text, Tree(dict(after))).files:
        after.pop(result.old_path, None)
        if result.content is not None:
            after[result.path] = result.content
    return after


def changed(text: str, content: bytes | str, path: str = "a.py") -> str:
    """The one file `path` after the edit, as text."""
    after = applied(text, {path: content})
    assert list(after) == [path]
    return after[path].decode()


def refused(
    text: str, files: Mapping[str, bytes | str] | str, kinds: Mapping[str, FileKind] | None = None
) -> tuple[Problem, ...]:
    """The problems for which the edit is refused."""
    if isinstance(files, str):
        files = {"a.py": files}
    tree = Tree({path: text.encode() if isinstance(text, str) else text for path, text in files.items()}, kinds)
    with pytest.raises(PatchRefused) as refusal:
        resolve(text, tree)
    assert len(str(refusal.value).splitlines()) <= 40
    return refusal.value.problems


def diff(*lines: str, path: str = "a.py") -> str:
    return "\n".join((f"--- a/{path}", f"+++ b/{path}", *lines)) + "\n"


def v4a(*lines: str, path: str = "a.py") -> str:
    return "\n".join(("*** Begin Patch", f"*** Update File: {path}", *lines, "*** End Patch")) + "\n"


def blocks(search: str, replace: str, path: str = "a.py") -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"
