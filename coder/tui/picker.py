"""One of several: by the arrow keys, or by typing a part of its name. Sessions, turns and themes are chosen so."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from msgspec import Struct
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from coder.text import visible_line
from coder.tui.keys import PICKER, bindings, hint
from coder.tui.lines import Line, clip
from coder.tui.row import QUESTION, Row, RowsView

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


NARROW = 48  # columns; below them the names need all the room


class Offer(Struct, frozen=True):
    """One of the choices: what is given back, how it is called, and a word about it. All are made visible here."""

    value: str
    name: str
    words: str = ""


class Foot(Row):
    """What has been typed, and the keys."""

    def __init__(self) -> None:
        super().__init__(id="choice")
        self.typed = ""

    def line(self, width: int) -> Line:
        typed = ((f"{self.typed}▏  ", "text"),) if self.typed else ()
        remapped = cast("CoderApp", self.app).keys
        (take, _), (leave, _) = hint(["picker.take"], "", remapped), hint(["picker.leave"], "", remapped)
        return (*typed, (f"{take} chooses  {leave} leaves  typing narrows", "faint"))


class Picker(ModalScreen[str]):
    """`marked` is told each choice that the mark comes to; Esc gives None."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PICKER)

    def __init__(
        self, title: str, offers: Sequence[Offer], at: str = "", marked: Callable[[str], None] | None = None
    ) -> None:
        super().__init__()
        self._title, self._offers, self._shown = title, tuple(offers), tuple(offers)
        self._at = next((place for place, offer in enumerate(offers) if offer.value == at), 0)
        self._marked = marked
        self._foot = Foot()

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield RowsView(self._heading, id="title")
            yield RowsView(self._rows, id="words", share=QUESTION)
            yield self._foot

    def on_mount(self) -> None:
        self.call_after_refresh(self._in_sight)

    def _heading(self, width: int) -> list[Line]:
        return [((clip(visible_line(self._title), width), "bold text"),), (("", ""),)]

    def _rows(self, width: int) -> list[Line]:
        if not self._shown:
            return [(("nothing has this in its name", "muted"),)]
        beside = 0 if width < NARROW else min(max(len(offer.words) for offer in self._offers), width // 2)
        lead = min(max(len(offer.name) for offer in self._offers), max(8, width - beside - 4))
        rows: list[Line] = []
        for place, offer in enumerate(self._shown):
            name = clip(visible_line(offer.name), lead).ljust(lead)
            style = "bold accent" if place == self._at else "text"
            words = clip(visible_line(offer.words), width - lead - 4) if beside else ""
            rows.append((("› " if place == self._at else "  ", "accent"), (name, style), (f"  {words}", "muted")))
        return rows

    def action_move(self, step: int) -> None:
        if self._shown:
            self._at = max(0, min(self._at + step, len(self._shown) - 1))
            self._renew()

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character:
            event.stop()
            self._narrow(self._foot.typed + event.character)

    def action_erase(self) -> None:
        self._narrow(self._foot.typed[:-1])

    def _narrow(self, typed: str) -> None:
        self._foot.typed = typed
        words = typed.lower().split()
        self._shown = tuple(
            offer for offer in self._offers if all(word in f"{offer.name} {offer.words}".lower() for word in words)
        )
        self._at = 0
        self._foot.refresh()
        self._renew()

    def _renew(self) -> None:
        view = self.query_one("#words", RowsView)
        view.remake()
        self._in_sight()
        if self._marked is not None and self._shown:
            self._marked(self._shown[self._at].value)

    def _in_sight(self) -> None:
        view = self.query_one("#words", RowsView)
        top, height = view.scroll_offset.y, max(1, view.scrollable_content_region.height)
        if not top <= self._at < top + height:
            view.scroll_to(y=max(0, self._at - height // 2), animate=False)

    def action_take(self) -> None:
        if self._shown:
            self.dismiss(self._shown[self._at].value)

    def action_leave(self) -> None:
        self.dismiss(None)
