"""The blocks of words: the user's task, the model's reply, notices, and how a turn ended."""

from coder.text import visible, visible_line
from coder.tui.blocks.block import Block
from coder.tui.lines import Line, Span, plain, wrap, wrap_text
from coder.tui.markdown import Markdown

MAX_TASK_ROWS = 12

BAR: Span = ("▌ ", "accent")


class Task(Block):
    """What the user asked; long ones fold."""

    gap = 1
    foldable = True

    def __init__(self, task: str) -> None:
        super().__init__()
        self.text = visible(task)

    def rows(self, width: int) -> list[Line]:
        rows = wrap_text(self.text, "bold text", width, BAR, BAR)
        if self.folded and len(rows) > MAX_TASK_ROWS:
            hidden = len(rows) - MAX_TASK_ROWS
            rows = [*rows[:MAX_TASK_ROWS], (BAR, (f"+{hidden} lines", "muted"))]
        return rows

    def estimate(self, width: int) -> int:
        return min(MAX_TASK_ROWS, _estimate(self.text, width - 2))


class Reply(Block):
    """The model's words, laid out as they come. `abandoned` says why they never became a reply."""

    gap = 1

    def __init__(self) -> None:
        super().__init__()
        self._markdown = Markdown()
        self.abandoned = ""

    @property
    def text(self) -> str:
        return self._markdown.text

    def feed(self, text: str) -> None:
        self._markdown.feed(visible(text))  # a CRLF cut in two shows a CR here; `replace` mends it

    def replace(self, text: str) -> None:
        """The whole reply; nothing happens where the pieces already made it."""
        if visible(text) != self._markdown.text:
            self._markdown = Markdown(visible(text))

    def rows(self, width: int) -> list[Line]:
        rows = self._markdown.rows(width)
        while rows and not plain(rows[-1]).strip():
            rows.pop()
        if not self.abandoned:
            return rows
        faded: list[Line] = [((plain(row), "faint"),) for row in rows]
        return [*faded, *wrap(((visible_line(self.abandoned, 300), "warn"),), width, ("↺ ", "warn"))]

    def estimate(self, width: int) -> int:
        return _estimate(self.text, width)


class Notice(Block):
    """Something the user should know."""

    def __init__(self, text: str, level: str = "info", hint: str = "") -> None:
        super().__init__()
        self.gap = 1 if level == "error" else 0
        self._level = level
        self._text = visible(text)
        self._hint = visible(hint)

    def rows(self, width: int) -> list[Line]:
        sign, style = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}.get(self._level, ("· ", "muted"))
        rows = wrap_text(self._text, style, width, (sign, style))
        if self._hint:
            rows += wrap_text(self._hint, "muted", width, ("  ", ""))
        return rows


class Ending(Block):
    """How the turn ended, with its price."""

    gap = 1

    def __init__(self, status: str, summary: str, price: str) -> None:
        super().__init__()
        self._status, self._price = visible_line(status), price
        self._summary = visible(summary).strip()

    def rows(self, width: int) -> list[Line]:
        style = {"done": "good", "unchanged": "muted", "interrupted": "warn"}.get(self._status, "bad")
        label = f" {self._status}{self._price and f' · {self._price}'} "
        rule = max(2, width - len(label) - 4)
        rows: list[Line] = [(("──", "faint"), (label, style), ("─" * rule, "faint"))]
        return rows if not self._summary else [*wrap_text(self._summary, "text", width), *rows]


def _estimate(text: str, width: int) -> int:
    room = max(1, width)
    return sum(1 + (len(line) - 1) // room if line else 1 for line in text.split("\n")) if text else 0
