"""Markdown as a model writes it, line by line, so that a streamed reply never has to be laid out again from its start.

Takes text that is already visible. Links are shown as text and address: nothing here can be clicked.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from coder.tui.highlight import highlight_lines
from coder.tui.lines import Line, Span, expand_tabs, plain, wrap
from coder.tui.table import Side, table_rows

_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})\s*([\w+#.-]*)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"^(\s*)([-*+]|\d{1,4}[.)])\s+(\[[ xX]\]\s+)?(.*)$")
_QUOTE = re.compile(r"^\s{0,3}>\s?(.*)$")
_RULE = re.compile(r"^\s{0,3}([-*_])(\s*\1){2,}\s*$")
_BETWEEN = re.compile(r"(?<!\\)\|")  # cells
_SIDES = re.compile(r"^\s*\|(\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*$")
MAX_TABLE = 200  # rows that are kept in columns
_INLINE = re.compile(
    r"(?P<code>`{1,2})(?P<code_text>[^`]+?)(?P=code)"
    r"|\*\*(?P<bold>[^*\n]{1,500}?)\*\*"
    r"|(?<![\w*])\*(?P<italic>[^*\s][^*\n]{0,500}?)\*(?!\w)"
    r"|~~(?P<strike>[^~\n]{1,500}?)~~"
    r"|\[(?P<link>[^\]\n]{1,300})\]\((?P<url>[^)\s]{1,500})\)"
)


def inline(text: str, style: str = "text") -> list[Span]:
    """`code`, **bold**, *italic*, ~~struck~~ and [text](address) of one line as spans."""
    spans: list[Span] = []
    position = 0
    for match in _INLINE.finditer(text):
        if match.start() > position:
            spans.append((text[position : match.start()], style))
        if match["code"]:
            spans.append((match["code_text"], f"{style} code"))
        elif match["link"]:
            spans.append((match["link"], f"{style} underline"))
            if match["url"] != match["link"]:
                spans.append((f" ({match['url']})", "muted"))
        else:
            kind = next(name for name in ("bold", "italic", "strike") if match[name])
            spans.append((match[kind], f"{style} {kind}"))
        position = match.end()
    if position < len(text):
        spans.append((text[position:], style))
    return spans or [("", style)]


@lru_cache(MAX_TABLE)
def _cells(line: str, style: str = "text") -> tuple[Line, ...]:
    """What stands between the bars of a line."""
    cells = _BETWEEN.split(line.strip().removeprefix("|"))
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return tuple(tuple(inline(expand_tabs(cell).strip().replace("\\|", "|"), style)) for cell in cells)


def _side(marks: str) -> Side:
    return "middle" if marks[:1] == marks[-1:] == ":" else "right" if marks[-1:] == ":" else "left"


@dataclass
class Markdown:
    """A growing text and the rows of its finished lines at one width."""

    text: str = ""
    _width: int = 0
    _done: int = 0  # characters of `text` whose rows are in `_rows`
    _rows: list[Line] = field(default_factory=list)
    _fence: str = ""  # the closing mark while inside a code block
    _language: str = ""
    _table: list[str] = field(default_factory=list)  # lines with bars at the end of what is done, not in `_rows` yet

    def feed(self, text: str) -> None:
        self.text += text

    def rows(self, width: int) -> list[Line]:
        """All rows at `width`; what was laid out at the same width before is kept."""
        if width != self._width:
            self._width, self._done, self._fence, self._language = width, 0, "", ""
            self._rows, self._table = [], []
        end = self.text.rfind("\n", self._done) + 1
        if end > self._done:
            self._lay_out(self.text[self._done : end - 1].split("\n"))
            self._done = end
        tail = self.text[self._done :]
        table = self._table
        if table and tail.rstrip().endswith("|"):  # a row is in its columns as soon as it is whole
            table, tail = [*table, tail], ""
        rows = [*self._rows, *self._columns(table)]
        return [*rows, *self._line(tail, closing=False)] if tail else rows

    def _lay_out(self, lines: list[str]) -> None:
        """Whole lines; the body of a code block at once, so that its colours know their surroundings."""
        position = 0
        while position < len(lines):
            end = position
            while self._fence and end < len(lines) and not self._closes(lines[end]):
                end += 1
            if end > position:
                self._rows += self._code(lines[position:end])
                position = end
                continue
            if not self._fence and lines[position].lstrip().startswith("|") and len(self._table) < MAX_TABLE:
                self._table.append(lines[position])
            else:
                self._rows += self._columns(self._table)
                self._table = []
                self._rows += self._line(lines[position], closing=True)
            position += 1

    def _columns(self, lines: list[str]) -> list[Line]:
        """Lines with bars as the table that they are, or as they are."""
        rows = None
        if len(lines) > 1 and _SIDES.match(lines[1]):
            cells = [_cells(lines[0], "bold text"), *map(_cells, lines[2:])]
            rows = table_rows(cells, [_side(plain(cell)) for cell in _cells(lines[1])], self._width)
        return rows or [row for line in lines for row in self._prose(expand_tabs(line))]

    def _closes(self, line: str) -> bool:
        return line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0])

    def _code(self, lines: list[str]) -> list[Line]:
        rows: list[Line] = []
        for line in highlight_lines([expand_tabs(line) for line in lines], self._language):
            rows += wrap(line, self._width, ("  ", ""))
        return rows

    def _line(self, line: str, closing: bool) -> list[Line]:
        """One line; only with `closing` (it is whole) may it open or close a code block."""
        if self._fence:
            if self._closes(line):
                self._fence = "" if closing else self._fence
                return []
            return self._code([line])
        fence = _FENCE.match(line)
        if fence:
            if closing:
                self._fence, self._language = fence[1], fence[2].lower()
            return []
        return self._prose(expand_tabs(line))

    def _prose(self, line: str) -> list[Line]:
        width = self._width
        if not line.strip():
            return [(("", ""),)]
        if heading := _HEADING.match(line):
            style = "bold accent" if len(heading[1]) <= 2 else "bold text"
            return wrap(inline(heading[2], style), width)
        if _RULE.match(line):
            return [(("─" * min(width, 40), "faint"),)]
        if item := _ITEM.match(line):
            mark = "•" if item[2] in "-*+" else item[2]
            box = {"": "", "[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}.get(item[3] or "", item[3] or "")
            lead = f"{item[1][:20]}{mark} {box}"
            return wrap(inline(item[4]), width, (lead, "muted"))
        if quote := _QUOTE.match(line):
            return wrap(inline(quote[1], "muted"), width, ("▎ ", "faint"), ("▎ ", "faint"))
        return wrap(inline(line), width)
