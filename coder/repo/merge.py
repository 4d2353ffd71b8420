"""Three-way merge of one file's bytes, with git's own algorithm, on temporary files. Writes nothing else."""

import tempfile
from pathlib import Path

from msgspec import Struct

from coder.repo.git import Git, GitError

OURS, THEIRS = "as it is now", "as the edit makes it"  # what git's markers are labelled with

_MOST_CONFLICTS = 127  # git-merge-file(1): the status is the number of conflicts, cut there; above are errors
_NOT_MERGEABLE = 255
_MOST_LINES = 24  # of conflicts that are shown
_WIDTH = 160  # characters of each


class Merge(Struct, frozen=True):
    """What came of it. With `conflict`, `content` holds git's markers (or, for binary files, what is ours)."""

    content: bytes
    conflict: bool

    @property
    def shown(self) -> str:
        """The conflicts with git's markers, for a person or a model to read: what each says, and where. Bounded."""
        return _shown(self.content) if self.conflict else ""


def merge3(base: bytes, ours: bytes, theirs: bytes, *, prefer_ours: bool = False) -> Merge:
    """Both changes of `base` in one file: `ours` is on disk now, `theirs` what was approved. Bytes are kept.

    With `prefer_ours` what is ours stays where both changed the same lines, and that is no conflict.
    """
    if ours in (base, theirs):
        return Merge(theirs, False)
    if theirs == base:
        return Merge(ours, False)
    with tempfile.TemporaryDirectory(prefix="coder-merge-") as directory:
        names = {"ours": ours, "base": base, "theirs": theirs}
        for name, content in names.items():
            (Path(directory) / name).write_bytes(content)
        preference = ["--ours"] if prefer_ours else []
        labels = ("-L", OURS, "-L", "before", "-L", THEIRS)
        code, out, err = Git(None).run_code(
            "merge-file", "-p", *preference, *labels, "--", *(str(Path(directory) / name) for name in names)
        )
    if 0 <= code <= _MOST_CONFLICTS:
        return Merge(out, code > 0)
    if code == _NOT_MERGEABLE and b"binary" in err:
        return Merge(ours, True)
    raise GitError("merge-file", code, err)


def _shown(content: bytes) -> str:
    """Only what stands between the markers, each conflict headed by its line in the file that is ours."""
    lines: list[str] = []
    side, line = "", 1  # which side's lines we are in, and the number of the next line of ours
    for raw in content.decode("utf-8", "replace").split("\n"):
        text = raw.removesuffix("\r")
        if not side and text.startswith(f"<<<<<<< {OURS}"):
            lines.append(f"at line {line}:")
            side = "ours"
        elif side == "ours" and text == "=======":
            side = "theirs"
        elif not side or side == "ours":
            line += 1
        if side:
            lines.append(text[:_WIDTH])
        if side == "theirs" and text.startswith(f">>>>>>> {THEIRS}"):
            side = ""
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES - 1 :] = [f"… and {len(lines) - _MOST_LINES + 1} more lines of conflicts"]
    return "\n".join(lines)
