"""The answer of a run without a person: everything or nothing, and what takes more than a run's own word."""

import pytest
from msgspec.structs import replace

from coder.errors import Exit, Refused
from coder.session.policy import MANY_DELETIONS, decide, edits_own_tests, is_allowed
from coder.values import Evidence, FileDiff
from tests.scripted import changed, hunk, proposal_of

EDITED = changed("shop.py", hunk("-one", "+1"), hunk("-two", "+2", start=9))
RENAMED = replace(changed("till.py"), kind="renamed", old_path="cash.py")


def deleted(count: int) -> list[FileDiff]:
    return [replace(changed(f"old/{number}.py", hunk("-x")), kind="deleted") for number in range(count)]


def guarded(count: int) -> list[FileDiff]:
    return [replace(changed(f".github/{number}.yml", hunk("+x")), protected="CI workflow") for number in range(count)]


@pytest.mark.parametrize("status", ["passed", "not_run"])
def test_every_hunk_of_every_file_is_accepted(status):
    decision = decide(replace(proposal_of(EDITED, RENAMED), evidence=Evidence(status=status)), ())
    assert decision.accepted == {"shop.py": frozenset({0, 1}), "till.py": frozenset({0})}


def test_failed_tests_accept_nothing():
    assert decide(replace(proposal_of(EDITED), evidence=Evidence(status="failed")), ()).takes_nothing()


def test_a_protected_path_is_refused_by_name_until_it_is_allowed():
    with pytest.raises(Refused) as caught:
        decide(proposal_of(EDITED, *guarded(2)), ["docs"])
    assert caught.value.exit is Exit.REFUSED
    assert caught.value.message.endswith(": .github/0.yml (CI workflow), .github/1.yml (CI workflow)")
    assert "--allow" in caught.value.hint
    assert len(decide(proposal_of(EDITED, *guarded(2)), [".github/"]).accepted) == 3


@pytest.mark.parametrize(("count", "ending"), [(5, "(CI workflow)"), (6, "(CI workflow) and 1 more")])
def test_of_many_protected_paths_five_are_named(count, ending):
    with pytest.raises(Refused) as caught:
        decide(proposal_of(*guarded(count)), ())
    assert (caught.value.message.count("CI workflow"), caught.value.message.endswith(ending)) == (5, True)


def test_many_deletions_are_refused_until_they_are_allowed():
    assert len(decide(proposal_of(*deleted(MANY_DELETIONS)), ()).accepted) == MANY_DELETIONS
    many = proposal_of(EDITED, *deleted(MANY_DELETIONS + 1))
    with pytest.raises(Refused, match=f"deletes {MANY_DELETIONS + 1} files"):
        decide(many, ())
    assert len(decide(many, ["old"]).accepted) == MANY_DELETIONS + 2


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("*.lock", "deep/down/poetry.lock", True),
        ("*.lock", "poetry.lock.py", False),
        ("ci", "ci/run", True),
        ("ci/", "ci/run", True),
        ("ci", "cinema/run", False),
        ("CI", "ci/run", False),
        (".github/workflows/test.yml", ".github/workflows/test.yml", True),
    ],
)
def test_a_pattern_allows_what_it_names(pattern, path, allowed):
    assert is_allowed(path, ["nothing", pattern]) is allowed


COMMANDS = [["python", "check.py::one", "checks/"], ["make", "lint"]]


@pytest.mark.parametrize("path", ["check.py", "checks/deep.py", "a/Tests/x.py", "test_x.py", "x_test.go", "b.spec.ts"])
def test_a_change_of_what_judges_it_is_told(path):
    assert edits_own_tests([EDITED, changed(path, hunk("+x"))], COMMANDS) == (path,)


@pytest.mark.parametrize("path", ["python", "checks.py", "latest.py", "attest/x.py", "contest.py"])
def test_what_does_not_judge_the_change_is_not_told(path):
    files = [changed(path, hunk("+x"))]
    assert edits_own_tests(files, [["python", "-m", "checks", "check"]]) == ()


def test_without_a_test_command_nothing_judges():
    assert edits_own_tests([changed("test_x.py", hunk("+x"))], []) == ()
