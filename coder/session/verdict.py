"""What the model is told of a review: exactly what of its proposal is not in the files, what is otherwise, and why."""

from collections.abc import Iterator, Mapping

from coder.repo.diff import edit_hunk, render_hunk
from coder.text import redact
from coder.values import FileDiff, Proposal, ReviewDecision

MAX_LINES = 40  # of one hunk that are told again; the model wrote it and has it in its conversation
MAX_CHARS = 12_000  # of the whole

OPENING = "[coder: the user reviewed your proposal. All of it is in the files now but for what follows.]"
NOTHING = "[coder: the user reviewed your proposal. Nothing of it is in the files.]"


def told(proposal: Proposal, decision: ReviewDecision) -> str:
    """The verdict in words and hunks; "" where everything was accepted as it was, without a comment."""
    comments: dict[tuple[str, int], list[str]] = {}
    for comment in decision.comments:
        comments.setdefault((comment.path, comment.hunk), []).append(comment.text)
    lines = [f"the user says of all of it: {text}" for text in comments.get(("", -1), ())]
    for file in proposal.files:
        lines += _of_file(file, decision, comments)
    if not lines:
        return ""
    said = redact("\n".join([NOTHING if decision.takes_nothing() else OPENING, *lines]))
    return said if len(said) <= MAX_CHARS else f"{said[:MAX_CHARS]}\n… (the rest is left out: read the files)"


def _of_file(file: FileDiff, decision: ReviewDecision, comments: Mapping[tuple[str, int], list[str]]) -> Iterator[str]:
    accepted = decision.accepted.get(file.path, frozenset())
    general = [f"the user says: {text}" for text in comments.get((file.path, -1), ())]
    if not accepted:
        yield f"{file.path}: rejected whole ({file.kind})"
        yield from general
        for number in range(max(1, len(file.hunks))):
            for text in comments.get((file.path, number), ()):
                yield f"the user says of the hunk at line {_line(file, number)}: {text}"
        return
    if general:
        yield f"{file.path}:"
        yield from general
    for number, hunk in enumerate(file.hunks):
        said = [f"the user says: {text}" for text in comments.get((file.path, number), ())]
        edited = decision.edited.get((file.path, number))
        if number not in accepted:
            yield f"{file.path}: rejected, so the file still has its old lines here:"
            yield from _shown(render_hunk(hunk))
        elif edited is not None:
            yield f"{file.path}: accepted as the user changed it, so that your hunk at line {hunk.old_start} became:"
            yield from _shown(render_hunk(edit_hunk(file, number, edited)))
        elif said:
            yield f"{file.path}: accepted, the hunk at line {hunk.old_start}"
        yield from said


def _line(file: FileDiff, number: int) -> int:
    return file.hunks[number].old_start if number < len(file.hunks) else 1


def _shown(hunk: bytes) -> Iterator[str]:
    lines = hunk.decode("utf-8", "replace").removesuffix("\n").split("\n")
    yield from lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        yield f"… ({len(lines) - MAX_LINES} lines more)"
