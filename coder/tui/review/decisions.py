"""The state of a review: what was decided on which hunk, and the answer it makes. Knows nothing of the screen."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from coder.repo.diff import edit_hunk, joined, split
from coder.values import Comment, FileDiff, Proposal, ReviewDecision

Mark = Literal["undecided", "accepted", "rejected"]
Place = tuple[int, int]  # file and hunk, by position; a file without hunks has the position 0
EVERYTHING: Place = (-1, -1)  # where a comment on the whole proposal stands


class Tally(Struct, frozen=True):
    accepted: int
    rejected: int
    undecided: int


def positions(file: FileDiff) -> range:
    return range(max(1, len(file.hunks)))


class _State(Struct, frozen=True):
    """The files, of whose hunks some may be split, `origins` naming the hunk of the proposal that each is part of."""

    files: tuple[FileDiff, ...]
    origins: tuple[tuple[int, ...], ...]
    marks: Mapping[Place, Mark] = {}
    comments: Mapping[Place, str] = {}  # position -1: the whole file
    edits: Mapping[Place, bytes] = {}  # hunks as the user rewrote them


class Decisions:
    """Marks and comments by place. Every change can be taken back, newest first."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self._now = _State(proposal.files, tuple(tuple(positions(file)) for file in proposal.files))
        self._undo: list[tuple[Place, _State]] = []

    @property
    def files(self) -> tuple[FileDiff, ...]:
        """The proposal's files, hunks split as the user split them."""
        return self._now.files

    @property
    def edits(self) -> Mapping[Place, bytes]:
        return self._now.edits

    def places(self, number: int | None = None) -> list[Place]:
        """All places in order, or those of one file."""
        if number is not None:
            return [(number, hunk) for hunk in positions(self.files[number])]
        return [(at, hunk) for at, file in enumerate(self.files) for hunk in positions(file)]

    def mark(self, place: Place) -> Mark:
        return self._now.marks.get(place, "undecided")

    def comment(self, place: Place) -> str:
        return self._now.comments.get(place, "")

    # ── changing ──

    def decide(self, places: list[Place], mark: Mark) -> None:
        self._change(places[0], marks={**self._now.marks, **dict.fromkeys(places, mark)})

    def edit(self, texts: Mapping[Place, bytes]) -> None:
        """Take hunks as the user rewrote them; that accepts them."""
        marks = {**self._now.marks, **dict.fromkeys(texts, "accepted")}
        self._change(next(iter(texts)), edits={**self._now.edits, **texts}, marks=marks)

    def remark(self, place: Place, text: str) -> None:
        """Comment on a hunk, a file (position -1) or EVERYTHING. What is commented and undecided is rejected."""
        comments = {at: said for at, said in {**self._now.comments, place: text}.items() if said}
        number, hunk = place
        targets = [place] if hunk >= 0 else self.places(number if number >= 0 else None)
        sent_back = [target for target in targets if text and self.mark(target) == "undecided"]
        marks = {**self._now.marks, **dict.fromkeys(sent_back, "rejected")}
        self._change(place, comments=comments, marks=marks)

    def split(self, place: Place) -> int:
        """Put the smallest parts of a hunk in its place, to be decided one by one; how many they are."""
        number, at = place
        file, now = self.files[number], self._now
        parts = split(file.hunks[at]) if at < len(file.hunks) and place not in now.edits else ()
        if len(parts) < 2:
            return 1
        hunks = (*file.hunks[:at], *parts, *file.hunks[at + 1 :])
        origins = now.origins[number]
        origins = (*origins[:at], *[origins[at]] * len(parts), *origins[at + 1 :])

        def moved(where: Place) -> Place:
            return (number, where[1] + len(parts) - 1) if where[0] == number and where[1] > at else where

        marks: dict[Place, Mark] = {moved(where): mark for where, mark in now.marks.items() if where != place}
        self._change(
            place,
            files=(*now.files[:number], replace(file, hunks=hunks), *now.files[number + 1 :]),
            origins=(*now.origins[:number], origins, *now.origins[number + 1 :]),
            marks=marks,
            comments={moved(where): text for where, text in now.comments.items()},
            edits={moved(where): text for where, text in now.edits.items()},
        )
        return len(parts)

    def take_back(self) -> Place | None:
        """Undo the last change; the place it was made at, None where there is nothing to undo."""
        if not self._undo:
            return None
        place, self._now = self._undo.pop()
        return place

    def _change(self, place: Place, **changes: object) -> None:
        self._undo.append((place, self._now))
        del self._undo[:-200]
        self._now = replace(self._now, **changes)

    # ── what it comes to ──

    def tally(self, number: int | None = None) -> Tally:
        marks = [self.mark(place) for place in self.places(number)]
        return Tally(marks.count("accepted"), marks.count("rejected"), marks.count("undecided"))

    def undecided_after(self, place: Place) -> Place | None:
        """The next undecided place, going round."""
        order = self.places()
        start = order.index(place) + 1 if place in order else 0
        return next((each for each in order[start:] + order[:start] if self.mark(each) == "undecided"), None)

    def answer(self, commit_message: str = "") -> ReviewDecision:
        """The decision by the hunks of the proposal: one that was split is accepted as an edited one, in part."""
        accepted: dict[str, frozenset[int]] = {}
        edited: dict[tuple[str, int], bytes] = {}
        for number, file in enumerate(self.proposal.files):
            parts = self._parts(number)
            taken = {
                hunk: places for hunk, places in parts.items() if any(self.mark(at) == "accepted" for at in places)
            }
            if taken:
                accepted[file.path] = frozenset(taken)
            edited |= {(file.path, hunk): text for hunk, places in taken.items() if (text := self._edited(places))}
        comments = tuple(self._comment(place, text) for place, text in sorted(self._now.comments.items()))
        return ReviewDecision(accepted, comments, edited, commit_message)

    def _parts(self, number: int) -> dict[int, list[Place]]:
        """The places of a file by the hunk of the proposal that they are parts of."""
        parts: dict[int, list[Place]] = {}
        for place in self.places(number):
            parts.setdefault(self._now.origins[number][place[1]], []).append(place)
        return parts

    def _edited(self, places: list[Place]) -> bytes:
        """The hunk that accepted parts and edits make; b"" where it is taken as it was proposed."""
        if len(places) == 1:
            return self.edits.get(places[0], b"")
        if all(self.mark(place) == "accepted" and place not in self.edits for place in places):
            return b""
        pieces = []
        for number, hunk in places:
            file, text = self.files[number], self.edits.get((number, hunk))
            piece = file.hunks[hunk] if text is None else edit_hunk(file, hunk, text)
            pieces.append((piece, self.mark((number, hunk)) == "accepted"))
        return joined(pieces)

    def _comment(self, place: Place, text: str) -> Comment:
        number, hunk = place
        if number < 0:
            return Comment("", -1, text)
        return Comment(self.files[number].path, self._now.origins[number][hunk] if hunk >= 0 else -1, text)
