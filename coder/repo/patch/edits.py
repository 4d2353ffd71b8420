"""The values of the edit engine: what a model wrote, before (Edit) and after (Resolution) it meets the files.

No parsing and no matching here, and nothing that reads a file: the tree is only seen through TreeView.
"""

from collections.abc import Collection
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

Format = Literal["unified diff", "V4A", "SEARCH/REPLACE", "whole file"]
Action = Literal["update", "create", "delete", "replace"]
ProblemKind = Literal["not_found", "ambiguous", "stale", "truncated", "forbidden", "malformed", "exists", "missing"]


class Line(NamedTuple):
    """One line of a hunk, without its line end. `kind` is " " (context), "-" or "+". A tuple, since an edit may have
    thousands: they are made, compared and hashed without running Python.

    `cr`: the edit's own line ended in CR LF. `bare`: a context line that was written without the leading blank of
    its format. `ends_file`: a "\\ No newline at end of file" follows.
    """

    kind: Literal[" ", "-", "+"]
    text: str
    cr: bool = False
    bare: bool = False
    ends_file: bool = False


class Hunk(Struct, frozen=True, dict=True):
    """A change with its surroundings, and the hints where it belongs; none of them is trusted.

    `start` is a 1-based line of the old file (0: unknown). `anchors` are lines that stand before the change,
    outermost first. `after_line`: nothing but `start` says where to insert (a diff without context).
    `tail` counts closing lines that may be prose after the edit rather than context. `cut`: the reply ends in the
    last line, and neither a line end nor a closing mark says that it is whole.
    """

    lines: tuple[Line, ...]
    anchors: tuple[str, ...] = ()
    start: int = 0
    at_end: bool = False
    after_line: bool = False
    tail: int = 0
    cut: bool = False

    @cached_property
    def old(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind != "+")

    @cached_property
    def new(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind != "-")

    @cached_property
    def changes(self) -> bool:
        return any(line.kind != " " for line in self.lines)


class Edit(Struct, frozen=True):
    """What a reply asks for one file, as its format said it.

    `path` is the name as written, `also` other spellings that the same header allows, best first. A rename is an
    update with a `new_path`. "replace" brings the whole content, whether or not the file exists. `literal_ends`:
    the hunk's line ends are data (a diff whose headers end in LF and whose lines end in CR LF).
    """

    format: Format
    action: Action
    path: str
    hunks: tuple[Hunk, ...] = ()
    new_path: str = ""
    also: tuple[str, ...] = ()
    executable: bool | None = None
    literal_ends: bool = False


class Problem(Struct, frozen=True):
    """Why an edit was refused. `hunk` is 1-based, 0 for the file as a whole. `lines` are candidate line numbers,
    `nearest` the true lines that come closest, with their numbers."""

    path: str
    hunk: int
    kind: ProblemKind
    message: str
    lines: tuple[int, ...] = ()
    nearest: tuple[tuple[int, str], ...] = ()


class BadEdit(Exception):
    """One problem on its way from a parser or a resolving step to the refusal that reports them all."""

    def __init__(self, kind: ProblemKind, message: str, path: str = "", hunk: int = 0) -> None:
        super().__init__(message)
        self.problem = Problem(path, hunk, kind, message)


class PatchRefused(Exception):
    """The edit is refused as a whole and nothing was changed; the text is for the model and the user alike."""

    def __init__(self, problems: tuple[Problem, ...], feedback: str) -> None:
        super().__init__(feedback)
        self.problems = problems


FileKind = Literal["file", "dir", "symlink", "submodule", "none"]


class TreeView(Protocol):
    """The tree that edits are resolved against. Paths are relative POSIX text with surrogate escapes.

    `root` is the absolute path that an edit may spell out. `kind` answers for any component on the way: a path
    through a symlink is "symlink", one inside a submodule "submodule". `paths` lists the files.
    """

    @property
    def root(self) -> str: ...
    def kind(self, path: str) -> FileKind: ...
    def read(self, path: str) -> bytes: ...
    def paths(self) -> Collection[str]: ...
    def executable(self, path: str) -> bool: ...


class FileResult(Struct, frozen=True):
    """What becomes of one file: its new bytes (None: deleted). `old_path` differs from `path` on a rename, and then
    the old file goes. `executable` is None where the mode stays as it is."""

    path: str
    old_path: str
    content: bytes | None
    executable: bool | None = None


class Resolution(Struct, frozen=True):
    """The whole edit, resolved. `protected` are the paths that need a separate yes."""

    files: tuple[FileResult, ...]
    warnings: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    formats: tuple[Format, ...] = ()
