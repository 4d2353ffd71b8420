"""An edit that speaks of a file as its writer last saw it, carried over to the file as it is by a three-way merge.

Reads only; a conflict is refused and shown, never written.
"""

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from coder.repo.merge import merge3
from coder.repo.patch.edits import FileKind, FileResult, PatchRefused, Problem, Resolution, TreeView
from coder.repo.patch.resolve import resolve

Known = Callable[[str], bytes | None]  # a file's content as the writer of the edit last saw it


def carried_over(text: str, view: TreeView, known: Known, refusal: PatchRefused) -> Resolution:
    """What the edit, refused for `view`, makes of it by way of the files that its writer knew.

    Raises `refusal` where the edit does not fit those either, and another where both changes conflict.
    """
    if any(problem.kind not in ("not_found", "ambiguous") for problem in refusal.problems):
        raise refusal
    before = {problem.path: content for problem in refusal.problems if (content := known(problem.path)) is not None}
    if any(
        problem.path not in before or view.read(problem.path) == before[problem.path] for problem in refusal.problems
    ):
        raise refusal
    try:
        resolution = resolve(text, _Earlier(view, before))
    except PatchRefused:
        raise refusal from None
    files = tuple(_merged(file, before, view, refusal) for file in resolution.files)
    warnings = [f"{path}: merged with what changed since you saw it" for path in before]
    return replace(resolution, files=files, warnings=(*resolution.warnings, *warnings))


def _merged(file: FileResult, before: Mapping[str, bytes], view: TreeView, refusal: PatchRefused) -> FileResult:
    base = before.get(file.old_path)
    if base is None:
        return file
    now = view.read(file.old_path)
    if file.content is None:
        raise refusal  # deleting lines that nobody showed to it
    merge = merge3(base, now, file.content)
    if merge.conflict:
        message = "the file changed since you saw it, and the edit conflicts with that"
        problem = Problem(file.old_path, 0, "stale", message)
        told = f"The edit was refused as a whole; no file was changed.\n{file.old_path}: {message}"
        raise PatchRefused((problem,), f"{told}\n{merge.shown}\nRead the file again; then write the edit anew.")
    if merge.content == now:
        raise refusal  # it is there already
    return replace(file, content=merge.content)


class _Earlier:
    """A tree with some files as they were before (`patch.TreeView`)."""

    def __init__(self, view: TreeView, before: Mapping[str, bytes]) -> None:
        self._view = view
        self._before = before
        self.root = view.root

    def kind(self, path: str) -> FileKind:
        return self._view.kind(path)

    def read(self, path: str) -> bytes:
        return self._before[path] if path in self._before else self._view.read(path)

    def paths(self) -> Collection[str]:
        return self._view.paths()

    def executable(self, path: str) -> bool:
        return self._view.executable(path)
