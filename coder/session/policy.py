"""May it do that? Pure functions of a proposal and of what the user allowed; the answer of a run without a person."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from coder.errors import Refused
from coder.values import FileDiff, Proposal, ReviewDecision

MANY_DELETIONS = 20


def decide(proposal: Proposal, allow: Sequence[str]) -> ReviewDecision:
    """Accept everything or nothing, as CI must. Failed tests accept nothing; a protected path raises Refused."""
    blocked = [file for file in proposal.files if file.protected and not is_allowed(file.path, allow)]
    if blocked:
        names = ", ".join(f"{file.path} ({file.protected})" for file in blocked[:5])
        more = f" and {len(blocked) - 5} more" if len(blocked) > 5 else ""
        raise Refused(f"the change touches protected paths: {names}{more}", "allow them with --allow PATTERN")
    deleted = [file.path for file in proposal.files if file.kind == "deleted" and not is_allowed(file.path, allow)]
    if len(deleted) > MANY_DELETIONS:
        raise Refused(f"the change deletes {len(deleted)} files", "allow them with --allow PATTERN")
    if proposal.evidence.status == "failed":
        return ReviewDecision()
    return accept_all(proposal.files)


def is_allowed(path: str, allow: Sequence[str]) -> bool:
    """Whether a pattern names the path: shell wildcards that cross slashes, or a folder that holds it."""
    return any(fnmatchcase(path, pattern) or path.startswith(pattern.rstrip("/") + "/") for pattern in allow)


def accept_all(files: Sequence[FileDiff]) -> ReviewDecision:
    """Every hunk of every file; a file without hunks counts as its position 0."""
    return ReviewDecision({file.path: frozenset(range(max(1, len(file.hunks)))) for file in files})


def edits_own_tests(files: Sequence[FileDiff], commands: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Paths of the change that the test commands name, or that lie in a test folder: the judge was edited too."""
    named = {argument.partition("::")[0].rstrip("/") for command in commands for argument in command[1:]}

    def judges(path: str) -> bool:
        parts = path.lower().split("/")
        name = parts[-1]
        in_tests = any(part in ("test", "tests", "spec", "__tests__") for part in parts[:-1])
        is_test = name.startswith("test_") or "_test." in name or ".test." in name or ".spec." in name
        is_named = any(path == argument or path.startswith(argument + "/") for argument in named if argument)
        return in_tests or is_test or is_named

    return tuple(file.path for file in files if judges(file.path)) if commands else ()
