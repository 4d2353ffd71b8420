"""The help: what the keys and commands do, from the same tables that run them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.tui.commands import COMMANDS
from coder.tui.keys import HELP, SECTIONS, Key, bindings, hint, shown
from coder.tui.lines import Line, wrap
from coder.tui.row import RowsView

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

TYPED = (("/", "commands, listed below"), ("@", "name a file or a declaration"), ("!", "run a command of your own"))


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings(HELP)

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
    sections = [(title, table(keys)) for title, keys in SECTIONS.items()]
    sections[0][1][:0] = TYPED
    sections.insert(1, ("Commands", commands))
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
                rows += wrap(((name, "text"),), width, ("  ", ""))
                rows += wrap(((words, "muted"),), width, (" " * lead, ""))
        rows.append((("", ""),))
    key, words = hint(["help.close"], "closes", remapped)
    return [*rows, ((f"{key} {words}", "faint"),)]
