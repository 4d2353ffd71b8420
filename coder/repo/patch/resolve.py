"""Edits to new file contents, all or none. Pure: the tree is read through its view, and nothing is written."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from coder.repo.patch.edits import (
    BadEdit,
    Edit,
    FileResult,
    Hunk,
    Line,
    PatchRefused,
    Problem,
    Resolution,
    TreeView,
)
from coder.repo.patch.elision import is_elision
from coder.repo.patch.feedback import feedback, nearest_lines
from coder.repo.patch.find import read_edits
from coder.repo.patch.match import Target
from coder.repo.patch.place import Placed, place
from coder.repo.patch.plans import Plan, plan_files
from coder.repo.patch.readings import entities_undone
from coder.repo.patch.regions import Unplaced
from coder.repo.patch.splice import Change, changes_of, merged, spliced, with_bom_of, with_last_end
from coder.repo.patch.targets import Targets
from coder.repo.patch.text import FileText, refuse_content
from coder.repo.paths import protected


def resolve(text: str, view: TreeView, *, complete: bool = True) -> Resolution:
    """What the edits in `text` make of the files in `view`. Raises PatchRefused, naming every problem found.

    `complete=False` says that the reply is known to be cut off (its stream's finish reason), whatever it looks like.
    """
    if not complete:
        raise _refused(Problem("", 0, "truncated", "the reply was cut off"))
    targets = Targets(view)
    try:
        reading = read_edits(text, targets.known)
    except BadEdit as bad:
        raise _refused(bad.problem) from bad
    if not reading.edits:
        raise _refused(Problem("", 0, "malformed", "there is no edit in the reply"))
    resolution = resolve_edits(reading.edits, view)
    return replace(resolution, warnings=(*reading.notes, *resolution.warnings))


def resolve_edits(edits: Sequence[Edit], view: TreeView) -> Resolution:
    """As `resolve`, for edits that are already read."""
    plans, problems = plan_files(edits, Targets(view))
    results: list[FileResult] = []
    warnings: list[str] = []
    for plan in plans:
        try:
            result = _carried_out(plan, view, warnings)
        except _Problems as found:
            problems += found.problems
            continue
        if result is not None:
            results.append(result)
    problems += _collisions(results, plans, view)
    if not problems and not results:
        problems.append(Problem(plans[0].path, 0, "malformed", "the edit changes nothing"))
    if problems:
        raise _refused(*problems)
    touched = dict.fromkeys(path for result in results for path in (result.old_path, result.path))
    return Resolution(
        tuple(results),
        tuple(warnings),
        tuple(path for path in touched if protected(path)),
        tuple(dict.fromkeys(edit.format for edit in edits)),
    )


def _refused(*problems: Problem) -> PatchRefused:
    return PatchRefused(problems, feedback(problems))


class _Problems(Exception):
    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def _collisions(results: Sequence[FileResult], plans: Sequence[Plan], view: TreeView) -> list[Problem]:
    """Two files with one name, or a new file where one stays."""
    gone = {result.old_path for result in results if result.content is None or result.path != result.old_path}
    problems: list[Problem] = []
    taken: set[str] = set()
    sources = {plan.source for plan in plans}
    for result in results:
        if result.content is None:
            continue
        fresh = result.path != result.old_path or result.path not in sources
        if result.path in taken or (fresh and view.kind(result.path) == "file" and result.path not in gone):
            problems.append(Problem(result.path, 0, "exists", "there already is a file of this name"))
        taken.add(result.path)
    return problems


# ── one file ─────────────────────────────────────────────────────────────────────────────────────


def _carried_out(plan: Plan, view: TreeView, warnings: list[str]) -> FileResult | None:
    """The file after all its edits; None if nothing changes. Raises _Problems."""
    before = view.read(plan.source) if plan.source else None
    if before is not None and (reason := refuse_content(before)):
        raise _Problems(Problem(plan.source, 0, "forbidden", reason))
    content = FileText.of(before) if before is not None else None
    executable: bool | None = None
    hunks: list[Hunk] = []
    literal = False
    for edit in plan.edits:
        executable = edit.executable if edit.executable is not None else executable
        if edit.action == "update":
            hunks += edit.hunks
            literal |= edit.literal_ends
            continue
        if hunks and content is not None:
            content = _updated(plan.path, content, hunks, literal, warnings)
            hunks = []
        content = _made(plan, edit, content)
    if hunks:
        if content is None:
            raise _Problems(Problem(plan.path, 0, "missing", "the file was deleted before"))
        content = _updated(plan.path, content, hunks, literal, warnings)
    after = content.bytes() if content is not None else None
    if executable is not None and plan.source and view.executable(plan.source) == executable:
        executable = None
    if after == before and plan.path == (plan.source or plan.path) and executable is None:
        warnings.append(f"{plan.path}: the edit changes nothing")
        return None
    return FileResult(plan.path, plan.source or plan.path, after, executable)


def _made(plan: Plan, edit: Edit, content: FileText | None) -> FileText | None:
    """The effect of an edit that does not depend on single lines: create, replace, delete."""
    if edit.action == "delete":
        if content is None:
            raise _Problems(Problem(plan.path, 0, "missing", "there is no such file"))
        _check_deletion(plan, edit, content)
        return None
    lines = edit.hunks[0].lines if edit.hunks else ()
    if edit.action == "create":
        if content is not None:
            raise _Problems(Problem(plan.path, 0, "exists", "there already is a file of this name"))
        if any(line.kind != "+" for line in lines) or len(edit.hunks) > 1:
            raise _Problems(Problem(plan.path, 0, "malformed", "a new file consists of added lines only"))
        return _fresh(lines, edit.literal_ends)
    return _whole(plan, lines, content)


def _fresh(lines: Sequence[Line], literal_ends: bool) -> FileText:
    ends = ["\r\n" if literal_ends and line.cr else "\n" for line in lines]
    if lines and lines[-1].ends_file:
        ends[-1] = ""
    return with_bom_of(FileText(tuple(line.text for line in lines), tuple(ends)), FileText((), ()), lines)


def _whole(plan: Plan, lines: Sequence[Line], before: FileText | None) -> FileText:
    known = {line.strip() for line in before.lines} if before is not None else set()
    for line in lines:
        if is_elision(line.text) and line.text.strip() not in known:
            message = f"a whole file may not leave lines out: {line.text.strip()[:80]!r}"
            raise _Problems(Problem(plan.path, 0, "truncated", message))
    if before is None:
        return _fresh(lines, literal_ends=False)
    texts = [line.text.removeprefix("\ufeff") if number == 0 else line.text for number, line in enumerate(lines)]
    matcher = SequenceMatcher(None, before.lines, texts, autojunk=False)
    changes = [
        Change(old_from, old_to, tuple(Line("+", text) for text in texts[new_from:new_to]))
        for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes()
        if tag != "equal"
    ]
    return with_last_end(spliced(before, changes, literal_ends=False), before.ends_with_newline)


def _check_deletion(plan: Plan, edit: Edit, content: FileText) -> None:
    """A diff that deletes must show the whole file: anything else speaks of another version."""
    if edit.format != "unified diff":
        return
    removed = [line for hunk in edit.hunks for line in hunk.lines]
    if any(line.kind == "+" for line in removed) or len(edit.hunks) > 1:
        raise _Problems(Problem(plan.path, 0, "malformed", "a deletion only removes lines"))
    shown = [line.text.rstrip() for line in removed]
    there = [line.rstrip() for line in content.lines]
    while len(shown) > len(there) and not shown[-1]:
        shown.pop()
    if shown != there:
        raise _Problems(Problem(plan.path, 1, "stale", "the deleted lines are not the file's content"))


# ── hunks of one file ────────────────────────────────────────────────────────────────────────────


def _updated(path: str, content: FileText, hunks: Sequence[Hunk], literal_ends: bool, warnings: list[str]) -> FileText:
    """The file with all hunks applied: each found in the file as it is, or, if one is not there, after the ones
    before it. Only when both fail to the letter may a hunk have a mistake."""
    problems: _Problems
    hunks = entities_undone(hunks, content.lines)
    for loosely in (False, True):
        for in_turn in (False, True):
            heard: list[str] = []
            steps = [[hunk] for hunk in hunks] if in_turn else [hunks]
            after, number = content, 1
            try:
                for step in steps:
                    after = _applied(path, after, step, literal_ends, heard, number, loosely)
                    number += len(step)
            except _Problems as found:
                if not in_turn:
                    problems = found
                if any(problem.kind == "ambiguous" for problem in problems.problems):
                    raise problems from None
                continue
            warnings += heard
            return after
    raise problems


def _applied(
    path: str,
    content: FileText,
    hunks: Sequence[Hunk],
    literal_ends: bool,
    warnings: list[str],
    first: int,
    loosely: bool,
) -> FileText:
    target = Target(content)
    problems: list[Problem] = []
    changes: list[Change] = []
    all_placed: list[Placed] = []
    shift = _Shift()
    for number, hunk in enumerate(hunks, first):
        try:
            placed = place(hunk, target, shift.near(hunk.start), loosely=loosely)
            for part in placed:
                changes += changes_of(part, content)
        except Unplaced as why:
            problems.append(_problem(path, number, why, hunk, target))
            continue
        except BadEdit as bad:
            problems.append(replace(bad.problem, path=path, hunk=number))
            continue
        shift.learn(hunk, placed[0])
        all_placed += placed
        if placed[0].how:
            warnings.append(f"{path}: hunk {number} was matched {placed[0].how}")
    if problems:
        raise _Problems(*problems)
    return _rebuilt(path, content, changes, all_placed, literal_ends)


def _rebuilt(
    path: str, content: FileText, changes: Sequence[Change], placed: Sequence[Placed], literal_ends: bool
) -> FileText:
    try:
        after = spliced(content, merged(changes), literal_ends)
    except ValueError as conflict:
        raise _Problems(Problem(path, 0, "malformed", str(conflict))) from conflict
    except BadEdit as bad:
        raise _Problems(replace(bad.problem, path=path)) from bad
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


def _problem(path: str, number: int, why: Unplaced, hunk: Hunk, target: Target) -> Problem:
    nearest = nearest_lines(hunk, target) if not why.lines else ()
    return Problem(path, number, why.kind, str(why), why.lines, nearest)


class _Shift:
    """How far below their line numbers the hunks of a file are found."""

    def __init__(self) -> None:
        self._known: list[tuple[int, int]] = []

    def learn(self, hunk: Hunk, placed: Placed) -> None:
        row = next((row for row in placed.rows if row is not None), None)
        if hunk.start and row is not None and not hunk.after_line:
            self._known.append((hunk.start, row - (hunk.start - 1)))

    def near(self, start: int) -> int:
        """The shift of the closest hunk before `start`; 0 if there is none."""
        before = [known for known in self._known if known[0] <= start]
        return max(before)[1] if before else 0
