"""The files of a proposal, by folder, with counts, decisions and protected marks."""

from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message

from coder.text import visible_line
from coder.tui.lines import Line, Span, clip, clip_left
from coder.tui.review.decisions import Decisions, Tally
from coder.tui.row import RowsView

KINDS = {"added": ("A", "good"), "deleted": ("D", "bad"), "renamed": ("R", "accent"), "modified": ("M", "muted")}


def state_of(tally: Tally) -> Span:
    """One sign for a file: all accepted, all rejected, partly decided, untouched."""
    if tally.undecided and not (tally.accepted or tally.rejected):
        return ("·", "faint")
    if tally.undecided:
        return ("◐", "accent")
    if not tally.rejected:
        return ("✓", "good")
    return ("✗", "bad") if not tally.accepted else ("±", "warn")


class FileList(RowsView, can_focus=False):
    """Click chooses a file; the review's keys move through it."""

    @dataclass
    class Chosen(Message):
        number: int

    def __init__(self, decisions: Decisions) -> None:
        super().__init__(self._lines, id="files")
        self._decisions = decisions
        self._numbers: list[int] = []
        self._sizes = [(file.added, file.removed) for file in decisions.proposal.files]  # counting them takes long
        self.current = 0

    def show(self, current: int) -> None:
        self.current = current
        self.remake()
        if current in self._numbers:
            at, top = self._numbers.index(current), self.scroll_offset.y
            height = self.scrollable_content_region.height
            if not top <= at < top + height:
                self.scroll_to(y=max(0, at - height // 2), animate=False, immediate=True)

    def _lines(self, width: int) -> list[Line]:
        rows: list[Line] = []
        self._numbers = []
        folder = None
        for number, file in enumerate(self._decisions.files):
            parent, _, name = visible_line(file.path).rpartition("/")
            if parent != folder:
                folder = parent
                if parent:
                    rows.append(((clip_left(f"{parent}/", width), "faint"),))
                    self._numbers.append(-1)
            rows.append(self._file(number, name, width, bool(parent)))
            self._numbers.append(number)
        return rows

    def _file(self, number: int, name: str, width: int, inside: bool) -> Line:
        file = self._decisions.proposal.files[number]
        tally = self._decisions.tally(number)
        kind, kind_style = KINDS[file.kind]
        added, removed = self._sizes[number]
        figures: list[Span] = [(f" +{added}", "good"), (f" −{removed}", "bad")]
        if file.protected:
            figures.insert(0, (" ! ", "alarm"))
        lead = "  " if inside else ""
        room = width - len(lead) - 4 - sum(len(text) for text, _ in figures)
        name = clip(name, room)
        row: list[Span] = [(lead, ""), state_of(tally), (" ", ""), (kind, kind_style), (" ", ""), (name, "text")]
        row += [(" " * max(0, room - cell_len(name)), ""), *figures]
        under = "cursor bold" if number == self.current else ""
        return tuple((text, f"{style} {under}".strip()) for text, style in row)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row a file and one a folder, without making them."""
        folders = [file.path.rpartition("/")[0] for file in self._decisions.proposal.files]
        changes = sum(bool(here) and here != before for before, here in pairwise(["", *folders]))
        return len(folders) + changes

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        if 0 <= y < len(self._numbers) and self._numbers[y] >= 0:
            self.post_message(self.Chosen(self._numbers[y]))
