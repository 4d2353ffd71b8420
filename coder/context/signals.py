"""What speaks for a file: each signal gives one number per document of a corpus. Pure; weighed in coder.context.rank.

The lexical ones are BM25F (Robertson, Zaragoza, Taylor 2004) over path, declared names, comments and the rest; those
of history compare the task with the messages of past commits.
"""

import heapq
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from coder.context.corpus import Corpus, Document
from coder.context.task import Task, Term

Signal = list[float]

NAME_WEIGHT, DECLARED_WEIGHT, FOLDER_WEIGHT = 8.0, 3.0, 4.0  # beside 1 for comments and for the rest
SATURATION = 4.0
LENGTH = 0.5  # how much of a field's length counts against it (b of BM25)
NEAREST = 10  # past commits whose files are taken for likely ones


class Match(Struct, frozen=True):
    """Where one term of the task occurs: by document how often everywhere, in comments, among declared names; and the
    documents whose file name or folders hold it. `idf` is its rarity among sources."""

    term: Term
    hits: dict[int, tuple[int, int, int]]
    names: frozenset[int]
    folders: frozenset[int]
    idf: float

    @property
    def weight(self) -> float:
        return self.term.weight * self.idf


def find_matches(documents: Sequence[Document], task: Task) -> tuple[Match, ...]:
    """The terms of the task and where they occur."""
    sources = {place for place, document in enumerate(documents) if document.kind == "source"} or set(
        range(len(documents))
    )
    words = [document.ids for document in documents]
    names_of = [document.name for document in documents]
    folders_of = [document.folders for document in documents]
    matches = []
    for term in task.terms:
        number = term.number
        hits = {
            place: _times(documents[place], at)
            for place, ids in enumerate(words)
            if (at := bisect_left(ids, number)) < len(ids) and ids[at] == number
        }
        names = frozenset([place for place, name in enumerate(names_of) if number in name])
        folders = frozenset([place for place, folder in enumerate(folders_of) if number in folder])
        known = len(sources & (hits.keys() | names))
        matches.append(Match(term, hits, names, folders, rarity(known, len(sources))))
    return tuple(matches)


def _times(document: Document, at: int) -> tuple[int, int, int]:
    everywhere, comments, names = document.counts[3 * at : 3 * at + 3]
    return everywhere, comments, names


def rarity(known: int, total: int) -> float:
    """The idf of BM25, never below zero."""
    return math.log(1 + (total - known + 0.5) / (known + 0.5))


def word_signals(documents: Sequence[Document], matches: Sequence[Match]) -> tuple[Signal, Signal]:
    """How well the words of each file match the task's, against the file's length: by field (BM25F, 1 for the best),
    and without regard to fields (BM25, as it is: more of a long task can be met than of a short one)."""
    sources = [document.words for document in documents if document.kind == "source"]
    mean = sum(sources) / len(sources) if sources else sum(document.words for document in documents) / len(documents)
    lengths = [document.words / mean for document in documents]
    long = [1 - LENGTH + LENGTH * length for length in lengths]
    long_names = [1 - LENGTH + LENGTH * math.sqrt(length) for length in lengths]
    by_field, plain = [0.0] * len(documents), [0.0] * len(documents)
    for match in matches:
        weight = match.weight
        frequencies = dict.fromkeys(match.folders, FOLDER_WEIGHT)
        for place in match.names:
            frequencies[place] = frequencies.get(place, 0.0) + NAME_WEIGHT
        for place, (everywhere, comments, declared) in match.hits.items():
            frequency = frequencies.get(place, 0.0) + max(everywhere - declared, comments) / long[place]
            if declared:
                frequency += DECLARED_WEIGHT * declared / long_names[place]
            frequencies[place] = frequency
            plain[place] += weight * everywhere / (everywhere + 1.2 * long[place])
        for place, frequency in frequencies.items():
            by_field[place] += weight * frequency / (frequency + SATURATION)
    return relative(by_field), plain


