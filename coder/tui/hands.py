"""The parts of the screen by name, and what its keys do to them."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from coder.tui import commands
from coder.tui.composer import Composer
from coder.tui.conversation import Conversation
from coder.tui.door import ScreenOptions, SessionLike
from coder.tui.keys import APP, bindings, hint
from coder.tui.side import Side
from coder.tui.turns import Turns

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


class Hands(App[int]):
    """The ground under the application: no event of the session comes here."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(APP)
    options: ScreenOptions
    turns: Turns
    conversation: Conversation
    keys: dict[str, str]
    quit_armed = False

    @property
    def session(self) -> SessionLike | None:
        return self.turns.session

    @property
    def is_left(self) -> bool:
        """Whether the screen is gone or going: what arrives now is for nobody."""
        return not self.is_running or not self.screen_stack or not self.screen_stack[0].query(Conversation)

    @property
    def side(self) -> Side:
        return self.screen_stack[0].query_one(Side)

    @property
    def composer(self) -> Composer:
        return self.screen_stack[0].query_one(Composer)

    def action_interrupt(self) -> None:
        """Esc: close what is open, else stop the turn; what waits goes back to the composer."""
        if self.composer.completions.display:
            self.composer.completions.close()
        elif self.side.display and self.side.has_focus_within:
            self._close_side()
        elif self.turns.running:
            self._interrupt()
        elif self.side.display:
            self._close_side()

    def _interrupt(self) -> None:
        waiting = self.turns.interrupt()
        if waiting:
            self.composer.put(f"{waiting}\n{self.composer.text}".strip())

    def give_back(self) -> None:
        """Say that what waits will never run where the session could not be opened, and write it into the composer."""
        if self.turns.has_no_session and self.turns.waiting:
            self.conversation.say("there is no session to do it", "warning", "mend what is said above, then start anew")
            self._interrupt()

    def _close_side(self) -> None:
        self.side.close()
        self.composer.focus()

    async def action_copy_or_quit(self) -> None:
        """Ctrl+C: copy a selection, else clear the composer, else stop the turn, else quit at the second press."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
        elif self.composer.text:
            self.composer.put("")
        elif self.turns.running:
            self._interrupt()
        elif self.quit_armed:
            await self.action_quit()
        else:
            self.quit_armed = True
            self.conversation.say(f"{hint(['app.copy'], '', self.keys)[0]} again quits")

    async def action_quit_if_empty(self) -> None:
        if len(self.screen_stack) == 1 and not self.composer.text:
            await self.action_quit()

    def action_unfold(self) -> None:
        self.conversation.toggle_folds()

    def action_page(self, pages: float) -> None:
        self.conversation.page(pages)

    def action_page_end(self) -> None:
        self.conversation.to_end()

    def action_panel(self) -> None:
        self.side.turn()

    def action_command(self, name: str) -> None:
        commands.run(cast("CoderApp", self), f"/{name}")

    def action_pick(self, name: str, usage: str) -> None:
        """A command that was chosen by its name: run, or written into the composer where it needs a word more."""
        if usage.startswith("[") or not usage:
            self.action_command(name)
        else:
            self.composer.put(f"/{name} ")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette offers what `/` does."""
        for command in commands.COMMANDS:
            pick = partial(self.action_pick, command.name, command.usage)
            yield SystemCommand(f"/{command.name}", command.summary, pick)
