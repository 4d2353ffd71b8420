"""The side panel: one page at a time beside the conversation, or over it where the screen is narrow."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from coder.tui.facts import Facts
from coder.tui.keys import PANEL, bindings, hint
from coder.tui.lines import Line
from coder.tui.panels import pages
from coder.tui.row import Row, RowsView
from coder.tui.status import Part, fit, join

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

PAGES = ("context", "plan", "tests", "agents", "cost")


class Tabs(Row):
    """The names of the pages, the open one marked."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self.open = PAGES[0]

    def line(self, width: int) -> Line:
        return tuple(
            span for page in PAGES for span in ((page, "bold accent" if page == self.open else "faint"), ("  ", ""))
        )

    def on_click(self, event: events.Click) -> None:
        start = 0
        for page in PAGES:
            if start <= event.x < start + len(page) + 2:
                self.post_message(Side.Turned(page))
            start += len(page) + 2


class Page(RowsView, can_focus=True):
    """The rows of the open page. On the context page a row can be marked, pinned and dropped; the marked one says why
    it is there, and its price."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PANEL)

    def __init__(self, facts: Facts) -> None:
        super().__init__(self._page_rows, id="page")
        self._facts = facts
        self.page = PAGES[0]
        self._at = -1

    def _page_rows(self, width: int) -> list[Line]:
        match self.page:
            case "context":
                rows = pages.context_rows(self._facts, width)
            case "plan":
                rows = pages.plan_rows(self._facts, width)
            case "tests":
                rows = pages.tests_rows(self._facts, width)
            case "agents":
                rows = pages.agents_rows(self._facts, width)
            case _:
                rows = pages.cost_rows(self._facts, width)
        if 0 <= self._at < len(self._paths()) and self.has_focus:
            rows[self._at] = tuple((text, f"{style} cursor".strip()) for text, style in rows[self._at])
            rows[self._at + 1 : self._at + 1] = pages.file_rows(self._facts, self._paths()[self._at], width)
        return rows

    def _paths(self) -> list[str]:
        return pages.context_paths(self._facts) if self.page == "context" else []

    def action_mark(self, step: int) -> None:
        at, paths = self._at + step, self._paths()
        while 0 <= at < len(paths) and not paths[at]:
            at += step
        if not 0 <= at < len(paths):
            self.scroll_relative(y=step, animate=False)
            return
        self._at = at
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if not top <= at < top + height:
            self.scroll_to(y=at - height // 2, animate=False)
        self.remake()

    def action_scroll_page(self, pages: int) -> None:
        self.scroll_relative(y=pages * max(1, self.scrollable_content_region.height - 1), animate=False)

    def action_choose(self, what: Literal["pin", "drop"]) -> None:
        paths = self._paths()
        if 0 <= self._at < len(paths) and paths[self._at]:
            self.post_message(Side.Chosen(paths[self._at], what))

    def action_next_page(self) -> None:
        self.post_message(Side.Turned(PAGES[(PAGES.index(self.page) + 1) % len(PAGES)]))

    def on_focus(self) -> None:
        self.remake()

    def on_blur(self) -> None:
        self.remake()


class PageHints(Row):
    """What the keys do on the open page."""

    def __init__(self, page: Page) -> None:
        super().__init__(id="page-hints")
        self._page = page

    def line(self, width: int) -> Line:
        keys = cast("CoderApp", self.app).keys
        on_files = [hint(["panel.pin"], "pin", keys), hint(["panel.drop"], "drop", keys)]
        if not self._page.has_focus:
            pairs = [("Tab", "choose here")]
        else:
            pairs = [*(on_files if self._page.page == "context" else []), hint(["panel.next"], "next", keys)]
        parts: list[Part] = [
            (rank, [(key, "text"), (f" {words}", "faint")])
            for rank, (key, words) in enumerate([*pairs, hint(["app.interrupt"], "close", keys)])
        ]
        return tuple(join(fit(parts, width, "   "), "   "))


class Side(Vertical):
    """Hidden until asked for. `turn` goes through the pages and closes after the last."""

    @dataclass
    class Turned(Message):
        page: str

    @dataclass
    class Chosen(Message):
        """The user wants a file in full in the window, or out of it."""

        path: str
        what: Literal["pin", "drop"]

    def __init__(self, facts: Facts) -> None:
        super().__init__(id="side")
        self._tabs, self._page = Tabs(), Page(facts)
        self.display = False

    def compose(self) -> ComposeResult:
        yield self._tabs
        yield self._page
        yield PageHints(self._page)

    def on_descendant_focus(self) -> None:
        self.query_one(PageHints).refresh()

    def on_descendant_blur(self) -> None:
        self.query_one(PageHints).refresh()

    def open(self, page: str) -> None:
        self._show(True)
        self._tabs.open = self._page.page = page
        self._page.scroll_home(animate=False)
        self._tabs.refresh()
        self.query_one(PageHints).refresh()
        self._page.remake()

    def close(self) -> None:
        self._show(False)

    def _show(self, shown: bool) -> None:
        self.display = shown
        self.screen.set_class(shown, "-side-open")  # a narrow screen then hides the conversation

    def turn(self) -> None:
        if not self.display:
            self.open(PAGES[0])
        elif self._page.page == PAGES[-1]:
            self.close()
        else:
            self.open(PAGES[PAGES.index(self._page.page) + 1])

    def update(self) -> None:
        """The facts changed."""
        if self.display:
            self._page.remake()

    def on_side_turned(self, message: Turned) -> None:
        self.open(message.page)
