"""Long pastes, each shown as one mark that stands for it until the text is sent, with a preview of its lines."""

from coder.text import visible, visible_line
from coder.tui.lines import Line, clip
from coder.tui.row import RowsView

FOLDED_LINES = 8  # a longer paste is folded
FIRST_LINES = 3  # of each paste in the preview, and its last


class Pastes(RowsView):
    """The pastes of the text being written; hidden where it holds none."""

    def __init__(self) -> None:
        super().__init__(self._lines, id="pastes")
        self._pastes: dict[str, str] = {}
        self._text = ""
        self.display = False

    def fold(self, text: str) -> str:
        """What is to be inserted for a paste: the text itself, or a mark that stands for it."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.removesuffix("\n").count("\n") + 1
        if lines <= FOLDED_LINES:
            return visible(text)
        mark = f"[pasted {lines} lines #{len(self._pastes) + 1}]"
        self._pastes[mark] = text
        return mark

    def unfold(self, text: str) -> str:
        """`text` with every mark replaced by what it stands for."""
        for mark, pasted in self._pastes.items():
            text = text.replace(mark, pasted)
        return text

    def forget(self) -> None:
        self._pastes.clear()
        self.show("")

    def show(self, text: str) -> None:
        """Preview the pastes that `text` still has a mark of."""
        self._text = text
        rows = len(self._lines(80)) if self._pastes else 0
        if rows or self.display:
            self.display = bool(rows)
            self.styles.height = rows
            self.remake()

    def _lines(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for mark, pasted in self._pastes.items():
            if mark not in self._text:
                continue
            lines = pasted.rstrip("\n").split("\n")
            shown = [*lines[:FIRST_LINES], f"… {len(lines) - FIRST_LINES - 1} more lines …", lines[-1]]
            rows.append(((clip(mark, width), "muted"),))
            rows += [((f"  {clip(visible_line(line, 400), width - 2)}", "faint"),) for line in shown]
        return rows
