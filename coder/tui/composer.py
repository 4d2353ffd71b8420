"""Where the user writes: several lines, history on the arrow keys, Enter sends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import TextArea

from coder.errors import CoderError
from coder.text import visible, visible_line
from coder.tui.completion import Completions
from coder.tui.history import History
from coder.tui.keys import COMPOSER, TYPING, bindings, by_key, run_bound
from coder.tui.paste import Pastes

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


class Composer(TextArea):
    """A text area whose Enter submits. Ctrl+J, Alt+Enter and, where the terminal tells it from
    Enter, Shift+Enter start a new line.

    A text area draws what it holds as it is, so nothing that was not typed gets in without `visible`.
    """

    @dataclass
    class Submitted(Message):
        """`steer`: for the turn that runs, not after it."""

        text: str
        steer: bool = False

    @dataclass
    class Edited(Message):
        """The text changed; `text` up to the cursor is what a completion goes by."""

        text: str

    BINDINGS: ClassVar[list[BindingType]] = bindings(COMPOSER)

    def __init__(self, history: History, completions: Completions, pastes: Pastes) -> None:
        super().__init__(
            id="composer",
            soft_wrap=True,
            show_line_numbers=False,
            compact=True,
            highlight_cursor_line=False,
            placeholder="Describe a change, or type / for commands",
        )
        self.cursor_blink = False
        self._history = history
        self.completions = completions
        self.pastes = pastes

    async def on_key(self, event: events.Key) -> None:
        offers, does = self.completions, by_key(TYPING, cast("CoderApp", self.app).keys).get(event.key)
        match does:
            case "composer.complete" | "composer.send" if offers.past:
                chosen = offers.chosen
                offers.close()
                self._recall(chosen or None)
            case "composer.complete" if offers.display:
                self._complete()
            case "composer.send" if offers.display and not self.text.startswith("/"):
                self._complete()
            case "composer.older" | "composer.newer" if offers.display:
                offers.move(-1 if does == "composer.older" else 1)
            case "composer.send":
                self._submit()
            case "composer.newline":
                self.insert("\n")
            case "composer.older" if self.cursor_location[0] == 0:
                self._recall(self._history.older(self.text))
            case "composer.newer" if self.cursor_location[0] == self.document.line_count - 1:
                self._recall(self._history.newer())
            case _:
                await run_bound(self, event)
                return
        event.prevent_default()
        event.stop()

    def on_paste(self, event: events.Paste) -> None:
        """Long pastes become a mark that stands for them until the text is sent."""
        event.prevent_default()
        event.stop()
        self.insert(self.pastes.fold(event.text))

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.pastes.show(self.text)
        if self.completions.past:
            self.action_past()
            return
        row, column = self.cursor_location
        self.post_message(self.Edited("\n".join([*self.text.split("\n")[:row], self.document.get_line(row)[:column]])))

    def whole_text(self) -> str:
        """The text with every folded paste in full."""
        return self.pastes.unfold(self.text)

    def put(self, text: str) -> None:
        """Replace the text, the cursor at its end."""
        self.text = visible(text)
        self.move_cursor(self.document.end)

    def action_past(self) -> None:
        """Search what was asked before by what is written; what is chosen takes its place."""
        self.completions.offer_past(self._history.search(self.text.strip()))

    def action_editor(self) -> None:
        """Write in the user's own editor. A stream would starve meanwhile, so not while a turn runs."""
        from coder.tui.editor import edit

        app = cast("CoderApp", self.app)
        if app.turns.running:
            app.conversation.say("the editor can be opened once the turn is over", "warning")
            return
        try:
            written = edit(app, self.whole_text().encode("utf-8", "surrogateescape"), ".md")
        except CoderError as error:
            app.conversation.say(error.message, "error", error.hint)
        else:
            self.pastes.forget()
            self.put(written.decode("utf-8", "replace").rstrip("\n"))

    def _complete(self) -> None:
        typed, insertion = self.completions.accept()
        row, column = self.cursor_location
        self.replace(visible_line(insertion), (row, column - len(typed)), (row, column))

    def action_steer(self) -> None:
        """Say what is written to the turn that runs; without one it is a task like any other."""
        self._submit(steer=True)

    def _submit(self, *, steer: bool = False) -> None:
        text = self.whole_text().strip()
        if not text:
            return
        self._history.add(text)
        self.pastes.forget()
        self.text = ""
        self.post_message(self.Submitted(text, steer))

    def _recall(self, text: str | None) -> None:
        if text is not None:
            self.put(text)
