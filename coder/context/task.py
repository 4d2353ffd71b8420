"""What a task asks for, as the ranking reads it: weighted terms, spelled-out paths, the part it says it is about."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from coder.context.terms import number, parts, term_numbers, terms

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

_TOKEN = re.compile(r"[^\W\d_]\w{1,59}|[^\w\s]+|\n")
_SCOPE = re.compile(r"\s*(?:\w{1,30}\(([^)\n]{1,60})\)!?:|([\w./ -]{2,30}):|\[([^\]\n]{1,60})\])")
_SPELLED = re.compile(r"[\w./@+-]{3,300}")

Spelling = Literal["word", "identifier", "pair"]


@dataclass(frozen=True, slots=True)
class Term:
    """`weight` grows with the place and the number of its mentions. `spelling`: part of a word, a whole identifier
    of several parts, or two neighbouring words that code may have joined."""

    number: int
    weight: float
    spelled: str
    spelling: Spelling


@dataclass(frozen=True, slots=True)
class Task:
    """`paths`: what looks like a path or a file name. `called`: words of the first line, joined pairs and triples
    included, that may be the name of a file. `scope`: the term numbers of a prefix such as `fix(cli):` or `tty:`."""

    text: str
    terms: tuple[Term, ...]
    paths: frozenset[str]
    called: frozenset[str]
    scope: frozenset[int]


def read_task(text: str) -> Task:
    first, _, rest = text.strip().partition("\n")
    found: dict[str, tuple[float, int, str, Spelling]] = {}
    for part, weight in ((first, FIRST_LINE), (rest, REST)):
        for term, spelled, spelling, share in _spelled_terms(part):
            before = found.get(term, (0.0, 0, spelled, spelling))
            found[term] = (max(before[0], weight * share), before[1] + 1, *before[2:])
    weighed = (
        Term(number(term), weight * (1.0 + 0.2 * math.log(times)), spelled, spelling)
        for term, (weight, times, spelled, spelling) in found.items()
    )
    spelled_out = {match.rstrip(".,:-") for match in _SPELLED.findall(text)}
    return Task(
        text,
        tuple(sorted(weighed, key=lambda term: -term.weight)[:MOST_TERMS]),
        frozenset(word for word in spelled_out if "." in word or "/" in word),
        frozenset(_called(first)),
        _scope(text),
    )


def _spelled_terms(text: str) -> Iterator[tuple[str, str, Spelling, float]]:
    """Each term with the word it comes from and its share of the weight; pairs of neighbours joined, too."""
    before = ""
    for token in _TOKEN.findall(text):
        if not token[0].isalpha():
            before = before if token in ("-", "/", ".", "_") else ""
            continue
        word = token.lower()
        if word not in STOP:
            share = GENERIC_WEIGHT if word in GENERIC else 1.0
            whole = "".join(parts(token)) if len(parts(token)) > 1 else ""
            for term in terms(token):
                yield term, word, "identifier" if term == whole else "word", share
            if before and before not in STOP:
                share = GENERIC_WEIGHT if {before, word} & GENERIC else 1.0
                yield "".join(parts(before) + parts(word)), f"{before} {word}", "pair", share
        before = word


def _called(line: str) -> Iterator[str]:
    """What a file may be called in the task: its words and their runs of two and three, letters and digits only."""
    spelled = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in re.findall(r"[^\W\d_]\w+", line)]
    for length in (1, 2, 3):
        for start in range(len(spelled) - length + 1):
            yield "".join(spelled[start : start + length])


def _scope(text: str) -> frozenset[int]:
    match = _SCOPE.match(text)
    prefix = next(filter(None, match.groups()), "") if match else ""
    return term_numbers(prefix)
