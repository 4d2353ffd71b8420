"""The message of a commit, to be edited before it is made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.errors import CoderError
from coder.text import visible
from coder.tui.keys import COMMIT, bindings, by_key, hint, run_bound
from coder.tui.lines import Line, wrap, wrap_text
from coder.tui.row import Row, RowsView
from coder.tui.status import Part, fit, join
from coder.tui.visible_text import VisibleText

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

SUBJECT = 72  # columns; what git's own tools show of a subject without cutting it
HINTS = {"commit.make": "commit", "commit.back": "back", "commit.newline": "new line", "commit.editor": "$EDITOR"}


class MessageText(VisibleText):
    """The message as it is written; its keys are named as those of the composer are."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(key for key in COMMIT if key.id == "commit.editor")

    def __init__(self, text: str) -> None:
        super().__init__(text, id="message")

    async def on_key(self, event: events.Key) -> None:
        match by_key(COMMIT, cast("CoderApp", self.app).keys).get(event.key):
            case "commit.make":
                cast("CommitScreen", self.screen).give()
            case "commit.newline":
                self.insert("\n")
            case _:
                await run_bound(self, event)
                return
        event.prevent_default()
        event.stop()

    def action_editor(self) -> None:
        from coder.tui.editor import edit, say_fault

        try:
            written = edit(self.app, self.text.encode("utf-8", "surrogateescape"), ".txt")
        except CoderError as error:
            say_fault(self.app, error)
        else:
            self.text = visible(written.decode("utf-8", "replace")).rstrip("\n")


class Subject(Row):
    """How long the first line is; a long one is cut in most places that show it."""

    def __init__(self) -> None:
        super().__init__(id="choice")

    def line(self, width: int) -> Line:
        length = len(self.screen.query_one(MessageText).text.partition("\n")[0])
        parts: list[Part] = [(0, [(f"{length}/{SUBJECT}", "warn" if length > SUBJECT else "muted")])]
        remapped = cast("CoderApp", self.app).keys
        hints = [hint([id], words, remapped) for id, words in HINTS.items()]
        parts += [(rank, [(key, "text"), (f" {words}", "muted")]) for rank, (key, words) in enumerate(hints)]
        return tuple(join(fit(parts, width, "   "), "   "))


class CommitScreen(ModalScreen[str]):
    """Asks for the message; gives it, or nothing where the user goes back. `words` say what will be committed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(key for key in COMMIT if key.id == "commit.back")

    def __init__(self, words: Sequence[tuple[str, str]], message: str) -> None:
        super().__init__()
        self._words, self._message = tuple(words), message

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield RowsView(self._rows, id="words")
            yield MessageText(self._message)
            yield Subject()

    def on_mount(self) -> None:
        text = self.query_one(MessageText)
        text.move_cursor(text.document.end)
        self.set_focus(text)

    def on_text_area_changed(self) -> None:
        self.query_one(Subject).refresh()

    def _rows(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for text, style in self._words:
            rows += wrap_text(visible(text), style, width)
        return [*wrap((("Commit", "bold text"),), width), *rows]

    def give(self) -> None:
        message = self.query_one(MessageText).text.strip()
        if message:
            self.dismiss(message)
        else:
            self.app.notify("A commit needs a message.", markup=False)

    def action_back(self) -> None:
        self.dismiss(None)
