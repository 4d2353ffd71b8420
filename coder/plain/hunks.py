"""The state of a review by hunk: what was decided on which piece, and the answer it makes. Pure."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from coder.repo.diff import edit_hunk, joined, split
from coder.values import Comment, FileDiff, Hunk, ReviewDecision

Mark = Literal["undecided", "accepted", "rejected"]


class Piece(Struct, frozen=True):
    """A hunk, or a part of one that was split. `hunk` is None for a file without hunks; `position` is the hunk's."""

    file: FileDiff
    position: int
    hunk: Hunk | None
    mark: Mark = "undecided"
    edited: bool = False
    comment: str = ""

    @property
    def can_split(self) -> bool:
        return self.hunk is not None and not self.edited and len(split(self.hunk)) > 1


class Choices:
    """The pieces of a proposal in order, each with what was decided."""

    def __init__(self, files: Sequence[FileDiff]) -> None:
        self.pieces = [
            Piece(file, position, hunk) for file in files for position, hunk in enumerate(file.hunks or (None,))
        ]

    def decide(self, at: int, mark: Mark) -> None:
        self.pieces[at] = replace(self.pieces[at], mark=mark)

    def decide_rest(self, at: int, mark: Mark) -> None:
        """Decide a piece and all undecided ones after it in its file."""
        self.decide(at, mark)
        for later in range(at + 1, len(self.pieces)):
            piece = self.pieces[later]
            if piece.file is self.pieces[at].file and piece.mark == "undecided":
                self.decide(later, mark)

    def split(self, at: int) -> int:
        """Put the smallest parts of a piece in its place; how many they are."""
        piece = self.pieces[at]
        parts = split(piece.hunk) if piece.hunk else ()
        self.pieces[at : at + 1] = [replace(piece, hunk=part) for part in parts] or [piece]
        return len(parts)

    def edit(self, at: int, text: bytes) -> None:
        """Accept a piece as the user rewrote it. Raises PatchRefused when it no longer fits the file."""
        piece = self.pieces[at]
        assert piece.hunk is not None
        hunk = edit_hunk(replace(piece.file, hunks=(piece.hunk,)), 0, text)
        self.pieces[at] = replace(piece, hunk=hunk, mark="accepted", edited=True)

    def comment(self, at: int, text: str) -> None:
        """Reject a piece with a word that goes back to the model."""
        self.pieces[at] = replace(self.pieces[at], mark="rejected", comment=text)

    def next_undecided(self, at: int) -> int | None:
        """The next undecided piece after `at`, going round; None where all is decided."""
        order = [*range(at + 1, len(self.pieces)), *range(at + 1)]
        return next((each for each in order if self.pieces[each].mark == "undecided"), None)

    def find(self, at: int, text: str) -> int | None:
        """The next piece after `at`, going round, whose path or lines hold `text`, in capitals or not."""
        wanted = text.lower().encode("utf-8", "surrogateescape")
        order = [*range(at + 1, len(self.pieces)), *range(at + 1)]
        return next((each for each in order if wanted and wanted in self._words(each)), None)

    def _words(self, at: int) -> bytes:
        piece = self.pieces[at]
        lines = piece.hunk.lines if piece.hunk else ()
        return b"\n".join([piece.file.path.encode("utf-8", "surrogateescape"), *lines]).lower()

    def counts(self) -> tuple[int, int]:
        """How many pieces are accepted, and how many there are."""
        return sum(piece.mark == "accepted" for piece in self.pieces), len(self.pieces)

    def decision(self) -> ReviewDecision:
        """The answer: hunks taken whole, and in part as edited ones. What is undecided is rejected."""
        accepted: dict[str, set[int]] = {}
        edited: dict[tuple[str, int], bytes] = {}
        comments = []
        places: dict[tuple[str, int], list[Piece]] = {}
        for piece in self.pieces:
            places.setdefault((piece.file.path, piece.position), []).append(piece)
            if piece.comment:
                comments.append(Comment(piece.file.path, piece.position, piece.comment))
        for place, parts in places.items():
            taken = [part for part in parts if part.mark == "accepted"]
            if not taken:
                continue
            accepted.setdefault(place[0], set()).add(place[1])
            if len(taken) < len(parts) or any(part.edited for part in taken):
                edited[place] = joined((part.hunk, part.mark == "accepted") for part in parts if part.hunk)
        return ReviewDecision({path: frozenset(taken) for path, taken in accepted.items()}, tuple(comments), edited)
