"""Why a file is in the plan, in words a person can check: what of the task its path, its names and its past hold."""

from collections.abc import Callable, Sequence

from coder.context.corpus import Corpus
from coder.context.outline import Symbol
from coder.context.rank import Ranking
from coder.context.signals import Match
from coder.context.terms import numbers
from coder.text import visible_line

MOST_REASONS = 4
ROOM = ("there is room for it",)  # where nothing else speaks for a file
NO_ROOM = ("there is no room for more than its name",)


class Explainer:
    """Puts the signals of one ranking into words."""

    def __init__(self, corpus: Corpus, ranking: Ranking) -> None:
        self._corpus = corpus
        self._ranking = ranking
        self._matches = sorted(ranking.matches, key=lambda match: -match.weight)

    def declares(self, place: int) -> bool:
        """Whether a declared name of the file holds a term of the task."""
        return any(place in match.hits and match.hits[place][2] for match in self._matches)

    def reasons(self, place: int, symbols: Sequence[Symbol] = ()) -> tuple[str, ...]:
        """The strongest first, at most MOST_REASONS; never empty for a file that any signal speaks for."""
        signals = self._ranking.signals
        found = ["chosen by the small model"] if place in self._ranking.chosen else []
        if signals["mentioned"][place]:
            found.append("named in the task")
        if name := self._declared(symbols):
            found.append(f"declares `{visible_line(name, 60)}`")
        if called := self._words(lambda match: place in match.names or place in match.folders):
            found.append(f"its path says {called}")
        if signals["near"][place] > 0.3:
            found.append("past commits like the task changed it")
        if partner := self._partner(place):
            found.append(partner)
        if signals["imported"][place] > 0.05:
            found.append("imported by a likely file")
        if not called and (said := self._words(lambda match: place in match.hits)):
            found.append(f"mentions {said}")
        if signals["lately"][place] > 1.0:
            found.append("changed often lately")
        elif signals["fresh"][place] > 0.7:
            found.append("changed lately")
        return tuple(found[:MOST_REASONS])

    def _declared(self, symbols: Sequence[Symbol]) -> str:
        """The declared name that holds the most of the task, "" if none holds anything rare."""
        rare = 0.1 * self._matches[0].weight if self._matches else 0.0
        weights = {match.term.number: match.weight for match in self._matches if match.weight > rare}
        best, name = 0.0, ""
        for symbol in symbols:
            value = sum(weights.get(number, 0.0) for number in numbers(symbol.name))
            if value > best:
                best, name = value, symbol.name
        return name

    def _words(self, holds: Callable[[Match], bool]) -> str:
        """The two rarest words of the task of which `holds` is true."""
        words = dict.fromkeys(match.term.spelled for match in self._matches if holds(match))
        return ", ".join(list(words)[:2])

    def _partner(self, place: int) -> str:
        """The likely file that this one changed with most often, and how often."""
        if self._ranking.signals["together"][place] < 0.2:
            return ""
        times: dict[int, int] = {}
        for commit in self._corpus.past.commits:
            if place in commit.documents:
                for other in commit.documents:
                    if other != place and other in self._ranking.likely:
                        times[other] = times.get(other, 0) + 1
        if not times:
            return ""
        other = max(times, key=lambda each: (times[each], -each))
        name = visible_line(self._corpus.documents[other].path.rpartition("/")[2])
        return f"changes with {name} {times[other]} of {self._corpus.past.times[place]} times"
