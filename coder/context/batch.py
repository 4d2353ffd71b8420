"""The door for the benchmarks, `coder context --batch`: requests in, selections out, as JSON lines (README, "Doors").

Here a token is four bytes, rounded up, so that all tools are judged alike. Trees are taken as they are at their first
request and kept in memory.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from coder.context.choose import Choice, Read
from coder.context.corpus import Corpus, Document
from coder.context.index import Index
from coder.context.rank import Ranking, rank
from coder.context.task import read_task
from coder.context.tree import load_tree, read_texts, rules_for, sift
from coder.context.withheld import Rules
from coder.errors import Exit, UserError
from coder.garbage import not_collecting
from coder.repo.repository import Repository
from coder.store import Places, find_places

MOST_LISTED = 2_000
KEPT_TREES = 2
MAX_QUERY_BYTES = 1_000_000


def run_batch(source: IO[str] | None = None, sink: IO[str] | None = None, places: Places | None = None) -> int:
    """Answer each line of stdin until it ends. A request that cannot be answered gets an `error` in its end line."""
    source, sink = source or sys.stdin, sink or sys.stdout
    places = places or find_places()
    with not_collecting(), Index.open(places) as index:
        trees = _Trees(index, places)
        try:
            for line in source:
                if line.strip():
                    for answer in _answers(trees, line):
                        sink.write(json.dumps(answer) + "\n")
                    sink.flush()
        finally:
            trees.close()
    return Exit.DONE


def _answers(trees: "_Trees", line: str) -> Iterator[dict[str, Any]]:
    start = time.perf_counter()
    try:
        request = json.loads(line)
        root, budget = Path(request["repo"]), int(request["budget"])
        with open(request["query_file"], "rb") as file:
            query = file.read(MAX_QUERY_BYTES).decode("utf-8", "replace")
        tree = trees.get(root)
    except (OSError, ValueError, KeyError, TypeError, UserError, sqlite3.Error) as error:
        yield {"end": True, "error": str(error), "index_s": 0.0, "query_s": 0.0}
        return
    ready = time.perf_counter()
    yield from _selection(tree, query, budget)
    done = time.perf_counter()
    yield {"end": True, "index_s": round(ready - start, 4), "query_s": round(done - ready, 4)}


def _selection(tree: "_Tree", query: str, budget: int) -> Iterator[dict[str, Any]]:
    ranking = tree.rank(query)
    entries = Choice(tree.corpus, ranking, tree.index, FourBytes(), tree.read).entries(budget, texts=False)
    shown = {entry.path: entry for entry in entries}
    for place in ranking.order[:MOST_LISTED]:
        path = tree.corpus.documents[place].path
        entry = shown.pop(path, None)
        answer: dict[str, Any] = {
            "path": path,
            "mode": entry.mode if entry else "none",
            "tokens": entry.tokens if entry else 0,
        }
        if entry and entry.mode == "part":
            answer["ranges"] = entry.ranges
        if entry and entry.mode == "outline":
            answer["text"] = entry.text
        yield answer


class FourBytes:
    """A meter by size: ceil(bytes / 4), and a path beside a text or alone as the benchmark counts it."""

    def whole(self, documents: Sequence[Document], read: Read) -> Mapping[str, int]:
        return {document.path: (document.size + 3) // 4 for document in documents}

    def text(self, text: str) -> int:
        return (len(text.encode("utf-8", "replace")) + 3) // 4

    def tags(self, path: str) -> int:
        return len(path) // 4 + 2

    def name(self, path: str) -> int:
        return len(path) // 4 + 1

    def folder(self, path: str) -> int:
        return 0  # every name is counted with its whole path


class _Tree(Struct):
    repository: Repository
    rules: Rules
    index: Index
    corpus: Corpus
    last: tuple[str, Ranking] | None = None

    def rank(self, query: str) -> Ranking:
        if self.last is None or self.last[0] != query:
            self.last = (query, rank(self.corpus, read_task(query)))
        return self.last[1]

    def read(self, documents: Sequence[Document]) -> Mapping[str, str]:
        return read_texts(self.repository, documents, self.rules)[0]


class _Trees:
    """The trees of the newest requests."""

    def __init__(self, index: Index, places: Places) -> None:
        self._index, self._places = index, places
        self._trees: dict[Path, _Tree] = {}

    def get(self, root: Path) -> _Tree:
        if root not in self._trees:
            while len(self._trees) >= KEPT_TREES:
                self._trees.pop(next(iter(self._trees))).repository.close()
            repository = Repository.open(root, self._places, "batch")
            snapshot = repository.snapshot()
            rules = rules_for(repository, snapshot)
            files = sift(snapshot, rules).files
            corpus = load_tree(repository, files, rules, self._index)
            self._trees[root] = _Tree(repository, rules, self._index, corpus)
        return self._trees[root]

    def close(self) -> None:
        for tree in self._trees.values():
            tree.repository.close()
