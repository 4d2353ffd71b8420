"""The ranking: one score per file for a task, from signals with fixed weights. Pure, and the same in every process.

The weights were fitted on 972 commits of 44 public repositories (message → files changed) as a conditional logit and
checked on repositories left out of the fit. Scores are log-odds up to a constant.
"""

import heapq
import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from coder.context.corpus import Corpus
from coder.context.imports import by_name, targets
from coder.context.kinds import Kind
from coder.context.signals import (
    Match,
    Signal,
    changed_lately,
    changes_together,
    file_called,
    find_matches,
    folder_called,
    mentioned,
    near_commits,
    nearest_commits,
    scope_folder,
    word_signals,
)
from coder.context.task import Task

LIKELY = 20  # files whose company counts

# "both", words times past commits: where they speak for the same file they say in part the same.
WEIGHTS = {
    "words": 4.7,
    "plain": 0.17,
    "file": 1.65,
    "folder": 0.16,
    "scope": 1.7,
    "mentioned": 1.5,
    "near": 3.2,
    "both": -2.35,
    "lately": 0.7,
    "fresh": 1.35,
    "together": 1.3,
    "imported": 1.8,
}
KIND_WEIGHTS: dict[Kind, float] = {
    "source": 0.0,
    "test": -5.0,
    "example": -3.2,
    "prose": -5.0,
    "tooling": -3.5,
    "vendored": -2.5,
    "generated": -3.5,
    "data": -4.0,
}


class Ranking(Struct, frozen=True):
    """`order` holds the documents' places, best first; `scores` and each signal are by place. `likely`: the share of
    the likeliest ones before their company was looked at; `chosen` those that a selector put first."""

    order: tuple[int, ...]
    scores: tuple[float, ...]
    signals: dict[str, Signal]
    matches: tuple[Match, ...]
    likely: dict[int, float]
    chosen: frozenset[int] = frozenset()


def rank(corpus: Corpus, task: Task) -> Ranking:
    documents = corpus.documents
    matches = find_matches(documents, task)
    words, plain_words = word_signals(documents, matches)
    signals = {
        "words": words,
        "plain": plain_words,
        "file": file_called(documents, matches),
        "folder": folder_called(documents, matches),
        "near": (near := near_commits(corpus, nearest_commits(corpus, task))),
        "both": [by_words * by_past for by_words, by_past in zip(words, near, strict=True)],
        "lately": changed_lately(corpus),
        "fresh": list(corpus.past.fresh),
        "scope": scope_folder(documents, task),
        "mentioned": mentioned(documents, task),
    }
    first = weigh([KIND_WEIGHTS[document.kind] for document in documents], signals)
    likely = shares(first)
    company = {"together": changes_together(corpus, likely), "imported": imported_by(corpus, likely)}
    scores = weigh(first, company)
    order = sorted(range(len(documents)), key=[-score for score in scores].__getitem__)  # of equals the first path
    return Ranking(tuple(order), tuple(scores), signals | company, matches, likely)


def prefer(ranking: Ranking, corpus: Corpus, chosen: Sequence[str]) -> Ranking:
    """The ranking with `chosen` paths first, in their order. The scores stay where they are: only files move."""
    places = {document.path: place for place, document in enumerate(corpus.documents)}
    first = [places[path] for path in dict.fromkeys(chosen) if path in places]
    if not first:
        return ranking
    picked = frozenset(first)
    order = (*first, *(place for place in ranking.order if place not in picked))
    scores = list(ranking.scores)
    for before, after in zip(ranking.order, order, strict=True):
        scores[after] = ranking.scores[before]
    return replace(ranking, order=order, scores=tuple(scores), chosen=picked)


def weigh(scores: Signal, signals: dict[str, Signal]) -> Signal:
    """`scores` with what the signals add to them."""
    for name, signal in signals.items():
        weight = WEIGHTS[name]
        scores = [score + weight * value for score, value in zip(scores, signal, strict=True)]
    return scores


def shares(scores: Sequence[float]) -> dict[int, float]:
    """The likeliest documents, each with its share of the probability."""
    order = heapq.nsmallest(LIKELY, range(len(scores)), key=[-score for score in scores].__getitem__)
    odds = {place: math.exp(scores[place] - scores[order[0]]) for place in order}
    total = math.fsum(odds.values())
    return {place: value / total for place, value in odds.items()}


def imported_by(corpus: Corpus, likely: dict[int, float]) -> Signal:
    """How likely the files are that import a file."""
    names = corpus.called or by_name(corpus.documents)
    corpus.called.update(names)
    found = [0.0] * len(corpus.documents)
    for place, share in likely.items():
        others = targets(corpus.documents[place], names) - {place}
        for other in sorted(others):
            found[other] += share / math.sqrt(len(others))
    return found
