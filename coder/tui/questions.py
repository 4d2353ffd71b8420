"""Which screen asks which question, and what else an answer sets in motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from coder.amounts import count
from coder.events import Answer, ApproveCommand, ApproveSpending, Question, Review
from coder.tui.confirm import ask_spending
from coder.values import Proposal, ReviewDecision

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

FOLLOW_UP = "Follow my comments on your proposal."  # the next task after a review with comments; they go with it


def show_question(app: CoderApp, question: Question, answer: Callable[[Answer], None]) -> Callable[[], None]:
    """Show the question; `answer` is called once. What it returns takes the question off the screen unanswered."""
    screen = screen_for(question)
    if isinstance(question, Review):
        app.reviewed = question

    def asking(now: bool) -> None:
        app.facts.asking = now
        app.refresh_rows()

    def answered(value: Answer | None) -> None:
        app.clear_notifications()  # they were about the question
        if isinstance(value, ReviewDecision) and isinstance(question, Review):
            if words := taken_in_part(question.proposal, value):
                app.conversation.say(words)
            if value.comments:
                app.turns.waiting.insert(0, FOLLOW_UP)
        asking(False)
        if value is not None:
            answer(value)

    def withdraw() -> None:
        asking(False)
        while screen in app.screen_stack:
            app.pop_screen()

    asking(True)
    app.push_screen(screen, answered)
    return withdraw


def taken_in_part(proposal: Proposal, decision: ReviewDecision) -> str:
    """How much of a proposal was accepted; "" where that is all or nothing, unchanged."""
    every = sum(max(1, len(file.hunks)) for file in proposal.files)
    taken = sum(map(len, decision.accepted.values()))
    if not taken or (taken == every and not decision.edited):
        return ""
    changed = f", {len(decision.edited)} of them changed" if decision.edited else ""
    return f"{taken} of {count(every, 'hunk')} accepted{changed}; the model is told"


def screen_for(question: Question) -> Screen[Any]:
    """The screen whose result is the answer."""
    match question:
        case Review():
            from coder.tui.review.screen import ReviewScreen  # with Pygments behind it; not for the first frame

            return ReviewScreen(question)
        case ApproveCommand():
            from coder.tui.approval import Approve

            return Approve(question)
        case ApproveSpending():
            return ask_spending(question)


def warm_review(paths: Iterable[str]) -> None:
    """Import the review and the colours of these files' languages, while the model thinks. For a thread."""
    import coder.tui.review.screen  # noqa: F401
    from coder.tui.highlight import warm

    warm(paths)
