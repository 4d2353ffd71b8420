"""What a task asks for, as the ranking reads it: weighted terms, spelled-out paths, the part it says it is about."""

import math
import re
from collections.abc import Iterator

from msgspec import Struct

from coder.context.terms import number, parts, stem, term_numbers, terms, words

MOST_TERMS = 64  # a pasted log must not make a query slow; what comes first counts
FIRST_LINE, REST = 1.0, 0.5
GENERIC_WEIGHT = 0.4

# Words that tell nothing, and words that nearly every task has (they tell little).
_STOP = (
    "a an and are as at be been but by can do does for from had has have how i if in into is it its like make makes "
    "may more most no not now of on one only or other our out over own same should so some such than that the their "
    "them then there these they this those to too up use used uses using was we were what when where which while who "
    "will with would you your also all any both each just via per between without within before after because about "
    "don doesn didn isn wasn let"
)
_GENERIC = (
    "add adds added adding fix fixes fixed fixing remove removes removed removing update updates updated updating "
    "change changes changed changing improve improves improved improvement support supports supported refactor "
    "refactors refactoring refactored implement implements implemented implementation allow allows allowed making "
    "move moved moving rename renamed renaming ensure ensures replace replaced introduce new feature bug issue commit "
    "code file files cleanup clean better correct correctly properly handle minor work works working initial instead "
    "test tests testing docs doc documentation"
)
STOP = frozenset(_STOP.split())
GENERIC = frozenset(_GENERIC.split())

_SCOPE = re.compile(r"\s*(?:\w{1,30}\(([^)\n]{1,60})\)!?:|([\w./ -]{2,30}):|\[([^\]\n]{1,60})\])")
_SPELLED = re.compile(r"[\w./@+-]{3,300}")


class Term(Struct, frozen=True):
    """`weight` grows with the place and the number of its mentions."""

    number: int
    weight: float
    spelled: str


class Task(Struct, frozen=True):
    """`paths`: what looks like a path or a file name. `scope`: the term numbers of a prefix such as `fix(cli):` or
    `tty:`."""

    text: str
    terms: tuple[Term, ...]
    paths: frozenset[str]
    scope: frozenset[int]


def read_task(text: str) -> Task:
    """The terms of a task, the heaviest first; its first line weighs more than the rest."""
    first, _, rest = text.strip().partition("\n")
    found: dict[str, tuple[float, int, str]] = {}
    for part, weight in ((first, FIRST_LINE), (rest, REST)):
        for term, word, said in _spelled_terms(part):
            heaviest, times, spelled = found.get(term, (0.0, 0, said))
            share = GENERIC_WEIGHT if word in GENERIC else 1.0
            found[term] = (max(heaviest, weight * share), times + 1, spelled)
    weighed = (
        Term(number(term), weight * (1.0 + 0.2 * math.log(times)), spelled)
        for term, (weight, times, spelled) in found.items()
    )
    spelled_out = {match.rstrip(".,:-") for match in _SPELLED.findall(text)}
    return Task(
        text,
        tuple(sorted(weighed, key=lambda term: -term.weight)[:MOST_TERMS]),
        frozenset(word for word in spelled_out if "." in word or "/" in word),
        _scope(text),
    )


def _spelled_terms(text: str) -> Iterator[tuple[str, str, str]]:
    """Each term with the word it comes from, and with what of that word it stands for."""
    for spelled in words(text):
        word = spelled.lower()
        if word not in STOP:
            said = {stem(part): part for part in parts(spelled)}
            for term in terms(spelled):
                yield term, word, said.get(term, word)


def _scope(text: str) -> frozenset[int]:
    match = _SCOPE.match(text)
    prefix = next(filter(None, match.groups()), "") if match else ""
    return term_numbers(prefix)
