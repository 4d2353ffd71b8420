"""Which file of the tree an edit means. Forbidden places are refused before anything is read."""

from collections.abc import Sequence

from coder.repo.patch.edits import BadEdit, TreeView
from coder.repo.patch.text import refuse_content
from coder.repo.paths import refuse_path


class Targets:
    """Names as models write them, to paths of the tree."""

    def __init__(self, view: TreeView) -> None:
        self.view = view
        self._root = view.root.rstrip("/") + "/" if view.root else ""

    def known(self, name: str) -> bool:
        """Whether `name` is that of a file as it stands; never raises."""
        path = self._plain(name)
        return not refuse_path(path) and self.view.kind(path) == "file"

    def existing(self, name: str, also: Sequence[str] = ()) -> str:
        """The file that is to be changed. Raises BadEdit if there is none, or if it is no plain file."""
        for spelled in (name, *also):
            path = self._allowed(spelled)
            kind = self.view.kind(path)
            if kind == "file":
                return path
            if kind != "none":
                raise BadEdit("forbidden", _why(kind), path)
        path = self._allowed(name)
        if (match := self.by_suffix(path)) is not None:
            return match
        raise BadEdit("missing", "there is no such file", path)

    def read(self, path: str) -> bytes:
        """The content of an existing file. Raises BadEdit if it cannot be read, or is no text that can be edited."""
        try:
            content = self.view.read(path)
        except OSError as error:
            raise BadEdit("forbidden", f"the file cannot be read: {error.strerror or error}", path) from error
        if reason := refuse_content(content):
            raise BadEdit("forbidden", reason, path)
        return content

    def absent(self, name: str) -> str:
        """The path of a file that is to be created. Raises BadEdit if it cannot be; an existing file is for the
        caller to judge."""
        path = self._allowed(name)
        kind = self.view.kind(path)
        if kind in ("dir", "symlink", "submodule"):
            raise BadEdit("forbidden", _why(kind), path)
        parts = path.split("/")
        for size in range(1, len(parts)):
            folder = self.view.kind("/".join(parts[:size]))
            if folder not in ("dir", "none"):
                raise BadEdit("forbidden", "a file stands where the path needs a directory", path)
        return path

    def by_suffix(self, path: str) -> str | None:
        """The one file whose path ends in `path`, or that `path` ends in; None if there is not exactly one."""
        matches = {p for p in self.view.paths() if p.endswith("/" + path)}
        pieces = path.split("/")
        for cut in range(1, len(pieces)):
            if self.view.kind(shorter := "/".join(pieces[cut:])) == "file":
                matches.add(shorter)
        return matches.pop() if len(matches) == 1 else None

    def _allowed(self, name: str) -> str:
        path = self._plain(name)
        if reason := refuse_path(path):
            raise BadEdit("forbidden", reason, name)
        return path

    def _plain(self, name: str) -> str:
        """Without the tree's own absolute path and `./`; a doubled slash inside counts once."""
        if self._root and name.startswith(self._root):
            name = name[len(self._root) :]
        while name.startswith("./"):
            name = name[2:].lstrip("/")
        return name


def _why(kind: str) -> str:
    return {
        "dir": "the path is a directory",
        "symlink": "the path leads through a symbolic link",
        "submodule": "the path is inside a submodule",
    }[kind]
