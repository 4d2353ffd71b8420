"""Which edits of a reply belong to which file: one plan for each, by its name in the tree. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from coder.repo.patch.edits import BadEdit, Edit, Hunk, Problem
from coder.repo.patch.targets import Targets
from coder.repo.patch.text import FileText


@dataclass
class Plan:
    """All edits of one file, in order. `source` is "" for a file that does not exist yet."""

    path: str
    source: str
    edits: list[Edit] = field(default_factory=list)


def plan_files(edits: Sequence[Edit], targets: Targets) -> tuple[list[Plan], list[Problem]]:
    """The plans in the order of the reply, and the problems of edits that fit no file."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    for edit in edits:
        try:
            _assign(edit, plans, targets)
        except BadEdit as bad:
            problems.append(bad.problem)
    return plans, problems


def _assign(edit: Edit, plans: list[Plan], targets: Targets) -> None:
    """Adds the edit to the plan of its file; a file that this reply creates or renames goes by its new name."""
    if edit.action == "create":
        path = targets.absent(edit.path)
        plan = next((plan for plan in plans if plan.source == path and plan.edits[-1].action == "delete"), None)
    elif (plan := _made_earlier(edit, plans, targets)) is not None:
        path = plan.path
    elif edit.action == "replace":
        path = _replaced(edit, targets)
    elif _makes_file(edit, targets):
        edit = replace(edit, action="create")
        path = targets.absent(edit.path)
    else:
        path = targets.existing(edit.path, edit.also)
        plan = next((plan for plan in plans if plan.source == path), None)
    if edit.action == "replace" and plan is None:
        plan = next((plan for plan in plans if plan.source == path), None)
    if plan is None:
        source = "" if edit.action == "create" or targets.view.kind(path) == "none" else path
        plan = Plan(path, source)
        plans.append(plan)
    plan.edits.append(edit)
    if edit.new_path:
        plan.path = targets.absent(edit.new_path)


def _made_earlier(edit: Edit, plans: list[Plan], targets: Targets) -> Plan | None:
    """The plan that creates the edit's file or renames another to its name. Raises BadEdit if the tree has a file of
    that name too, and it stays: nothing tells which of the two is meant."""
    for plan in plans:
        if plan.path != plan.source and plan.path in (edit.path, *edit.also):
            gone = any(other.source == plan.path and other.edits[-1].action == "delete" for other in plans)
            if targets.known(plan.path) and not gone:
                raise BadEdit("exists", "the edit makes a file of this name, and there already is one", plan.path)
            return plan
    return None


def _makes_file(edit: Edit, targets: Targets) -> bool:
    """A diff that only adds lines, for a file that does not exist, creates it: the null device was forgotten."""
    if edit.format != "unified diff" or edit.action != "update" or edit.new_path or len(edit.hunks) != 1:
        return False
    added_only = all(line.kind == "+" for line in edit.hunks[0].lines)
    return added_only and not any(targets.known(name) for name in (edit.path, *edit.also))


def _replaced(edit: Edit, targets: Targets) -> str:
    """The path of a whole file: as written, unless only an existing file of that ending has about this content."""
    path = targets.absent(edit.path)
    if targets.view.kind(path) == "file":
        return path
    other = targets.by_suffix(path)
    if other is not None and _mostly_same(edit.hunks[0], targets.read(other)):
        return other
    return path


def _mostly_same(hunk: Hunk, content: bytes) -> bool:
    old = set(FileText.of(content).lines)
    new = [line.text for line in hunk.lines if line.text.strip()]
    return bool(new) and sum(text in old for text in new) * 2 > len(new)
