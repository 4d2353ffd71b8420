"""Which screen asks which question."""

from typing import Any

from textual.screen import Screen

from coder.events import ApproveCommand, ApproveSpending, Question, Review
from coder.tui.confirm import ask_command, ask_spending


def screen_for(question: Question) -> Screen[Any]:
    """The screen whose result is the answer."""
    match question:
        case Review(proposal):
            from coder.tui.review.screen import ReviewScreen  # with Pygments behind it; not for the first frame

            return ReviewScreen(proposal)
        case ApproveCommand():
            return ask_command(question)
        case ApproveSpending():
            return ask_spending(question)
