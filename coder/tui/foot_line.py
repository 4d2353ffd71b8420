"""A line at the foot of a screen that takes a few words: a comment, a search."""

from collections.abc import Callable

from textual import events
from textual.widgets import Input

from coder.text import visible_line
from coder.tui.keys import run_bound


class FootLine(Input):
    """Hidden until `open`. Enter gives what was written to `take` at once, not by a message: the keys typed after it
    belong to the screen again."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__(id="line", compact=True, select_on_focus=False)
        self.display = False
        self._take = take

    def open(self, placeholder: str, text: str, *, again: bool = False) -> None:
        """`text` is there to be changed, or with `again` to be taken or written over."""
        self.placeholder, self.value, self.display = placeholder, visible_line(text), True
        self.cursor_position = len(self.value)
        self.screen.set_focus(self)
        if again:
            self.select_all()

    async def on_key(self, event: events.Key) -> None:
        if self.display and event.key != "enter":
            await run_bound(self, event)
            return
        event.stop()
        event.prevent_default()
        if self.display:
            self._take(self.value)
        else:  # typed after Enter, and sent here before it was dealt with
            self.app.post_message(events.Key(event.key, event.character))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(visible_line(event.text.strip()))
