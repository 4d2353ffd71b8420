"""Three-way merge of one file's bytes, with git's own algorithm, on temporary files. Writes nothing else."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from coder.repo.git import Git, GitError

_MOST_CONFLICTS = 127  # git-merge-file(1): the status is the number of conflicts, cut there; above are errors
_NOT_MERGEABLE = 255


@dataclass(frozen=True, slots=True)
class Merge:
    """What came of it. With `conflict`, `content` holds git's markers (or, for binary files, what is ours)."""

    content: bytes
    conflict: bool


def merge3(base: bytes, ours: bytes, theirs: bytes) -> Merge:
    """Both changes of `base` in one file: `ours` is on disk now, `theirs` what was approved. Bytes are kept."""
    if ours in (base, theirs):
        return Merge(theirs, False)
    if theirs == base:
        return Merge(ours, False)
    with tempfile.TemporaryDirectory(prefix="coder-merge-") as directory:
        names = {"ours": ours, "base": base, "theirs": theirs}
        for name, content in names.items():
            (Path(directory) / name).write_bytes(content)
        labels = ("-L", "in the working tree", "-L", "before", "-L", "approved")
        code, out, err = Git(None).run_code(
            "merge-file", "-p", *labels, "--", *(str(Path(directory) / name) for name in names)
        )
    if 0 <= code <= _MOST_CONFLICTS:
        return Merge(out, code > 0)
    if code == _NOT_MERGEABLE and b"binary" in err:
        return Merge(ours, True)
    raise GitError("merge-file", code, err)
