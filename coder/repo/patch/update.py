"""The hunks of one file, all placed and made: found in the file as it is, in any order, or one after the other."""

from collections.abc import Sequence
from dataclasses import replace

from coder.repo.patch.edits import BadEdit, Hunk, Problem
from coder.repo.patch.elision import is_elision
from coder.repo.patch.feedback import nearest_lines
from coder.repo.patch.match import BARE, Target
from coder.repo.patch.place import Placed, place
from coder.repo.patch.readings import entities_undone
from coder.repo.patch.regions import Unplaced
from coder.repo.patch.splice import Change, changes_of, indents, merged, spliced, with_bom_of, with_last_end
from coder.repo.patch.text import FileText

_QUOTED = 10  # problems of a file that come with the nearest lines; more would not be told


class Problems(Exception):
    """What is wrong with the edits of one file."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def updated(path: str, content: FileText, hunks: Sequence[Hunk], literal_ends: bool, warnings: list[str]) -> FileText:
    """The file with all hunks applied. Raises Problems.

    Hunks speak of the file as it is; if one is not there, each may speak of the file after the ones before it. Only
    when both fail to the letter may a hunk have a mistake.
    """
    problems: Problems
    hunks = entities_undone(hunks, content.lines)
    original = Target(content)
    for loosely in (False, True):
        for in_turn in (False, True):
            heard: list[str] = []
            steps = [[hunk] for hunk in hunks] if in_turn else [hunks]
            target, number = original, 1
            try:
                for step in steps:
                    after = _applied(path, target, step, literal_ends, heard, number, loosely)
                    target, number = Target(after), number + len(step)
            except Problems as found:
                if not in_turn:
                    problems = found
                if any(problem.kind == "ambiguous" for problem in problems.problems):
                    raise problems from None
                if not in_turn and not _may_follow(hunks, found, content, loosely):
                    break
                continue
            warnings += heard
            return target.text
    raise problems


def _may_follow(hunks: Sequence[Hunk], found: Problems, content: FileText, loosely: bool) -> bool:
    """Whether the hunks that were not found could be there after the others: each of their lines must stand in the
    file or be added."""
    known = {BARE.key(line) for line in content.lines}
    known |= {BARE.key(line.text) for hunk in hunks for line in hunk.lines if line.kind == "+"}
    missing = [hunks[problem.hunk - 1] for problem in found.problems if problem.hunk]
    return all(
        BARE.key(line.text) in known
        for hunk in missing
        for line in hunk.old[: len(hunk.old) - hunk.tail]
        if line.kind == "-" or not (loosely or is_elision(line.text))
    )


def _applied(
    path: str,
    target: Target,
    hunks: Sequence[Hunk],
    literal_ends: bool,
    warnings: list[str],
    first: int,
    loosely: bool,
) -> FileText:
    content = target.text
    problems: list[Problem] = []
    changes: list[Change] = []
    all_placed: list[Placed] = []
    places = _placed(hunks, target, loosely)
    found = [part for placed in places if not isinstance(placed, Unplaced) for part in placed]
    taught = [pair for part in found if part.reindent for pair in indents(part, content)]
    for number, (hunk, placed) in enumerate(zip(hunks, places, strict=True), first):
        if isinstance(placed, Unplaced):
            problems.append(_problem(path, number, placed, hunk, target, len(problems)))
            continue
        try:
            for part in placed:
                changes += changes_of(part, content, taught)
        except Unplaced as why:
            problems.append(_problem(path, number, why, hunk, target, len(problems)))
            continue
        all_placed += placed
        if placed[0].how:
            warnings.append(f"{path}: hunk {number} was matched {placed[0].how}")
    if problems:
        raise Problems(*problems)
    return _rebuilt(path, content, changes, all_placed, literal_ends)


def _placed(hunks: Sequence[Hunk], target: Target, loosely: bool) -> list[list[Placed] | Unplaced]:
    """Each hunk's parts, or why it has none. Hunks with one possible place go first: they tell how far the line
    numbers are off. As many equal hunks as there are places have one each."""
    shift = _Shift()
    known: dict[tuple[Hunk, int | None], list[Placed] | Unplaced] = {}  # an edit may repeat a hunk hundreds of times

    def placed(hunk: Hunk, shift: int | None) -> list[Placed] | Unplaced:
        if (hunk, shift) not in known:
            known[hunk, shift] = _place(hunk, target, shift, loosely)
        return known[hunk, shift]

    found: list[list[Placed] | Unplaced] = []
    for hunk in hunks:
        found.append(placed(hunk, None))
        shift.learn(hunk, found[-1])
    for i, hunk in enumerate(hunks):
        if _is_ambiguous(found[i]):
            found[i] = placed(hunk, shift.near(hunk.start))
    for i, hunk in enumerate(hunks):
        why = found[i]
        if isinstance(why, Unplaced) and why.kind == "ambiguous":
            equal = [j for j, other in enumerate(hunks) if other == hunk]
            if len(equal) == why.places == len(why.lines):
                for j, line in zip(equal, why.lines, strict=True):
                    found[j] = _place(replace(hunk, start=line), target, 0, loosely)
    return found


def _is_ambiguous(found: list[Placed] | Unplaced) -> bool:
    return isinstance(found, Unplaced) and found.kind == "ambiguous"


def _place(hunk: Hunk, target: Target, shift: int | None, loosely: bool) -> list[Placed] | Unplaced:
    try:
        return place(hunk, target, shift, loosely=loosely)
    except Unplaced as why:
        return why


class _Shift:
    """How far below their line numbers the hunks of a file are found."""

    def __init__(self) -> None:
        self._known: list[tuple[int, int]] = []

    def learn(self, hunk: Hunk, placed: list[Placed] | Unplaced) -> None:
        if isinstance(placed, Unplaced) or not hunk.start or hunk.after_line:
            return
        row = next((row for row in placed[0].rows if row is not None), None)
        if row is not None:
            self._known.append((hunk.start, row - (hunk.start - 1)))

    def near(self, start: int) -> int:
        """The shift of the closest hunk; 0 if none is known."""
        return min(self._known, key=lambda known: abs(known[0] - start), default=(0, 0))[1]


def _problem(path: str, number: int, why: Unplaced, hunk: Hunk, target: Target, before: int) -> Problem:
    nearest = nearest_lines(hunk, target) if before < _QUOTED and not why.lines else ()
    return Problem(path, number, why.kind, str(why), why.lines, nearest)


def _rebuilt(
    path: str, content: FileText, changes: Sequence[Change], placed: Sequence[Placed], literal_ends: bool
) -> FileText:
    try:
        after = spliced(content, merged(changes), literal_ends)
    except ValueError as conflict:
        raise Problems(Problem(path, 0, "malformed", str(conflict))) from conflict
    except BadEdit as bad:
        raise Problems(replace(bad.problem, path=path)) from bad
    newline = content.ends_with_newline
    for part in placed:
        newline = _newline_after(part, content, newline)
    lines = [line for part in placed for line in part.hunk.lines]
    return with_bom_of(with_last_end(after, newline), content, lines)


def _newline_after(placed: Placed, content: FileText, newline: bool) -> bool:
    """A hunk at the end of the file may add or take its last newline; where it says nothing new, the file's stays."""
    old = any(line.ends_file for line in placed.hunk.old)
    new = any(line.ends_file for line in placed.hunk.new)
    reaches_end = not content.lines or len(content.lines) - 1 in placed.rows
    return not new if old != new and reaches_end else newline
