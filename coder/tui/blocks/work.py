"""The blocks of work: tool calls, drafts, small-model calls, the context plan. Each is one line that unfolds."""

from coder.amounts import count, money, tokens
from coder.events import DraftChanged, SubagentFinished, SubagentStarted, ToolFinished, ToolStarted
from coder.text import visible, visible_line
from coder.tui.blocks.block import Block
from coder.tui.lines import Line, Span, clip, wrap, wrap_text
from coder.values import ContextPlan, Usage

MAX_PATCH_ROWS = 400


def marked(sign: Span, parts: list[Span], width: int) -> Line:
    """One row: a sign and spans, clipped at `width`."""
    row: list[Span] = [(f"{sign[0]} ", sign[1])]
    room = width - 2
    for text, style in parts:
        if room <= 0:
            break
        row.append((clip(text, room), style))
        room -= len(text)
    return tuple(row)


class ToolCall(Block):
    """One call of a tool, from start to finish."""

    foldable = True

    def __init__(self, event: ToolStarted) -> None:
        super().__init__()
        self._name = visible_line(event.name, 60)
        self._asked = visible_line(event.summary)
        self._answer = ""
        self._sign: Span = ("○", "accent")

    def finish(self, event: ToolFinished) -> None:
        self._answer = visible(event.summary)
        self._sign = ("✓", "good") if event.ok else ("✗", "bad")

    def interrupt(self) -> None:
        if not self._answer and self._sign[0] == "○":
            self._sign, self._answer = ("–", "warn"), "interrupted"

    def rows(self, width: int) -> list[Line]:
        first, _, more = self._answer.partition("\n")
        parts: list[Span] = [(self._name, "text")]
        if self._asked:
            parts.append((f"  {self._asked}", "muted"))
        if first and first != self._asked:
            parts.append((f"  {first}", "bad" if self._sign[0] == "✗" else "faint"))
        if not self.folded:
            rows = wrap(tuple(parts), width, (f"{self._sign[0]} ", self._sign[1]))
            return rows + (wrap_text(more, "muted", width, ("  ", "")) if more else [])
        row = marked(self._sign, parts, width)
        return [row if not more else (*row, (f"  +{more.count(chr(10)) + 1} lines", "faint"))]

    def estimate(self, width: int) -> int:
        return 1


class Draft(Block):
    """An edit that landed in the draft; unfolded it is the patch."""

    foldable = True

    def __init__(self, event: DraftChanged) -> None:
        super().__init__()
        self._paths = tuple(visible_line(path) for path in event.paths)
        lines = event.patch.split(b"\n")
        self._added = sum(line.startswith(b"+") and not line.startswith(b"+++ ") for line in lines)
        self._removed = sum(line.startswith(b"-") and not line.startswith(b"--- ") for line in lines)
        self._patch = event.patch

    def rows(self, width: int) -> list[Line]:
        more = len(self._paths) - 4
        names = ", ".join(self._paths[:4]) + (f" and {count(more, 'file')} more" if more > 0 else "")
        parts: list[Span] = [
            ("draft", "text"),
            (f"  {names}", "muted"),
            (f"  +{self._added}", "good"),
            (f" −{self._removed}", "bad"),
        ]
        rows = [marked(("±", "accent"), parts, width)]
        return rows if self.folded else rows + self._patch_rows(width)

    def _patch_rows(self, width: int) -> list[Line]:
        lines = visible(self._patch.decode("utf-8", "surrogateescape")).rstrip("\n").split("\n")
        rows: list[Line] = []
        for line in lines[:MAX_PATCH_ROWS]:
            style = {"+": "added", "-": "removed", "@": "accent"}.get(line[:1], "muted")
            rows += wrap_text(line, f"text {style}", width, ("  ", ""))
        if len(lines) > MAX_PATCH_ROWS:
            rows.append(((f"  +{len(lines) - MAX_PATCH_ROWS} lines", "muted"),))
        return rows


class Subagents(Block):
    """All calls of one role within a step: a count that grows, not a line per call."""

    def __init__(self, role: str, model: str) -> None:
        super().__init__()
        self.role, self._model = visible_line(role, 40), visible_line(model, 60)
        self._open: dict[str, str] = {}
        self._failed = 0
        self._done = 0
        self._usage = Usage(role, model, requests=0)
        self._last = ""

    def start(self, event: SubagentStarted) -> None:
        self._open[event.id] = event.summary
        self._last = visible_line(event.summary)

    def finish(self, event: SubagentFinished) -> None:
        self._open.pop(event.id, None)
        self._done += 1
        self._failed += not event.ok
        if event.usage is not None:
            self._usage = self._usage.plus(event.usage)

    def interrupt(self) -> None:
        self._open.clear()

    def owns(self, identity: str) -> bool:
        return identity in self._open

    def rows(self, width: int) -> list[Line]:
        sign: Span = ("○", "accent") if self._open else ("✗", "bad") if self._failed else ("✓", "good")
        parts: list[Span] = [(self.role, "text"), (f"  {self._model}", "faint")]
        total = self._done + len(self._open)
        parts.append((f"  {self._last}" if total == 1 else f"  {self._done}/{total} calls", "muted"))
        if self._failed:
            parts.append((f"  {self._failed} failed", "bad"))
        if self._usage.requests:
            parts.append((f"  {tokens(self._usage.input_tokens)} tokens  {money(self._usage.usd)}", "faint"))
        return [marked(sign, parts, width)]


class Context(Block):
    """What the model sees of the repository, in one line; unfolded, the files by mode."""

    def __init__(self, plan: ContextPlan) -> None:
        super().__init__()
        modes = dict.fromkeys(("full", "part", "outline", "summary", "name"), 0)
        for entry in plan.entries:
            modes[entry.mode] += 1
        self._files = len(plan.entries)
        self._modes = ", ".join(f"{number} {mode}" for mode, number in modes.items() if number)
        self._size = f"{tokens(plan.total_tokens)} of {tokens(plan.budget)} tokens"
        self._withheld = len(plan.withheld)

    def rows(self, width: int) -> list[Line]:
        parts: list[Span] = [("context", "text"), (f"  {count(self._files, 'file')}", "muted")]
        if self._modes:
            parts.append((f": {self._modes}", "muted"))
        parts.append((f"  {self._size}", "faint"))
        if self._withheld:
            parts.append((f"  {self._withheld} withheld", "warn"))
        return [marked(("◇", "accent"), parts, width)]
