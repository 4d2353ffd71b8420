"""The files of a proposal, by folder, with counts, decisions, failing tests and a mark where something is loud."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message

from coder.text import visible_line
from coder.tui.lines import Line, Span, clip, clip_left
from coder.tui.review.decisions import Decisions, Tally
from coder.tui.review.diff_text import FileText
from coder.tui.row import RowsView
from coder.values import Proposal

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


def failing_in(proposal: Proposal) -> Counter[str]:
    """How many of the new failures are in, or are traced to, each file."""
    new = set(proposal.evidence.new_failures)
    places: dict[str, set[str]] = {}
    for report in proposal.evidence.reports:
        for failure in report.failures:
            if failure.name in new and failure.file:
                places.setdefault(failure.file, set()).add(failure.name)
    for card in proposal.triage:
        for path, _ in card.locations:
            places.setdefault(path, set()).update(new.intersection(card.tests))
    return Counter({path: len(names) for path, names in places.items()})


class FileList(RowsView, can_focus=False):
    """Click chooses a file; the review's keys move through it. A row is made when it is painted."""

    @dataclass
    class Chosen(Message):
        number: int

    def __init__(self, decisions: Decisions, texts: Sequence[FileText]) -> None:
        super().__init__(lambda width: [], id="files")
        self._decisions, self._texts = decisions, texts
        files = decisions.proposal.files
        self._sizes = [(file.added, file.removed) for file in files]  # counting them takes long
        self._failing = failing_in(decisions.proposal)
        self._rows: list[int | str] = []  # the position of a file, or a folder
        for number, file in enumerate(files):
            folder = file.path.rpartition("/")[0]
            if folder and (not number or folder != files[number - 1].path.rpartition("/")[0]):
                self._rows.append(folder)
            self._rows.append(number)
        self.current = 0

    def show(self, current: int) -> None:
        self.current = current
        self.remake()
        at, top = self._rows.index(current), self.scroll_offset.y
        height = self.scrollable_content_region.height
        if not top <= at < top + height:
            self.scroll_to(y=max(0, at - height // 2), animate=False, immediate=True)

    def remake(self) -> None:
        self.virtual_size = Size(self.content_width, len(self._rows))
        self.refresh()

    def row_count(self) -> int:
        return len(self._rows)

    def line_at(self, y: int) -> Line:
        row, width = self._rows[y], self.content_width
        if isinstance(row, str):
            return ((clip_left(f"{visible_line(row)}/", width), "faint"),)
        return self._file(row, width)

    def _file(self, number: int, width: int) -> Line:
        file = self._decisions.files[number]
        kind, kind_style = KINDS[file.kind]
        added, removed = self._sizes[number]
        figures: list[Span] = [(f" +{added}", "good"), (f" −{removed}", "bad")]
        if failing := self._failing[file.path]:
            figures.insert(0, (f" {failing} failing", "bad"))
        if any(style == "alarm" for _, style in self._texts[number].notes):
            figures.insert(0, (" ! ", "alarm"))
        folder, _, name = visible_line(file.path).rpartition("/")
        lead = "  " if folder else ""
        room = width - len(lead) - 4 - sum(len(text) for text, _ in figures)
        name = clip(name, room)
        row: list[Span] = [(lead, ""), state_of(self._decisions.tally(number)), (" ", ""), (kind, kind_style)]
        row += [(" ", ""), (name, "text"), (" " * max(0, room - cell_len(name)), ""), *figures]
        under = "cursor bold" if number == self.current else ""
        return tuple((text, style if style == "alarm" else f"{style} {under}".strip()) for text, style in row)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows)

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        row = self._rows[y] if 0 <= y < len(self._rows) else ""
        if isinstance(row, int):
            self.post_message(self.Chosen(row))
