"""The plan as a document: read, edited, sent back with remarks, or approved to be carried out."""

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.errors import CoderError
from coder.text import visible
from coder.tui.grace import Grace
from coder.tui.keys import PLAN, bindings, hint
from coder.tui.lines import Line
from coder.tui.row import Row
from coder.tui.status import fit, join
from coder.tui.visible_text import VisibleText

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


class Verdict(Struct, frozen=True):
    """What becomes of the plan, which the user may have edited."""

    what: Literal["go", "revise", "later"]
    plan: str


class Heading(Row):
    def line(self, width: int) -> Line:
        return (("Plan", "bold text"), ("  nothing is edited until you carry it out; edit it as you like", "muted"))


class PlanHints(Row):
    def line(self, width: int) -> Line:
        keys = cast("CoderApp", self.app).keys
        words = {
            "plan.go": "carry it out",
            "plan.revise": "send it back",
            "plan.editor": "$EDITOR",
            "plan.later": "later",
        }
        parts = [
            (rank, [(key, "text"), (f" {said}", "faint")])
            for rank, (key, said) in enumerate(hint([id], said, keys) for id, said in words.items())
        ]
        return tuple(join(fit(parts, width, "   "), "   "))


class PlanScreen(ModalScreen[Verdict]):
    """`asked`: it came by itself at the end of a turn, so that keys typed before must not decide."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PLAN)

    def __init__(self, plan: str, *, asked: bool = False) -> None:
        super().__init__()
        self.grace = Grace() if asked else None
        self._plan = plan.strip()

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Heading(id="heading")
            yield VisibleText(self._plan, id="plan")
            yield PlanHints(id="choice")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(VisibleText))
        if self.grace is not None:
            self.call_after_refresh(self.grace.start)

    @property
    def text(self) -> str:
        return self.query_one(VisibleText).text.strip()

    def action_decide(self, what: Literal["go", "revise", "later"]) -> None:
        if self.text or what == "later":
            self.dismiss(Verdict(what, self.text or self._plan))

    def action_editor(self) -> None:
        from coder.tui.editor import edit, say_fault

        try:
            written = edit(self.app, f"{self.text}\n".encode("utf-8", "surrogateescape"), ".md")
        except CoderError as error:
            say_fault(self.app, error)
        else:
            self.query_one(VisibleText).text = visible(written.decode("utf-8", "replace")).strip()
