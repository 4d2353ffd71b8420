"""A proposal that nobody decided about: its review was broken off, by an interrupt or with the process."""

from collections.abc import Sequence
from typing import Any

from coder.session.replay import evidence_of, proposal_of
from coder.values import Proposal

UNDECIDED = "the last proposal was not decided about: /review shows it again"


def undecided(records: Sequence[dict[str, Any]]) -> Proposal | None:
    """That of the last turn of live records; None where there is none, or something became of it."""
    evidence, proposal = None, None
    for record in records:
        match record:
            case {"kind": "task"}:
                evidence, proposal = None, None
            case {"kind": "evidence"}:
                evidence = evidence_of(record)
            case {"kind": "proposal", "patch": str(patch)}:
                proposal = proposal_of(record, patch, evidence)
            case {"kind": "applied"}:
                proposal = None
            case {"kind": "outcome", "status": str(status)} if status != "interrupted":
                proposal = None
    return proposal
