"""The edit engine: text that a model wrote, in any accepted format, to new file contents, exact or refused.

`resolve` is pure: it reads the tree through a TreeView and writes nothing. Formats: unified diff, V4A,
SEARCH/REPLACE blocks, whole files in a fence.
"""

from coder.repo.patch.edits import (
    BadEdit,
    Edit,
    FileKind,
    FileResult,
    Format,
    Hunk,
    Line,
    PatchRefused,
    Problem,
    ProblemKind,
    Resolution,
    TreeView,
)
from coder.repo.patch.find import Reading, read_edits
from coder.repo.patch.resolve import resolve, resolve_edits

__all__ = [
    "BadEdit",
    "Edit",
    "FileKind",
    "FileResult",
    "Format",
    "Hunk",
    "Line",
    "PatchRefused",
    "Problem",
    "ProblemKind",
    "Reading",
    "Resolution",
    "TreeView",
    "has_edit",
    "read_edits",
    "resolve",
    "resolve_edits",
]


def has_edit(text: str) -> bool:
    """Whether a reply carries an edit as text: a diff, a V4A patch or SEARCH/REPLACE blocks, even a damaged one.

    Files shown in a fence do not count; they may only illustrate.
    """
    try:
        return bool(read_edits(text, lambda name: False, whole_files=False).edits)
    except BadEdit:
        return True