def relative(signal: Signal) -> Signal:
    """Divided by its largest value, so that tasks of all lengths compare."""
    top = max(signal, default=0.0)
    return [value / top for value in signal] if top > 0 else signal


# ── history ──────────────────────────────────────────────────────────────────────────────────────


def nearest_commits(corpus: Corpus, task: Task) -> tuple[tuple[float, int], ...]:
    """The past commits whose messages are most like the task: likeness and place in the past, best first."""
    wanted = {term.number: term.weight for term in task.terms}
    numbers = frozenset(wanted)
    told = [(age, commit, numbers & commit.terms) for age, commit in enumerate(corpus.past.commits)]
    frequency: dict[int, int] = defaultdict(int)
    for _, _, common in told:
        for number in common:
            frequency[number] += 1
    weights = {number: wanted[number] * rarity(frequency[number], len(told)) for number in wanted}
    total = math.fsum(weights.values()) + 1
    likeness = (
        (math.fsum(weights[number] for number in common) / total / math.sqrt(1 + len(commit.terms) / 10), -age)
        for age, commit, common in told
        if common and commit.documents
    )
    return tuple((alike, -age) for alike, age in heapq.nlargest(NEAREST, likeness))


def near_commits(corpus: Corpus, nearest: Sequence[tuple[float, int]]) -> Signal:
    """Files of the past commits whose messages are most like the task. 1 for the best."""
    scores = [0.0] * len(corpus.documents)
    for alike, age in nearest:
        commit = corpus.past.commits[age]
        for place in commit.documents:
            scores[place] += alike * commit.share
    return relative(scores)


def changed_lately(corpus: Corpus) -> Signal:
    return [math.log1p(times) for times in corpus.past.lately]


def changes_together(corpus: Corpus, shares: dict[int, float]) -> Signal:
    """How much of a file's changes went with changes of the likely files (`shares` by document). 1 for the best."""
    scores = [0.0] * len(corpus.documents)
    for age, commit in enumerate(corpus.past.commits):
        if len(commit.documents) < 2:
            continue
        present = math.fsum(shares[place] for place in commit.documents if place in shares)
        if present > 0:
            strength = math.exp(-age / 800) / math.sqrt(len(commit.documents))
            for place in commit.documents:
                scores[place] += strength * (present - shares.get(place, 0.0))
    return relative([score / (times + 5) for score, times in zip(scores, corpus.past.times, strict=True)])


# ── names and folders ────────────────────────────────────────────────────────────────────────────


def file_called(documents: Sequence[Document], matches: Sequence[Match]) -> Signal:
    """How much of a file's name the task says: its terms' weights, by the number of terms the name has."""
    scores = [0.0] * len(documents)
    for match in matches:
        for place in match.names:
            scores[place] += match.term.weight / len(documents[place].name)
    return scores


def folder_called(documents: Sequence[Document], matches: Sequence[Match]) -> Signal:
    """How much the task says of the folders above a file, by the rarity of their names."""
    scores = [0.0] * len(documents)
    for match in matches:
        weight = match.term.weight * rarity(len(match.folders), len(documents))
        for place in match.folders:
            scores[place] += weight
    return scores


def scope_folder(documents: Sequence[Document], task: Task) -> Signal:
    """Whether the part that the task says it is about (`fix(cli): …`) is a folder above the file."""
    return relative([float(len(task.scope & document.folders - document.name)) for document in documents])


def mentioned(documents: Sequence[Document], task: Task) -> Signal:
    """1 for a file that the task spells out by its path, or by its name with the extension."""
    if not task.paths:
        return [0.0] * len(documents)
    tails = {path.removeprefix("./").removeprefix("/") for path in task.paths}
    return [
        float(document.path in tails or document.path.rpartition("/")[2] in tails or _ends_in(document.path, tails))
        for document in documents
    ]


def _ends_in(path: str, tails: set[str]) -> bool:
    return any("/" in tail and path.endswith("/" + tail) for tail in tails)
