"""From a ranking to the entries of a plan: which files are shown in which form, within the budget."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from coder.context.corpus import Corpus, Document
from coder.context.excerpt import OUTLINE_LINES, Range, best_ranges, outline_text, part_text
from coder.context.index import Index
from coder.context.outline import Symbol
from coder.context.pack import Candidate, by_value, name_costs, pack
from coder.context.rank import Ranking
from coder.context.reasons import NO_ROOM, ROOM, Explainer
from coder.text import redact
from coder.values import ContextEntry, ContextMode

LINE_TOKENS = 12  # of an outline's line, about
LEAST_LINES = 8  # of an outline
MOST_CONSIDERED = 5_000  # ranked files: no budget reaches beyond, and a tree may have a hundred thousand
READ_AHEAD = 2  # times the budget: what is read and counted exactly, by rough size

Read = Callable[[Sequence[Document]], Mapping[str, str]]
"""Texts by path, as they may be shown; unreadable ones left out."""


class Meter(Protocol):
    """What things cost in tokens."""

    def whole(self, documents: Sequence[Document], read: Read) -> Mapping[str, int]:
        """Each document in full, tags included; those that cannot be shown are left out."""
        ...

    def text(self, text: str) -> int: ...
    def tags(self, path: str) -> int: ...
    def name(self, path: str) -> int: ...
    def folder(self, path: str) -> int: ...


class Choice:
    """The choice for one ranking: the forms of files, worked out as `pack` asks for them. `summaries` are those that
    are known, by blob id."""

    def __init__(
        self,
        corpus: Corpus,
        ranking: Ranking,
        index: Index,
        meter: Meter,
        read: Read,
        summaries: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._corpus, self._ranking = corpus, ranking
        self._consider(ranking.order[:MOST_CONSIDERED])
        self._index, self._meter, self._read, self._summaries = index, meter, read, summaries
        self._symbols: dict[str, tuple[Symbol, ...]] = {}
        self._outlines: dict[str, str] = {}
        self._parts: dict[str, tuple[tuple[Range, ...], str]] = {}
        self._weights = {match.term.number: match.weight for match in ranking.matches}
        self._explainer = Explainer(corpus, ranking)

    def entries(self, budget: int, pinned: Collection[str] = (), *, texts: bool = True) -> tuple[ContextEntry, ...]:
        """What is shown, best first. Without `texts` files in full carry none and nothing is explained: they are only
        accounted for."""
        if unlikely := set(pinned) - self._by_path.keys():
            rest = self._ranking.order[MOST_CONSIDERED:]
            self._consider((*self._order, *(place for place in rest if self._corpus.documents[place].path in unlikely)))
        candidates = self._candidates(budget, pinned)
        modes = pack(candidates, budget, self, pinned)
        full = [document for document in self._ranked if modes.get(document.path) == "full"]
        shown = self._read(full) if texts else {}
        names = name_costs((each for each in candidates if modes.get(each.path) == "name"), (), budget)
        costs = {each.path: names.get(each.path, each.whole) for each in candidates}
        return tuple(
            self._entry(place, modes[document.path], costs[document.path], shown.get(document.path, ""), explain=texts)
            for place, document in zip(self._order, self._ranked, strict=True)
            if document.path in modes
        )

    def _consider(self, order: tuple[int, ...]) -> None:
        self._order = order
        self._ranked = [self._corpus.documents[place] for place in order]
        self._by_path = {document.path: document for document in self._ranked}
        self._rank = {document.path: rank for rank, document in enumerate(self._ranked)}

    def _candidates(self, budget: int, pinned: Collection[str]) -> list[Candidate]:
        scored = zip(self._order, self._ranked, strict=True)
        rough = [
            Candidate(
                document.path,
                self._ranking.scores[place],
                document.size // 4,
                0,
                self._meter.name(document.path),
                self._meter.folder(document.path),
            )
            for place, document in scored
        ]
        ahead, left = [self._by_path[path] for path in pinned if path in self._by_path], READ_AHEAD * budget
        for candidate in by_value(rough):
            if candidate.size <= min(left, budget) and candidate.path not in pinned:
                ahead.append(self._by_path[candidate.path])
                left -= candidate.size
        whole = self._meter.whole(ahead, self._read)
        return [
            Candidate(each.path, each.score, each.size, whole.get(each.path, 0), each.name, each.folder)
            for each in rough
        ]

    def outline(self, path: str, most: int = OUTLINE_LINES * LINE_TOKENS) -> int:
        if path not in self._outlines:
            lines = min(max(most // LINE_TOKENS, LEAST_LINES), OUTLINE_LINES)
            self._outlines[path] = redact(outline_text(self.symbols(path), self._weights, lines))
        text = self._outlines[path]
        return self._meter.text(text) + self._meter.tags(path) if text else 0

    def summary(self, path: str) -> int:
        text = self._summaries.get(self._by_path[path].oid, "")
        return self._meter.text(text) + self._meter.tags(path) if text else 0

    def part(self, path: str, most: int) -> int:
        document = self._by_path[path]
        text = self._read([document]).get(path, "")
        most -= self._meter.tags(path) + 20  # the list of ranges
        ranges = best_ranges(text, self.symbols(path), self._weights, most, self._meter.text)
        if not ranges:
            return 0
        self._parts[path] = (ranges, part_text(text, ranges))
        return self._part_cost(path)

    def _part_cost(self, path: str) -> int:
        ranges, text = self._parts[path]
        return self._meter.text(text) + self._meter.tags(path) + 6 * len(ranges)

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        if path not in self._symbols:
            start = self._rank[path]
            ahead = self._ranked[start : start + 8]  # those asked for next, in one query
            found = self._index.symbols([document.key for document in ahead])
            for document in ahead:
                facts = found.get(document.key)
                self._symbols[document.path] = facts.outline() if facts else ()
        return self._symbols[path]

    def _entry(self, place: int, mode: ContextMode, tokens: int, text: str, *, explain: bool) -> ContextEntry:
        """`tokens`: what it costs in full or by name."""
        document = self._corpus.documents[place]
        path = document.path
        reasons: tuple[str, ...] = ()
        if explain and mode != "name":
            symbols = self.symbols(path) if self._explainer.declares(place) else ()
            reasons = self._explainer.reasons(place, symbols) or ROOM
        elif explain:
            reasons = NO_ROOM
        ranges: tuple[Range, ...] = ()
        if mode == "part":
            (ranges, text), tokens = self._parts[path], self._part_cost(path)
        elif mode == "outline":
            text, tokens = self._outlines[path], self.outline(path)
        elif mode == "summary":
            text, tokens = self._summaries[document.oid], self.summary(path)
        return ContextEntry(path, mode, tokens, reasons, ranges, text, document.oid)
