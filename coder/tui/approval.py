"""May this command run? No, once, in this session, always, or no with a reason that the model is told."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.events import ApproveCommand
from coder.text import visible
from coder.tui.confirm import Paragraph
from coder.tui.foot_line import FootLine
from coder.tui.grace import Grace
from coder.tui.keys import APPROVE, bindings, hint
from coder.tui.lines import Line, Span, plain, wrap, wrap_text
from coder.tui.row import QUESTION, RowsView
from coder.values import Approval

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

Answer = Literal["no", "once", "session", "always", "because"]
ANSWERS: Mapping[Answer, str] = {
    "no": "No",
    "once": "Once",
    "session": "This session",
    "always": "Always",
    "because": "No, because",
}


class Answers(RowsView, can_focus=False):
    """The answers, in as many rows as they need; the marked one is what Enter gives."""

    def __init__(self, only_once: bool) -> None:
        super().__init__(self._answer_rows, id="answers")
        self.answers = [each for each in ANSWERS if not only_once or each not in ("session", "always")]
        self.at = 0

    def _answer_rows(self, width: int) -> list[Line]:
        rows: list[list[Span]] = [[]]
        remapped = cast("CoderApp", self.app).keys
        for place, answer in enumerate(self.answers):
            key, words = hint([f"approve.{answer}"], ANSWERS[answer], remapped)
            text = f" {words} ({key}) "
            if rows[-1] and cell_len(plain(rows[-1])) + cell_len(text) > width:
                rows.append([])
            rows[-1].append((text, "bold cursor" if place == self.at else "muted"))
        return [tuple(row) for row in rows]


class Approve(ModalScreen[Approval]):
    """The command's exact words, one a line; nothing of them is left out. Keys typed before it appeared say nothing.

    Without a sandbox only a single run can be allowed.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(APPROVE)
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(self, question: ApproveCommand) -> None:
        super().__init__()
        self.grace = Grace()
        self._question = question
        self._free = question.sandbox in ("", "none", "off")
        self._answers = Answers(self._free)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield RowsView(self._rows, id="words", share=QUESTION)
            yield self._answers
            yield FootLine(self._refuse)

    def on_mount(self) -> None:
        self.query_one(FootLine).cursor_blink = False
        self.call_after_refresh(self.grace.start)

    def _rows(self, width: int) -> list[Line]:
        question = self._question
        several = len(question.commands) > 1
        rows = wrap(((f"May {'these commands' if several else 'this command'} run?", "bold text"),), width)
        paragraphs: list[Paragraph] = [(f"$ {shlex.join(command)}", "accent") for command in question.commands]
        where = (
            "There is no sandbox: it can do whatever you can do."
            if self._free
            else f"It runs in the sandbox ({question.sandbox}): no network, and nothing it writes reaches your files."
        )
        why = question.why and f"{question.why[0].upper()}{question.why[1:]}."
        said = "\n".join(filter(None, [why, origin_words(question.origin), where]))
        paragraphs.append((said, "warn" if self._free or question.why else "muted"))
        for text, style in paragraphs:
            rows += [(("", ""),), *wrap_text(visible(text), style, width)]
        return rows

    def action_answer(self, answer: Answer) -> None:
        if answer not in self._answers.answers:
            return
        if answer == "because":
            self.query_one(FootLine).open("why not? the model is told", "")
        else:
            self.dismiss(Approval(answer))

    def action_back(self) -> None:
        reason = self.query_one(FootLine)
        if reason.display:
            reason.display = False
            self.set_focus(None)
        else:
            self.dismiss(Approval())

    def _refuse(self, reason: str) -> None:
        self.dismiss(Approval("no", reason.strip()))

    def action_move(self, step: int) -> None:
        self._answers.at = (self._answers.at + step) % len(self._answers.answers)
        self._answers.remake()

    def action_take(self) -> None:
        self.action_answer(self._answers.answers[self._answers.at])

    def action_scroll(self, rows: int) -> None:
        self.query_one(RowsView).scroll_relative(y=rows, animate=False)


def origin_words(origin: str) -> str:
    """Who named the command, as a sentence."""
    kind, _, source = origin.partition(": ")
    if kind == "detected":
        return f"It was found by looking at {source or 'the repository'}."
    named = {"you typed it": "You typed it.", "flag": "The command line names it.", "": ""}
    return named.get(origin, f"The {origin} names it.")
