"""The hunks of one file, all placed and made: found in the file as it is, in any order, or one after the other."""

from collections.abc import Sequence

from msgspec.structs import replace

from coder.repo.patch.edits import BadEdit, Hunk, Problem
from coder.repo.patch.elision import is_elision
from coder.repo.patch.feedback import nearest_lines
from coder.repo.patch.indent import Pairs
from coder.repo.patch.match import BARE, Target
from coder.repo.patch.place import Placed
from coder.repo.patch.places import Places
from coder.repo.patch.readings import entities_undone
from coder.repo.patch.regions import Unplaced
from coder.repo.patch.splice import Change, changes_of, merged, spliced, with_bom_of, with_last_end
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
    original = Places(Target(content))
    for loosely in (False, True):
        for in_turn in (False, True):
            heard: list[str] = []
            steps = [[hunk] for hunk in hunks] if in_turn else [hunks]
            places, number = original, 1
            try:
                for step in steps:
                    after = _applied(path, places, step, literal_ends, heard, number, loosely)
                    places, number = Places(Target(after)), number + len(step)
            except Problems as found:
                if not in_turn:
                    problems = found
                if any(problem.kind == "ambiguous" for problem in problems.problems):
                    raise _quoting(problems, hunks, original.target) from None
                if not in_turn and not _may_follow(hunks, found, original.target, loosely):
                    break
                continue
            warnings += heard
            return places.target.text
    raise _quoting(problems, hunks, original.target)


def _quoting(found: Problems, hunks: Sequence[Hunk], target: Target) -> Problems:
    """The problems with the lines of the file that come nearest to the hunks which are not there."""
    return Problems(
        *(
            replace(problem, nearest=nearest_lines(hunks[problem.hunk - 1], target))
            if problem.hunk and not problem.lines and number < _QUOTED
            else problem
            for number, problem in enumerate(found.problems)
        )
    )


def _may_follow(hunks: Sequence[Hunk], found: Problems, original: Target, loosely: bool) -> bool:
    """Whether the hunks that were not found could be there after the others: each of their lines must stand in the
    file or be added."""
    if len(hunks) == 1:
        return False
    there = original.index(BARE)
    added = {BARE.key(line.text) for hunk in hunks for line in hunk.lines if line.kind == "+"}
    missing = [hunks[problem.hunk - 1] for problem in found.problems if problem.hunk]
    return all(
        (key := BARE.key(line.text)) in there or key in added
        for hunk in missing
        for line in hunk.old[: len(hunk.old) - hunk.tail]
        if line.kind == "-" or not (loosely or is_elision(line.text))
    )


def _applied(
    path: str,
    places: Places,
    hunks: Sequence[Hunk],
    literal_ends: bool,
    warnings: list[str],
    first: int,
    loosely: bool,
) -> FileText:
    target, content = places.target, places.target.text
    problems: list[Problem] = []
    changes: list[Change] = []
    all_placed: list[Placed] = []
    found = places.of(hunks, loosely)
    parts = [part for placed in found if not isinstance(placed, Unplaced) for part in placed]
    taught = sum((part.indents for part in parts if part.indents), Pairs())
    for number, placed in enumerate(found, first):
        if isinstance(placed, Unplaced):
            problems.append(Problem(path, number, placed.kind, str(placed), placed.lines))
            continue
        try:
            for part in placed:
                changes += changes_of(part, target, taught)
        except Unplaced as why:
            problems.append(Problem(path, number, why.kind, str(why), why.lines))
            continue
        all_placed += placed
        if placed[0].how:
            warnings.append(f"{path}: hunk {number} was matched {placed[0].how}")
    if problems:
        raise Problems(*problems)
    return _rebuilt(path, content, changes, all_placed, literal_ends)


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
