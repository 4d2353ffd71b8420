"""The help: what the keys and commands do, from the same tables that run them."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.tui.commands import COMMANDS
from coder.tui.lines import Line, wrap
from coder.tui.row import RowsView

KEYS = (
    ("Enter", "send; while a turn runs, queue"),
    ("Shift+Enter, Alt+Enter, Ctrl+J", "new line"),
    ("Up, Down", "what you asked before"),
    ("@", "name a file"),
    ("Esc", "interrupt the turn; what was done stays in the conversation"),
    ("PageUp, PageDown, Ctrl+End", "scroll the conversation"),
    ("Ctrl+O, click", "unfold details"),
    ("F2", "context, tests, agents, cost"),
    ("Ctrl+P", "command palette"),
    ("Ctrl+Z", "suspend"),
    ("Ctrl+Q", "quit"),
)
REVIEW_KEYS = (
    ("a, x", "accept or reject this hunk"),
    ("A, X", "accept or reject this file"),
    ("Ctrl+A, Ctrl+X", "accept or reject everything; protected files are asked one by one"),
    ("n, p", "next and previous hunk"),
    ("], [", "next and previous file"),
    ("u", "only undecided hunks"),
    ("c, C", "comment on this hunk or file; it goes back to the model"),
    ("z", "take the last decision back"),
    ("w", "long lines in full"),
    ("t", "files and evidence, where the screen is narrow"),
    ("/", "search"),
    ("Enter", "apply what is accepted"),
    ("Esc", "leave without applying"),
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,enter", "dismiss", "Close", priority=True),
        Binding("up,k", "scroll(-1)", "Up"),
        Binding("down,j", "scroll(1)", "Down"),
        Binding("pageup", "scroll(-10)", "Up", priority=True),
        Binding("pagedown,space", "scroll(10)", "Down", priority=True),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield RowsView(_rows, id="words")

    def action_scroll(self, rows: int) -> None:
        self.query_one(RowsView).scroll_relative(y=rows, animate=False)


def _rows(width: int) -> list[Line]:
    commands = [(f"/{command.name} {command.usage}".strip(), command.summary) for command in COMMANDS]
    rows: list[Line] = []
    for title, pairs in (("Keys", KEYS), ("Commands", commands), ("Review", REVIEW_KEYS)):
        rows += [((title, "bold accent"),)]
        lead = min(26, max(12, width // 3))
        for name, words in pairs:
            head = f"  {name}"
            if len(head) < lead:
                rows += wrap(((words, "muted"),), width, (head.ljust(lead), "text"))
            else:
                rows += [((head, "text"),), *wrap(((words, "muted"),), width, (" " * lead, ""))]
        rows.append((("", ""),))
    return [*rows, (("Esc closes", "faint"),)]
