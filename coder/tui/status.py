"""The rows at the foot of the screen: what runs, where we are and what it costs, and the keys."""

import time
from collections.abc import Callable, Sequence

from rich.cells import cell_len

from coder.amounts import duration, money, share, tokens
from coder.text import visible_line
from coder.tui.door import ScreenOptions
from coder.tui.facts import Facts
from coder.tui.lines import Line, Span, clip, clip_left
from coder.tui.row import Row

Part = tuple[int, list[Span]]  # rank (0 stays longest) and what it shows


def fit(parts: Sequence[Part], width: int, gap: str = "  ") -> list[Part]:
    """The parts that fit into `width` cells, the highest ranks left out first; the order is kept."""
    kept = list(parts)

    def size() -> int:
        return sum(cell_len(text) for _, spans in kept for text, _ in spans) + len(gap) * max(0, len(kept) - 1)

    while len(kept) > 1 and size() > width:
        kept.remove(max(kept, key=lambda part: part[0]))
    return kept


def join(parts: Sequence[Part], gap: str = "  ") -> list[Span]:
    return [span for number, (_, spans) in enumerate(parts) for span in ([(gap, "")] if number else []) + spans]


class Status(Row):
    """Repository, branch, model, plan mode, sandbox; context used of the cap, cached share, price and limit."""

    def __init__(self, facts: Facts, options: ScreenOptions) -> None:
        super().__init__(id="status")
        self._facts, self._options = facts, options

    def line(self, width: int) -> Line:
        facts, options = self._facts, self._options
        name = visible_line((facts.root or options.root).rstrip("/").rpartition("/")[2])
        branch = visible_line(facts.branch or options.branch)
        left: list[Part] = [(2, [(clip(name, 24), "bold text")])]
        if branch:
            left.append((4, [(clip_left(branch, 28), "muted")]))
        left.append((0, [(visible_line(facts.model or options.model, 32), "muted")]))
        if facts.mode == "plan":
            left.append((1, [("plan mode", "warn")]))
        if facts.sandbox:
            left.append((6, [_sandbox(facts.sandbox)]))
        right = self._right()
        both = fit([*left, *right], width - 2)
        left, right = [part for part in both if part in left], [part for part in both if part in right]
        head, tail = join(left), join(right)
        gap = width - 2 - sum(cell_len(text) for text, _ in head + tail)
        return ((" ", ""), *head, (" " * max(1, gap), ""), *tail, (" ", ""))

    def _right(self) -> list[Part]:
        facts, options = self._facts, self._options
        parts: list[Part] = []
        if facts.context_tokens:
            cap = facts.context_cap or options.context_cap
            used = facts.context_tokens / cap
            style = "bad" if used > 0.9 else "warn" if used > 0.75 else "muted"
            parts.append((3, [(f"{tokens(facts.context_tokens)}/{tokens(cap)}", style)]))
        if facts.input_tokens:
            parts.append((5, [(f"{share(facts.cached_tokens, facts.input_tokens)} cached", "muted")]))
        if facts.predicted_tokens:
            parts.append((7, [(f"({share(facts.predicted_tokens, facts.input_tokens)} predicted)", "faint")]))
        price: list[Span] = [(money(facts.session_usd), "text")]
        if options.max_cost is not None:
            near = facts.session_usd is not None and facts.session_usd > 0.8 * options.max_cost
            price.append((f"/{money(options.max_cost)}", "warn" if near else "muted"))
        return [*parts, (1, price)]


def _sandbox(asked_or_found: str) -> Span:
    """The tier and its self-test ("bubblewrap 9/9") once a command ran; until then only what was asked for is known."""
    match asked_or_found.partition(" ")[0]:
        case "none" | "off":
            return ("no sandbox", "warn")
        case "auto":
            return ("sandbox not tried yet", "faint")
        case "require":
            return ("sandbox required", "faint")
        case _:
            return (visible_line(asked_or_found, 24), "faint")


class Activity(Row):
    """What runs right now, for how long, and how to stop it. Hidden while nothing does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, still: bool = False) -> None:
        super().__init__(id="activity")
        self._still = still  # no seconds that count by themselves
        self._clock = clock
        self._words = ""
        self._since = 0.0
        self._queued = 0
        self._stop = ""
        self.display = False

    def show(self, words: str, queued: int = 0, stop: str = "") -> None:
        """`words` is what runs, `stop` the key that interrupts it; no words hide the row."""
        if words and words != self._words:
            self._since = self._clock()
        self._words, self._queued, self._stop = words, queued, stop
        self.display = bool(words)
        self.renew()

    def line(self, width: int) -> Line:
        elapsed = self._clock() - self._since
        left: list[Part] = [(0, [("○ ", "accent"), (clip(self._words, max(8, width - 14)), "muted")])]
        if elapsed >= 1 and not self._still:
            left.append((1, [(duration(int(elapsed)) if elapsed < 10 else duration(elapsed), "faint")]))
        if self._queued:
            left.append((2, [(f"{self._queued} queued", "accent")]))
        if self._stop:
            left.append((3, [(f"{self._stop} interrupts", "faint")]))
        return ((" ", ""), *join(fit(left, width - 2)))


class Hints(Row):
    """The keys that matter here, as many as fit."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="hints")
        self._keys = tuple(keys)

    def show(self, keys: Sequence[tuple[str, str]]) -> None:
        if self._keys != tuple(keys):
            self._keys = tuple(keys)
            self.refresh()

    def line(self, width: int) -> Line:
        parts: list[Part] = [
            (rank, [(key, "text"), (f" {words}", "faint")]) for rank, (key, words) in enumerate(self._keys)
        ]
        return ((" ", ""), *join(fit(parts, width - 2, "   "), "   "))
