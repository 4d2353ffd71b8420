"""What changed between two runs of the same command: pure functions over reports."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from coder.values import TestReport


class Difference(Struct, frozen=True):
    """Names of failed tests: those the base did not have, those only the base had, those both have."""

    new: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    preexisting: tuple[str, ...] = ()


def compare(base: TestReport | None, draft: TestReport) -> Difference:
    """Without a base every failure is new. A base that ran no test says nothing of single tests."""
    failing = _names(draft)
    before = _names(base) if base else ()
    if base is None:
        return Difference(new=failing)
    # a run that stopped early, as at an error of collection, did not reach what it does not name
    complete = draft.ran >= base.ran and not draft.timed_out
    fixed = tuple(name for name in before if name not in failing) if complete else ()
    return Difference(
        tuple(name for name in failing if name not in before),
        fixed,
        tuple(name for name in failing if name in before),
    )


def holds(draft: TestReport, new_failures: Collection[str]) -> bool:
    """Whether one command speaks for the draft: it passed, or failed only as before and passed at least one test."""
    if draft.ran == 0 or draft.passed == 0:
        return False
    if draft.ok and not draft.failures:
        return True
    return draft.exit_code is not None and bool(draft.failures) and not new_failures


def _names(report: TestReport) -> tuple[str, ...]:
    return tuple(dict.fromkeys(failure.name for failure in report.failures))


def all_names(differences: Sequence[Difference], field: str) -> tuple[str, ...]:
    """One list over several commands, each name once, in order."""
    return tuple(dict.fromkeys(name for difference in differences for name in getattr(difference, field)))
