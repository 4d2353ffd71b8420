"""Questions with a yes and a no, the no being the default: spending, trust, whatever a command asks first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.amounts import money
from coder.events import ApproveSpending
from coder.text import visible
from coder.tui.door import TrustQuestion
from coder.tui.grace import Grace
from coder.tui.keys import CONFIRM, bindings, hint
from coder.tui.lines import Line, wrap, wrap_text
from coder.tui.row import QUESTION, Row, RowsView

if TYPE_CHECKING:
    from coder.repo.checkpoint import UndoItem
    from coder.tui.app import CoderApp

Paragraph = tuple[str, str]  # text, made visible here, and its style


class Choice(Row):
    """The two answers; the marked one is what Enter gives."""

    def __init__(self, yes: str, no: str) -> None:
        super().__init__(id="choice")
        self._yes, self._no = yes, no
        self.chosen = False

    def line(self, width: int) -> Line:
        marked, other = "bold cursor", "muted"
        remapped = cast("CoderApp", self.app).keys
        (no, _), (yes, _) = hint(["confirm.no"], "", remapped), hint(["confirm.yes"], "", remapped)
        return (
            (f" {self._no} ({no}) ", other if self.chosen else marked),
            ("   ", ""),
            (f" {self._yes} ({yes}) ", marked if self.chosen else other),
        )


class Confirm(ModalScreen[bool]):
    """A question in a box. `y` says yes, `n`, Esc and an untouched Enter say no.

    `asked` is for what the session asks by itself: keys that were typed before it appeared must not answer it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(CONFIRM)

    def __init__(
        self, title: str, paragraphs: Sequence[Paragraph], yes: str = "Yes", no: str = "No", *, asked: bool = False
    ) -> None:
        super().__init__()
        self.grace = Grace() if asked else None
        self._title, self._paragraphs = visible(title), tuple(paragraphs)
        self._choice = Choice(yes, no)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield RowsView(self._rows, id="words", share=QUESTION)
            yield self._choice

    def on_mount(self) -> None:
        if self.grace is not None:
            self.call_after_refresh(self.grace.start)

    def _rows(self, width: int) -> list[Line]:
        rows = wrap(((self._title, "bold text"),), width)
        for text, style in self._paragraphs:
            rows += [(("", ""),), *wrap_text(visible(text), style, width)]
        return rows

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_switch(self) -> None:
        self._choice.chosen = not self._choice.chosen
        self._choice.refresh()

    def action_take(self) -> None:
        self.dismiss(self._choice.chosen)

    def action_scroll(self, rows: int) -> None:
        self.query_one(RowsView).scroll_relative(y=rows, animate=False)


def file_words(items: "Sequence[UndoItem]") -> list[Paragraph]:
    """What becomes of the files when something is taken back."""
    files = "\n".join(f"  · {item.path}: {item.blocked or item.action}" for item in items)
    return [(files, "text")] if files else [("No file changes.", "muted")]


def ask_spending(question: ApproveSpending) -> Confirm:
    limit = f" The limit of this session is {money(question.limit_usd)}." if question.limit_usd is not None else ""
    words = f"The next step is forecast to cost up to {money(question.forecast_usd)}.{limit}"
    return Confirm("Spend this much?", [(words, "text")], "Spend", "Stop", asked=True)


def ask_trust(question: TrustQuestion) -> Confirm:
    honoured = "\n".join(f"  · {line}" for line in question.honours) or "  · nothing that is there now"
    paragraphs = [
        (question.root, "accent"),
        (f"With a yes, this repository's own files are honoured:\n{honoured}", "text"),
        ("With a no, coder works all the same and leaves them unread. `coder trust` changes it later.", "muted"),
    ]
    return Confirm("Do you trust this repository?", paragraphs, "Trust", "Not now", asked=True)
