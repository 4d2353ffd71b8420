"""What a turn ended with, and what a run was asked to do with its result."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from coder.errors import Exit
from coder.values import Checkpoint, FileDiff, Proposal, ReviewDecision


class Destination(Struct, frozen=True):
    """Where approved hunks go: the working tree, a commit (on `branch` if named), a patch file, or nowhere."""

    kind: Literal["tree", "commit", "patch", "nothing"] = "tree"
    branch: str = ""
    patch_file: Path | None = None


class Outcome(Struct, frozen=True):
    """The end of a turn. `files` and `patch` are what landed, or what was proposed if nothing did."""

    exit: Exit
    summary: str
    proposal: Proposal | None = None
    decision: ReviewDecision | None = None
    files: tuple[FileDiff, ...] = ()
    patch: bytes = b""
    checkpoint: Checkpoint | None = None
    commit: str = ""
