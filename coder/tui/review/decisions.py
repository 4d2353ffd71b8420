"""The state of a review: what was decided on which hunk, and the answer it makes. Knows nothing of the screen."""

from dataclasses import dataclass, field
from typing import Literal

from coder.values import Comment, FileDiff, Proposal, ReviewDecision

Mark = Literal["undecided", "accepted", "rejected"]
Place = tuple[int, int]  # file and hunk, by position; a file without hunks has the position 0


@dataclass(frozen=True, slots=True)
class Tally:
    accepted: int
    rejected: int
    undecided: int


def positions(file: FileDiff) -> range:
    return range(max(1, len(file.hunks)))


@dataclass
class Decisions:
    """Marks and comments by place. Every change can be taken back, newest first."""

    proposal: Proposal
    _marks: dict[Place, Mark] = field(default_factory=dict)
    _comments: dict[Place, str] = field(default_factory=dict)  # position -1: the whole file
    edits: dict[Place, bytes] = field(default_factory=dict)  # hunks as the user rewrote them
    _undo: list[tuple[Place, dict[Place, Mark], dict[Place, str], dict[Place, bytes]]] = field(default_factory=list)

    def places(self, number: int | None = None) -> list[Place]:
        """All places in order, or those of one file."""
        if number is not None:
            return [(number, hunk) for hunk in positions(self.proposal.files[number])]
        return [(at, hunk) for at, file in enumerate(self.proposal.files) for hunk in positions(file)]

    def mark(self, place: Place) -> Mark:
        return self._marks.get(place, "undecided")

    def comment(self, place: Place) -> str:
        return self._comments.get(place, "")

    def decide(self, places: list[Place], mark: Mark) -> None:
        self._remember(places[0])
        self._marks.update(dict.fromkeys(places, mark))

    def edit(self, place: Place, text: bytes) -> None:
        """Take the hunk as the user rewrote it; that accepts it."""
        self._remember(place)
        self.edits[place] = text
        self._marks[place] = "accepted"

    def remark(self, place: Place, text: str) -> None:
        """Comment on a hunk (or a file, position -1). What is commented and undecided is rejected: it goes back."""
        self._remember(place)
        self._comments[place] = text
        if not text:
            del self._comments[place]
            return
        targets = [place] if place[1] >= 0 else self.places(place[0])
        self._marks.update({target: "rejected" for target in targets if self.mark(target) == "undecided"})

    def take_back(self) -> Place | None:
        """Undo the last change; the place it was made at, None where there is nothing to undo."""
        if not self._undo:
            return None
        place, self._marks, self._comments, self.edits = self._undo.pop()
        return place

    def tally(self, number: int | None = None) -> Tally:
        marks = [self.mark(place) for place in self.places(number)]
        return Tally(marks.count("accepted"), marks.count("rejected"), marks.count("undecided"))

    def undecided_after(self, place: Place) -> Place | None:
        """The next undecided place, going round."""
        order = self.places()
        start = order.index(place) + 1 if place in order else 0
        return next((each for each in order[start:] + order[:start] if self.mark(each) == "undecided"), None)

    def answer(self, commit_message: str = "") -> ReviewDecision:
        accepted: dict[str, frozenset[int]] = {}
        for number, file in enumerate(self.proposal.files):
            taken = frozenset(hunk for hunk in positions(file) if self.mark((number, hunk)) == "accepted")
            if taken:
                accepted[file.path] = taken
        comments = tuple(
            Comment(self.proposal.files[number].path, hunk, text)
            for (number, hunk), text in sorted(self._comments.items())
        )
        edited = {
            (self.proposal.files[number].path, hunk): text
            for (number, hunk), text in self.edits.items()
            if self.mark((number, hunk)) == "accepted"
        }
        return ReviewDecision(accepted, comments, edited, commit_message)

    def _remember(self, place: Place) -> None:
        self._undo.append((place, dict(self._marks), dict(self._comments), dict(self.edits)))
        del self._undo[:-200]
