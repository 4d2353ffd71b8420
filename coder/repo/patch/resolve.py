"""Edits to new file contents, all or none. Pure: the tree is read through its view, and nothing is written."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby

from msgspec.structs import replace

from coder.repo.patch.edits import (
    BadEdit,
    Edit,
    FileResult,
    Line,
    PatchRefused,
    Problem,
    Resolution,
    TreeView,
)
from coder.repo.patch.elision import is_elision
from coder.repo.patch.feedback import feedback
from coder.repo.patch.find import read_edits
from coder.repo.patch.plans import Plan, plan_files
from coder.repo.patch.splice import Change, spliced, with_bom_of, with_last_end
from coder.repo.patch.targets import Targets
from coder.repo.patch.text import FileText
from coder.repo.patch.update import Problems, updated
from coder.repo.paths import looks_secret, protected


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
    targets = Targets(view)
    plans, problems = plan_files(edits, targets)
    results: list[FileResult] = []
    warnings: list[str] = []
    for plan in plans:
        try:
            result = _carried_out(plan, targets, warnings)
        except Problems as found:
            problems += found.problems
            continue
        except BadEdit as bad:
            problems.append(replace(bad.problem, path=plan.path))
            continue
        if result is not None:
            results.append(result)
    problems += _collisions(results, plans, view)
    problems += [_unveiled(result) for result in results if looks_secret(result.old_path) > looks_secret(result.path)]
    if not problems and not results:
        problems.append(Problem(plans[0].path, 0, "malformed", "the edit changes nothing"))
    if problems:
        raise _refused(*problems)
    touched = dict.fromkeys(path for result in results for path in (result.old_path, result.path))
    warnings += [f"{path}: by its name it holds secrets" for path in touched if looks_secret(path)]
    return Resolution(
        tuple(results),
        tuple(warnings),
        tuple(path for path in touched if protected(path)),
        tuple(dict.fromkeys(edit.format for edit in edits)),
    )


def _refused(*problems: Problem) -> PatchRefused:
    return PatchRefused(problems, feedback(problems))


def _unveiled(result: FileResult) -> Problem:
    """A secret under a name that neither ignore rules nor coder take for one would soon be committed or sent."""
    return Problem(result.old_path, 0, "forbidden", f"by its name it holds secrets; {result.path} would not tell")


def _collisions(results: Sequence[FileResult], plans: Sequence[Plan], view: TreeView) -> list[Problem]:
    """Two files with one name, a new file where one stays, or a file and a folder with one name."""
    gone = {result.old_path for result in results if result.content is None or result.path != result.old_path}
    problems: list[Problem] = []
    taken: dict[str, None] = {}  # in the order of the reply
    sources = {plan.source for plan in plans}
    for result in results:
        if result.content is None:
            continue
        fresh = result.path != result.old_path or result.path not in sources
        if result.path in taken or (fresh and view.kind(result.path) == "file" and result.path not in gone):
            problems.append(Problem(result.path, 0, "exists", "there already is a file of this name"))
        taken[result.path] = None
    blocked = "a file stands where the path needs a directory"
    problems += [
        Problem(path, 0, "forbidden", blocked) for path in taken if any(folder in taken for folder in _folders(path))
    ]
    return problems


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:size]) for size in range(1, len(parts))]


# ── one file ─────────────────────────────────────────────────────────────────────────────────────


def _carried_out(plan: Plan, targets: Targets, warnings: list[str]) -> FileResult | None:
    """The file after all its edits; None if nothing changes. Raises Problems or BadEdit."""
    before = targets.read(plan.source) if plan.source else None
    content = FileText.of(before) if before is not None else None
    for is_update, edits in groupby(plan.edits, key=lambda edit: edit.action == "update"):
        if is_update:
            content = _updated(plan.path, content, tuple(edits), warnings)
            continue
        for edit in edits:
            content = _made(edit, content)
    after = content.bytes() if content is not None else None
    executable = next((edit.executable for edit in reversed(plan.edits) if edit.executable is not None), None)
    if executable is not None and plan.source and targets.view.executable(plan.source) == executable:
        executable = None
    if after == before and plan.path == (plan.source or plan.path) and executable is None:
        warnings.append(f"{plan.path}: the edit changes nothing")
        return None
    return FileResult(plan.path, plan.source or plan.path, after, executable)


def _updated(path: str, content: FileText | None, edits: Sequence[Edit], warnings: list[str]) -> FileText:
    """All hunks of edits that follow one another are one set, however many headers there are."""
    if content is None:
        raise BadEdit("missing", "the file was deleted before")
    hunks = [hunk for edit in edits for hunk in edit.hunks]
    if not hunks:
        return content
    return updated(path, content, hunks, any(edit.literal_ends for edit in edits), warnings)


def _made(edit: Edit, content: FileText | None) -> FileText | None:
    """The effect of an edit that does not depend on single lines: create, replace, delete."""
    if edit.action == "delete":
        if content is None:
            raise BadEdit("missing", "there is no such file")
        _check_deletion(edit, content)
        return None
    lines = edit.hunks[0].lines if edit.hunks else ()
    if edit.action == "create":
        if content is not None:
            raise BadEdit("exists", "there already is a file of this name")
        if any(line.kind != "+" for line in lines) or len(edit.hunks) > 1:
            raise BadEdit("malformed", "a new file consists of added lines only")
        return _fresh(lines, edit.literal_ends)
    return _whole(lines, content)


def _fresh(lines: Sequence[Line], literal_ends: bool) -> FileText:
    ends = ["\r\n" if literal_ends and line.cr else "\n" for line in lines]
    if lines and lines[-1].ends_file:
        ends[-1] = ""
    return with_bom_of(FileText(tuple(line.text for line in lines), tuple(ends)), FileText((), ()), lines)


def _whole(lines: Sequence[Line], before: FileText | None) -> FileText:
    known = {line.strip() for line in before.lines} if before is not None else set()
    for line in lines:
        if is_elision(line.text) and line.text.strip() not in known:
            message = f"a whole file may not leave lines out: {line.text.strip()[:80]!r}"
            raise BadEdit("truncated", message)
    if before is None:
        return _fresh(lines, literal_ends=False)
    texts = [line.text.removeprefix("\ufeff") if number == 0 else line.text for number, line in enumerate(lines)]
    opcodes: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(before.lines), 0, len(texts))]
    if len(set(before.ends[:-1])) > 1:  # which lines are kept only matters where lines end differently
        opcodes = SequenceMatcher(None, before.lines, texts).get_opcodes()
    changes = [
        Change(old_from, old_to, tuple(Line("+", text) for text in texts[new_from:new_to]))
        for tag, old_from, old_to, new_from, new_to in opcodes
        if tag != "equal"
    ]
    return with_last_end(spliced(before, changes, literal_ends=False), before.ends_with_newline)


def _check_deletion(edit: Edit, content: FileText) -> None:
    """A diff that deletes must show the whole file: anything else speaks of another version."""
    if edit.format != "unified diff":
        return
    removed = [line for hunk in edit.hunks for line in hunk.lines]
    if any(line.kind == "+" for line in removed) or len(edit.hunks) > 1:
        raise BadEdit("malformed", "a deletion only removes lines")
    shown = [line.text.rstrip() for line in removed]
    there = [line.rstrip() for line in content.lines]
    while len(shown) > len(there) and not shown[-1]:
        shown.pop()
    if shown != there:
        raise BadEdit("stale", "the deleted lines are not the file's content")
