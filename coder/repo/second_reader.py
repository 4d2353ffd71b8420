"""A second reader for patches: an independent parser must count what ours showed, before git applies it.

Two parsers that disagree mean that a person approved something else than what would land.
"""

import io
from collections.abc import Iterable

from coder.errors import Failed
from coder.values import FileDiff


def check_patch(patch: bytes, shown: Iterable[FileDiff]) -> None:
    """Raises Failed unless unidiff finds as many hunks, added and removed lines in `patch` as `shown` has."""
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    # Bytes as characters one to one, and lines that end at a line feed only: a lone CR is content.
    lines = io.StringIO(patch.decode("latin-1"), newline="\n")
    try:
        hunks = [hunk for file in PatchSet(lines) for hunk in file]
    except UnidiffParseError as error:
        raise Failed(f"the patch cannot be read back ({error})", "nothing was written; please report it") from None
    read = (len(hunks), sum(hunk.added for hunk in hunks), sum(hunk.removed for hunk in hunks))
    files = tuple(shown)
    expected = (
        sum(len(file.hunks) for file in files),
        sum(file.added for file in files),
        sum(file.removed for file in files),
    )
    if read != expected:
        raise Failed(
            f"the patch reads differently than it was shown (hunks, added, removed: {read}, not {expected})",
            "nothing was written; please report it",
        )
