"""The help: what the keys and commands do, from the same tables that run them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.tui.commands import COMMANDS
from coder.tui.keys import APP, COMPOSER, PANEL, PLAN, REVIEW, Key, shown
from coder.tui.lines import Line, wrap
from coder.tui.row import RowsView

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

TYPING = (
    ("Enter", "send; while a turn runs, queue"),
    ("Shift+Enter, Alt+Enter, Ctrl+J", "new line"),
    ("Up, Down", "what you asked before"),
    ("@", "name a file or a declaration"),
    ("!", "run a command of your own in the sandbox"),
    ("Tab", "complete what is offered"),
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,enter", "dismiss", "Close"),
        Binding("up,k", "scroll(-1)", "Up"),
        Binding("down,j", "scroll(1)", "Down"),
        Binding("pageup", "scroll(-10)", "Up"),
        Binding("pagedown,space", "scroll(10)", "Down"),
    ]

    def __init__(self, first: str = "") -> None:
        super().__init__()
        self._first = first  # the section that matters where the help was asked for

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            remapped = cast("CoderApp", self.app).keys
            yield RowsView(lambda width: _rows(width, remapped, self._first), id="words")

    def action_scroll(self, rows: int) -> None:
        self.query_one(RowsView).scroll_relative(y=rows, animate=False)


def _rows(width: int, remapped: Mapping[str, str], first: str) -> list[Line]:
    def table(keys: Sequence[Key]) -> list[tuple[str, str]]:
        return [(shown(remapped.get(key.id) or key.keys), key.words) for key in keys]

    commands = [(f"/{command.name} {command.usage}".strip(), command.summary) for command in COMMANDS]
    sections = [
        ("Keys", [*TYPING, *table(COMPOSER), *table(APP)]),
        ("Commands", commands),
        ("Review", table(REVIEW)),
        ("Plan", table(PLAN)),
        ("Side panels", table(PANEL)),
    ]
    sections.sort(key=lambda section: section[0] != first)
    rows: list[Line] = []
    for title, pairs in sections:
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
