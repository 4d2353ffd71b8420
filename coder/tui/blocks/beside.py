"""The blocks of what happens beside the turns: a side question with its answer, a command of the user's own."""

from coder.amounts import duration
from coder.text import visible, visible_line
from coder.tui.blocks.block import Block
from coder.tui.blocks.messages import Reply
from coder.tui.lines import Line, Span, wrap, wrap_text

TAIL_ROWS = 12
MAX_OUTPUT = 64_000


class Aside(Block):
    """A side question, and the answer as it comes."""

    gap = 1

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = visible(question)
        self._reply = Reply()
        self._state = "open"

    def feed(self, text: str) -> None:
        self._reply.feed(text)

    def finish(self, text: str) -> None:
        self._reply.replace(text)
        self._state = "done"

    def fail(self) -> None:
        self._state = "failed"

    def rows(self, width: int) -> list[Line]:
        sign: Span = {"open": ("○ ", "accent"), "failed": ("– ", "warn")}.get(self._state, ("? ", "accent"))
        rows = wrap_text(f"by the way: {self._question}", "muted", width, sign)
        return [*rows, *((("  ", ""), *row) for row in self._reply.rows(max(1, width - 2)))]


class OwnCommand(Block):
    """A command that the user typed: its last lines while it runs and after, all of them unfolded, and how it ended."""

    gap = 1
    foldable = True

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = visible_line(line)
        self._output = ""
        self._end: list[Span] = [("  asking, then running", "faint")]
        self._sign: Span = ("○ ", "accent")

    def feed(self, text: str) -> None:
        self._output = (self._output + visible(text))[-MAX_OUTPUT:]

    def finish(self, output: str, code: int | None, seconds: float, sandbox: str) -> None:
        self._output = visible(output)
        self._sign = ("✓ ", "good") if code == 0 else ("✗ ", "bad")
        words = "stopped" if code is None else f"exit {code}"
        where = f"  {words} · {duration(seconds)} · {visible_line(sandbox)}"
        self._end = [(where, "faint"), ("  the model is told with your next task", "faint")]

    def fail(self) -> None:
        self._sign, self._end = ("– ", "warn"), [("  did not run to its end", "faint")]

    def rows(self, width: int) -> list[Line]:
        lines = self._output.rstrip("\n").split("\n") if self._output.strip() else []
        hidden = max(0, len(lines) - TAIL_ROWS) if self.folded else 0
        rows = wrap(((f"$ {self._line}", "text"), *self._end), width, self._sign)
        if hidden:
            rows.append(((f"  +{hidden} lines", "faint"),))
        if lines:
            rows += wrap_text("\n".join(lines[hidden:]), "muted", width, ("  ", ""))
        return rows
