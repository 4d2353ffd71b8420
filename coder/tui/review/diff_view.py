"""The diff on the screen: rows drawn when they come into sight, a cursor on one hunk, decisions beside the lines."""

from bisect import bisect_left
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from coder.text import visible
from coder.tui.highlight import language_of
from coder.tui.lines import Line, LineView, Span, clip, clip_left, plain
from coder.tui.review.colours import CHUNK, colour
from coder.tui.review.decisions import Decisions, Place
from coder.tui.review.diff_text import LONG_LINE, DiffLine, DiffRow, FileText, fold, layout
from coder.tui.review.search import Hit, marked, next_hit

NAMED_COLUMNS = 50  # below this a path needs the room of the word for what was done to it
BESIDE_COLUMNS = 70  # below this there is no room for two sides
MARKS = {"accepted": ("✓", "good"), "rejected": ("✗", "bad"), "undecided": ("▌", "faint")}


class DiffView(LineView, can_focus=True):
    """All files of a proposal one below the other. Tells `Moved` when the cursor goes to another hunk."""

    @dataclass
    class Moved(Message):
        place: Place

    def __init__(self, files: list[FileText], decisions: Decisions) -> None:
        super().__init__(id="diff")
        self._files, self._decisions = files, decisions
        self._rows: list[DiffRow] = []
        # What the rows were made for; between a resize and the next layout the widget is painted at another width.
        self._width = self._room = 1
        self._wide, self._split = True, False
        last = max((hunk.new_start + hunk.new_lines for file in files for hunk in file.diff.hunks), default=1)
        self._digits = max(2, len(str(last)))
        self._tops: dict[Place, int] = {}
        self._order: list[Place] = []
        self._colours: dict[tuple[int, int, int], list[Line]] = {}
        self._lines: dict[int, Line] = {}
        self.cursor: Place = (0, 0)
        self._found = ""
        self._hit: Hit = (0, 0, -1)
        self.whole = False
        self.undecided_only = False
        self.beside = False
        self.painted = False

    # ── layout ──

    def lay_out(self) -> None:
        """Make the rows again: another width, filter or comment. The cursor's hunk stays where it was on the screen."""
        width = self.content_width
        if width <= 0:
            return
        offset = self._tops.get(self.cursor, 0) - self.scroll_offset.y
        self._width, self._wide = width, width >= 64
        self._split = self.beside and width >= BESIDE_COLUMNS
        gutter = 4 + self._digits * (2 if self._wide else 1) + (1 if self._wide else 0)
        self._room = (width - 2) // 2 - self._digits - 4 if self._split else max(8, width - gutter - 1)
        self._rows = layout(
            self._files,
            self._room,
            whole=self.whole,
            split=self._split,
            shows=self._shows,
            comments=lambda file, hunk: self._decisions.comment((file, hunk)),
        )
        self._tops = {(row.file, row.hunk): at for at, row in enumerate(self._rows) if row.kind == "hunk"}
        self._order = list(self._tops)
        self.redraw()
        self.virtual_size = Size(width, len(self._rows))
        if self._tops.get(self.cursor) is not None:
            self.scroll_to(y=self._tops[self.cursor] - offset, animate=False, immediate=True)

    def _shows(self, file: int, hunk: int) -> bool:
        """Whether the filter lets a hunk through; the one under the cursor always stays."""
        place = (file, hunk)
        return not self.undecided_only or place == self.cursor or self._decisions.mark(place) == "undecided"

    def turn_beside(self) -> bool:
        """Old and new beside each other, or below each other again. Whether there is room for what was asked."""
        self.beside = not self.beside
        self.lay_out()
        return self._split == self.beside

    def rewritten(self) -> None:
        """Hunks have other lines than before."""
        self._colours.clear()
        self.lay_out()

    def widen(self, by: int) -> bool:
        """More or fewer of the lines around the cursor's hunk; whether there were any."""
        number, hunk = self.cursor
        file = self._files[number]
        if hunk >= len(file.diff.hunks) or not file.widen(hunk, by):
            return False
        self.rewritten()
        return True

    def redraw(self) -> None:
        self._lines.clear()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out()
        self._bring_into_sight(self.cursor, resized=True)  # a lower view may have lost it

    def row_count(self) -> int:
        return len(self._rows)

    # ── moving ──

    def go(self, place: Place) -> None:
        """Put the cursor on a hunk and bring as much of it into sight as fits."""
        if place not in self._tops:
            return
        self.cursor = place
        self.redraw()
        self._bring_into_sight(place)
        self.post_message(self.Moved(place))

    def _bring_into_sight(self, place: Place, resized: bool = False) -> None:
        if place not in self._tops:
            return
        top = self._tops[place]
        if self._order and place == self._order[0]:
            top = 0
        elif place[1] == 0 or self._first_of(place[0]) == place:
            top -= 1 + len(self._files[place[0]].notes)
        else:
            top -= 1  # below the row that names the file
        height = self.scrollable_content_region.height
        last = bisect_left(self._order, place) + 1
        end = self._tops[self._order[last]] if last < len(self._order) else len(self._rows)
        seen = self.scroll_offset.y
        inside = resized and top <= seen < end and end - top > height  # somebody reads a hunk that never fits
        if not inside and not (seen <= top and end <= seen + height):
            self.scroll_to(y=max(0, top), animate=False, immediate=True)

    def _first_of(self, file: int) -> Place | None:
        return next((place for place in self._order if place[0] == file), None)

    def step(self, by: int) -> None:
        """The cursor `by` hunks further."""
        if self._order:
            at = bisect_left(self._order, self.cursor)
            self.go(self._order[min(max(0, at + by), len(self._order) - 1)])

    def step_file(self, by: int) -> None:
        files = sorted({place[0] for place in self._order})
        if files:
            at = bisect_left(files, self.cursor[0])
            first = self._first_of(files[min(max(0, at + by), len(files) - 1)])
            if first is not None:
                self.go(first)

    def scroll_rows(self, rows: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False, immediate=True)

    def find(self, text: str) -> bool:
        """Go to the next line or path that holds `text`, below the last one found or in the cursor's hunk, and mark all
        of them. Empty text unmarks them."""
        again = text == self._found and self._hit[:2] == self.cursor
        hit = next_hit(self._files, self._order, self._hit if again else (*self.cursor, -1), text) if text else None
        self._found = text if hit else ""
        self.redraw()
        if hit is None:
            return False
        self._hit = hit
        self.go(hit[:2])
        self._bring_line_into_sight(hit)
        return True

    def _bring_line_into_sight(self, hit: Hit) -> None:
        height = self.scrollable_content_region.height
        for at in range(self._tops[hit[:2]], len(self._rows)):
            row = self._rows[at]
            if row.kind in ("line", "pair") and hit[2] in (row.line, row.other):
                if not self.scroll_offset.y < at < self.scroll_offset.y + height:
                    self.scroll_to(y=max(0, at - height // 2), animate=False, immediate=True)
                return

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        if 0 <= y < len(self._rows) and self.text_selection is None:
            row = self._rows[y]
            place = (row.file, row.hunk) if row.hunk >= 0 else self._first_of(row.file)
            if place is not None and place in self._tops:
                self.cursor = place
                self.redraw()
                self.post_message(self.Moved(place))

    # ── drawing ──

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows in sight; where a file's own row is above them, it stands in place of the first."""
        strips = super().render_lines(crop)
        top = self.scroll_offset.y
        if crop.y == 0 and strips and 0 < top < len(self._rows):
            row = self._rows[top]
            if row.kind not in ("gap", "file") and row.file >= 0:
                strips[0] = self._draw(self._file_line(row.file, self._width)).crop(*crop.column_span)
        return strips

    def line_at(self, y: int) -> Line:
        self.painted = True
        line = self._lines.get(y)
        if line is None:
            line = self._lines[y] = self._line_of(self._rows[y])
        return line

    def _line_of(self, row: DiffRow) -> Line:
        width = self._width
        file = self._files[row.file]
        match row.kind:
            case "gap":
                return (("", ""),)
            case "file":
                return self._file_line(row.file, width)
            case "note":
                words, style = file.notes[row.line]
                return (("  ", ""), (clip(f" {words} ", width - 2), style))
            case "comment":
                words = visible(self._decisions.comment((row.file, row.hunk))).replace("\n", " ")
                return (("  ▸ ", "accent"), (clip(words, width - 4), "italic accent"))
            case "hunk":
                return self._hunk_line(row, width)
            case "pair":
                return self._pair_line(row, file)
            case _:
                return self._code_line(row, file.lines(row.hunk)[row.line], width)

    def _file_line(self, number: int, width: int) -> Line:
        file = self._files[number]
        figures: list[Span] = [(f" +{file.diff.added}", "good panel"), (f" −{file.diff.removed} ", "bad panel")]
        kind: Span = (f" {file.diff.kind}" if width >= NAMED_COLUMNS else "", "muted panel")
        room = width - 2 - sum(len(text) for text, _ in (*figures, kind))
        title = clip_left(file.title, room)
        gap = " " * max(0, room - cell_len(title))
        return ((" ", "panel"), (title, "bold text panel"), kind, (gap, "panel"), *figures, (" ", "panel"))

    def _hunk_line(self, row: DiffRow, width: int) -> Line:
        place = (row.file, row.hunk)
        mark = self._decisions.mark(place)
        sign, style = MARKS[mark]
        here = place == self.cursor
        file = self._files[row.file].diff
        where = "whole file"
        edited = row.hunk in self._files[row.file].edited
        if row.hunk < len(file.hunks):
            hunk = self._files[row.file].hunk(row.hunk)
            section = visible(hunk.section.decode("utf-8", "surrogateescape")).replace("\n", " ").replace("\t", " ")
            where = f"@@ −{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines} {section}".rstrip()
        words = f"{'edited, ' if edited else ''}{mark}" if mark != "undecided" else "edited" if edited else ""
        label = f" {words} {row.hunk + 1}/{max(1, len(file.hunks))}  "
        room = width - 2 - len(label)
        where = clip(where, room)
        under = " cursor" if here else ""
        return (
            ("▶" if here else sign, f"{'accent' if here else style}{under}"),
            (f" {where}{' ' * max(0, room - cell_len(where))}", f"{'bold text' if here else 'accent'}{under}"),
            (label, f"{style if mark != 'undecided' else 'faint'}{under}"),
        )

    def _code_line(self, row: DiffRow, line: DiffLine, width: int) -> Line:
        edge = self._edge((row.file, row.hunk))
        if row.part == -1:
            more = f"+{line.columns - LONG_LINE:,} columns"
            return (edge, (" " * (width - self._room - 2), ""), (f"  {more} ", "alarm"))
        under = {"+": "added", "-": "removed"}.get(line.sign, "")
        room = self._room
        folds = fold(line.text, line.columns, room, self.whole)
        start, end = folds[row.part]
        digits = self._digits
        old, new = (str(number) if number and not row.part else "" for number in (line.old, line.new))
        numbers = f"{old:>{digits}} {new:>{digits}} " if self._wide else f"{new or old:>{digits}} "
        head = (line.sign if line.sign != "\\" else " ") if not row.part else "↳"
        ink = {"+": "good", "-": "bad"}.get(line.sign, "faint")
        spans = _slice(self._coloured(row.file, row.hunk, row.line), start, end)
        fill = " " * max(0, room - cell_len(plain(spans)))
        return (
            edge,
            (f" {numbers}", f"faint {under}".rstrip()),
            (f"{head} ", f"{ink} {under}".rstrip()),
            *spans,
            (fill, under),
        )

    def _pair_line(self, row: DiffRow, file: FileText) -> Line:
        """The old side and the new one, each with its own number."""
        old, new = self._half(row, file, row.line, old=True), self._half(row, file, row.other, old=False)
        fill = " " * max(0, self._width - 2 - 2 * (self._room + self._digits + 4))
        return (self._edge((row.file, row.hunk)), *old, ("│", "faint"), *new, (fill, ""))

    def _half(self, row: DiffRow, file: FileText, at: int, *, old: bool) -> Line:
        room, digits = self._room, self._digits
        line = file.lines(row.hunk)[at] if at >= 0 else None
        folds = [] if line is None else fold(line.text, line.columns, room, self.whole)
        if line is None or row.part >= len(folds):
            return ((" " * (room + digits + 4), ""),)
        number = 0 if row.part else line.old if old else line.new
        sign = "↳" if row.part else " " if line.sign == "\\" else line.sign
        under = {"+": "added", "-": "removed"}.get(line.sign, "")
        ink = {"+": "good", "-": "bad"}.get(line.sign, "faint")
        spans = _slice(self._coloured(row.file, row.hunk, at), *folds[row.part])
        fill = " " * max(0, room - cell_len(plain(spans)))
        return (
            (f" {number or '':>{digits}} ", f"faint {under}".rstrip()),
            (f"{sign} ", f"{ink} {under}".rstrip()),
            *spans,
            (fill, under),
        )

    def _edge(self, place: Place) -> Span:
        """The leftmost column of a hunk's lines: where the cursor is, or what was decided."""
        if place == self.cursor:
            return ("┃", "accent")
        return ("│", MARKS[self._decisions.mark(place)][1])

    def _coloured(self, number: int, hunk: int, at: int) -> Line:
        """A line's spans; its neighbours in a chunk of the hunk are coloured with it."""
        key = (number, hunk, at // CHUNK)
        chunk = self._colours.get(key)
        if chunk is None:
            file = self._files[number]
            start = key[2] * CHUNK
            lines = file.lines(hunk)[start : start + CHUNK]
            chunk = self._colours[key] = colour(lines, language_of(file.diff.path))
        line = chunk[at % CHUNK]
        return marked(line, self._found) if self._found else line


def _slice(line: Line, start: int, end: int) -> Line:
    """The characters from `start` to `end` of a line."""
    spans: list[Span] = []
    position = 0
    for text, style in line:
        first, last = max(start, position), min(end, position + len(text))
        if first < last:
            spans.append((text[first - position : last - position], style))
        position += len(text)
    return tuple(spans)
