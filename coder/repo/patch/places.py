"""The hunks of a file together: where each belongs in one state of the file, with what the others tell about it."""

from collections.abc import Sequence

from msgspec.structs import replace

from coder.repo.patch.edits import Hunk
from coder.repo.patch.match import Target
from coder.repo.patch.place import NotAsWritten, Placed, place, place_mistaken
from coder.repo.patch.regions import Unplaced

Found = list[Placed] | Unplaced  # a hunk's parts, or why it has none


class Places:
    """What is asked again is known: an edit may repeat a hunk hundreds of times, and is tried in several ways."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[tuple[Hunk, int | None, bool], Found] = {}

    def of(self, hunks: Sequence[Hunk], loosely: bool) -> list[Found]:
        """Hunks with one possible place go first: they tell how far the line numbers are off. As many equal hunks as
        there are places have one each. `loosely`: a hunk may have a mistake."""
        shift = _Shift()
        found: list[Found] = []
        for hunk in hunks:
            found.append(self._of(hunk, None, loosely))
            shift.learn(hunk, found[-1])
        for i, hunk in enumerate(hunks):
            if _is_ambiguous(found[i]):
                found[i] = self._of(hunk, shift.near(hunk.start), loosely)
        for i, hunk in enumerate(hunks):
            why = found[i]
            if isinstance(why, Unplaced) and why.kind == "ambiguous":
                equal = [j for j, other in enumerate(hunks) if other == hunk]
                if len(equal) == why.places == len(why.lines):
                    for j, line in zip(equal, why.lines, strict=True):
                        found[j] = self._of(replace(hunk, start=line), 0, loosely)
        return found

    def _of(self, hunk: Hunk, shift: int | None, loosely: bool) -> Found:
        asked = hunk, shift, loosely
        if asked not in self._known:
            self._known[asked] = self._tried(hunk, shift, loosely)
        return self._known[asked]

    def _tried(self, hunk: Hunk, shift: int | None, loosely: bool) -> Found:
        if loosely and not isinstance(found := self._of(hunk, shift, False), NotAsWritten):
            return found
        try:
            return place_mistaken(hunk, self.target, shift) if loosely else place(hunk, self.target, shift)
        except Unplaced as why:
            return why


def _is_ambiguous(found: Found) -> bool:
    return isinstance(found, Unplaced) and found.kind == "ambiguous"


class _Shift:
    """How far below their line numbers the hunks of a file are found."""

    def __init__(self) -> None:
        self._known: list[tuple[int, int]] = []

    def learn(self, hunk: Hunk, found: Found) -> None:
        if isinstance(found, Unplaced) or not hunk.start or hunk.after_line:
            return
        row = next((row for row in found[0].rows if row is not None), None)
        if row is not None:
            self._known.append((hunk.start, row - (hunk.start - 1)))

    def near(self, start: int) -> int:
        """The shift of the closest hunk; 0 if none is known."""
        return min(self._known, key=lambda known: abs(known[0] - start), default=(0, 0))[1]
