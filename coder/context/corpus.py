"""One tree as the ranking sees it: for each file its terms, its kind and what it is called; the past of the project.

Built from the index, held in memory for as long as the tree is looked at. Reads no content.
"""

import math
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from coder.context.facts import Facts, facts_key
from coder.context.history import History, present
from coder.context.index import File, Index
from coder.context.kinds import Kind, kind_of
from coder.context.terms import term_numbers
from coder.context.withheld import NO_RULES, Rules
from coder.garbage import not_collecting

LATELY = 40  # commits after which a change counts for 1/e
FRESH = 5  # commits within which the last change of a file still counts for more than .7

# Files of these names stand for their folder: `cache/index.ts` is what others call "cache".
FOLDER_NAMES = frozenset(["__init__", "index", "mod", "lib", "main", "package-info"])


class Document(NamedTuple):
    """One file: a tuple and not a dataclass because a tree may have a hundred thousand of them.

    `ids` are sorted term numbers, `counts` three bytes for each (see Facts); `words` and so on are how many there are
    in all. `name` and `folders` are the term numbers of the path's last part and of the rest.
    """

    path: str
    oid: str
    size: int
    kind: Kind
    ids: "array[int]"
    counts: bytes
    words: int
    comment_words: int
    name_words: int
    lines: int
    imports: str
    name: frozenset[int]
    folders: frozenset[int]

    @property
    def key(self) -> str:
        return facts_key(self.oid, self.path)

    @property
    def stem(self) -> str:
        """The last part of the path up to its first dot, in lower case."""
        name = self.path.rpartition("/")[2]
        return (name.split(".")[0] or name).lower()


class PastCommit(Struct, frozen=True):
    """One commit: terms of its message, the documents it changed that still exist, and how much it says of each."""

    terms: frozenset[int]
    documents: tuple[int, ...]
    share: float


class Past(Struct, frozen=True):
    """Commits newest first; for each document in how many of them it was, how much it was changed lately, and how
    fresh its last change is (1 in the newest commit, 0 where none of them changed it)."""

    commits: tuple[PastCommit, ...]
    times: tuple[int, ...]
    lately: tuple[float, ...]
    fresh: tuple[float, ...]


class Corpus(Struct, frozen=True):
    """All files of a tree that may be shown, in the tree's order. `back` maps the others to why their content keeps
    them from the model. `unread`: how many the index has yet to read; they are known by their names. `called`: the
    documents by what an import calls them, worked out by the first ranking (coder.context.imports)."""

    documents: tuple[Document, ...]
    past: Past
    back: dict[str, str] = {}
    unread: int = 0
    called: dict[str, tuple[int, ...]] = {}


@not_collecting()
def load_corpus(index: Index, files: Sequence[File], history: History, rules: Rules = NO_RULES) -> Corpus:
    """The corpus of `files` as far as the index knows them; a file it does not know yet is there by its name."""
    keys = [facts_key(file.oid, file.path) for file in files]
    facts = dict(index.facts(list(dict.fromkeys(keys))))
    folders: dict[str, frozenset[int]] = {}
    documents: list[Document] = []
    back: dict[str, str] = {}
    for file, key in zip(files, keys, strict=True):
        found = facts.get(key, _UNKNOWN)
        why = found.why
        if why and why != "minified" and not (why.startswith("holds a secret") and rules.allows_secrets(file.path)):
            back[file.path] = why
        else:
            documents.append(_document(file, found, folders))
    return Corpus(tuple(documents), _past(history, documents), back)


_UNKNOWN = Facts()


def _document(file: File, facts: Facts, folders: dict[str, frozenset[int]]) -> Document:
    path = file.path
    folder, _, name = path.rpartition("/")
    if folder not in folders:
        folders[folder] = term_numbers(folder)
    ids = array("I")
    ids.frombytes(facts.ids)
    return Document(
        path,
        file.oid,
        file.size,
        kind_of(path),
        ids,
        facts.counts,
        facts.words or 1,
        facts.comment_words,
        facts.name_words,
        facts.lines,
        facts.imports,
        term_numbers(name.split(".", 1)[0] or name),
        folders[folder],
    )


def _past(history: History, documents: Sequence[Document]) -> Past:
    places = present(history, [document.path for document in documents])
    times, commits = [0] * len(documents), []
    lately, fresh = [0.0] * len(documents), [0.0] * len(documents)
    for age, commit in enumerate(history.commits):
        changed = tuple(dict.fromkeys(places[path] for path in commit.paths if places[path] >= 0))
        sources = sum(documents[place].kind == "source" for place in changed)
        share = 1.0 / math.sqrt(sources or 1)  # a commit that changed much says little of each
        commits.append(PastCommit(frozenset(commit.terms), changed, share))
        for place in changed:
            if not times[place]:
                fresh[place] = 1.0 / math.sqrt(1 + age / FRESH)
            times[place] += 1
            lately[place] += share * math.exp(-age / LATELY)
    return Past(tuple(commits), tuple(times), tuple(lately), tuple(fresh))
