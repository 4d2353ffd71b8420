"""A text to edit that others may have written. A text area draws what it holds as it is: here it is made visible."""

from textual import events
from textual.widgets import TextArea

from coder.text import visible


class VisibleText(TextArea):
    """Plain wrapped text; what is pasted is made visible too."""

    def __init__(self, text: str, *, id: str) -> None:
        super().__init__(
            visible(text),
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            compact=True,
            highlight_cursor_line=False,
        )
        self.cursor_blink = False

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.insert(visible(event.text.replace("\r\n", "\n").replace("\r", "\n")))
