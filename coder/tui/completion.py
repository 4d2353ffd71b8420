"""Completions over the composer: `/` commands with their help, `@` files and declarations of the repository."""

import re
from collections.abc import Iterable, Sequence

from coder.text import visible_line
from coder.tui.lines import Line, Span, clip, clip_left
from coder.tui.row import RowsView

MAX_SHOWN = 7
_MENTION = re.compile(r"(?:^|\s)@([^\s@]*)$")
_COMMAND = re.compile(r"^/(\w*)$")


def best_paths(paths: Iterable[str], typed: str, limit: int = MAX_SHOWN) -> list[str]:
    """Paths that hold the letters of `typed` in order; those with them together and late in the path first."""
    typed = typed.lower()
    found: list[tuple[int, int, str]] = []
    for path in paths:
        low = path.lower()
        at = low.rfind(typed)
        if at >= 0:
            name = low.rfind("/") + 1
            found.append((0 if at == name else 1 if at > name else 2, len(path), path))
        elif _in_order(typed, low):
            found.append((3, len(path), path))
    return [path for _, _, path in sorted(found)[:limit]]


def _in_order(letters: str, text: str) -> bool:
    position = 0
    for letter in letters:
        position = text.find(letter, position) + 1
        if not position:
            return False
    return True


class Completions(RowsView):
    """The list, hidden while there is nothing to complete. `accept` gives what takes the typed word's place."""

    def __init__(self) -> None:
        super().__init__(self._lines, id="completions")
        self._choices: list[tuple[str, str]] = []  # insertion, help
        self._at = 0
        self._typed = ""
        self.past = False
        self.display = False

    def offer(self, text: str, commands: Sequence[tuple[str, str]]) -> str | None:
        """Offer the commands that fit the end of `text`, which is the composer's up to its cursor. What was typed
        after an `@` is given back: `offer_names` gets what is found of it."""
        mention = _MENTION.search(text)
        if command := _COMMAND.match(text):
            self._typed = text
            self._choices = [(f"/{name}", summary) for name, summary in commands if name.startswith(command[1])]
        elif mention is None:
            self._choices = []
        else:
            return mention[1]
        self._at = 0
        self._show()
        return None

    def offer_names(self, typed: str, choices: Sequence[tuple[str, str]]) -> None:
        """Offer what was found for the word `typed` after an `@`. The mark stays where the user moved it."""
        marked = self._choices[self._at] if self._choices else None
        self._typed, self._choices = f"@{typed}", list(choices)
        self._at = self._choices.index(marked) if self._at and marked in self._choices else 0
        self._show()

    def offer_past(self, entries: Sequence[str]) -> None:
        """Offer what was asked before, in place of all that is written."""
        self.past = True
        self._choices = [(entry, "") for entry in entries] or [("", "nothing that was asked holds this")]
        self._at = 0
        self._show()

    @property
    def chosen(self) -> str:
        return self._choices[self._at][0]

    def move(self, step: int) -> None:
        self._at = (self._at + step) % len(self._choices)
        self.remake()

    def accept(self) -> tuple[str, str]:
        """The word typed so far and what to put in its place."""
        choice = self._choices[self._at][0]
        typed = self._typed
        self.close()
        return typed, f"{choice} "

    def close(self) -> None:
        self.past = False
        self._choices = []
        self._show()

    def _show(self) -> None:
        self.display = bool(self._choices)
        self.styles.height = min(len(self._choices), MAX_SHOWN + 1)
        self.remake()

    def _lines(self, width: int) -> list[Line]:
        """The choices around the mark; below them, how many there are if these are not all."""
        rows: list[Line] = []
        count = len(self._choices)
        first = max(0, min(self._at - MAX_SHOWN // 2, count - MAX_SHOWN))
        for number, (insertion, words) in [*enumerate(self._choices)][first : first + MAX_SHOWN]:
            style = "bold accent" if number == self._at else "muted"
            name = (clip if self.past else clip_left)(visible_line(insertion), width - 2)
            row: list[Span] = [("› " if number == self._at else "  ", "accent"), (name, style)]
            if words:
                room = width - len(name) - 4
                row.append((f"  {clip(words, room)}" if room > 8 else "", "faint"))
            rows.append(tuple(row))
        if count > MAX_SHOWN:
            rows.append(((f"  {self._at + 1} of {count}", "faint"),))
        return rows
