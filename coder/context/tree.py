"""One snapshot on its way into a plan: the files that may be shown, their texts, and what the index knows of them."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from coder.context.corpus import Corpus, load_corpus
from coder.context.facts import facts_key
from coder.context.history import Log, read_history
from coder.context.index import Blobs, File, Index, Progress
from coder.context.languages import is_code
from coder.context.task import GENERIC, STOP, read_task
from coder.context.terms import words
from coder.context.withheld import Rules, shown_text, too_large, withheld
from coder.values import Withheld

CODERIGNORE_BYTES = 256 * 1024
LONG_TASK = 500  # characters
MOST_RANKED = 20_000  # files: more cannot be looked at one by one while somebody waits
MOST_HELD, MOST_NAMED = 10_000, 5_000  # of more: those chosen by the words they hold, and by their names and past
MOST_TERMS = 16  # of a task, by which they are chosen
_NO_FILE = {"120000": "symbolic link", "160000": "submodule"}


class Tree(Protocol):
    """A snapshot: its files, and those that could not become part of it."""

    @property
    def tree(self) -> str: ...
    @property
    def files(self) -> Sequence[File]: ...
    @property
    def withheld(self) -> Sequence[Withheld]: ...


class Located(Protocol):
    @property
    def head(self) -> str: ...


class Source(Blobs, Log, Protocol):
    """A `coder.repo.Repository`, as far as a plan needs it."""

    @property
    def location(self) -> Located: ...


class Named(Protocol):
    """A file by its path and blob: a TreeFile or a Document."""

    @property
    def path(self) -> str: ...
    @property
    def oid(self) -> str: ...


class Sifted(Struct, frozen=True):
    """The files that may be shown, and the rest with the reason."""

    files: tuple[File, ...]
    withheld: tuple[Withheld, ...]


def rules_for(repository: Blobs, snapshot: Tree, exclude: Iterable[str] = ()) -> Rules:
    """The user's rules for a tree: `.coderignore` at its root, if it is a file of reasonable size, and `exclude`."""
    for file in snapshot.files:
        if file.path == ".coderignore" and file.mode.startswith("100") and file.size <= CODERIGNORE_BYTES:
            content = repository.read_blobs([file.oid]).get(file.oid, b"")
            return Rules(content.decode("utf-8", "replace").splitlines(), exclude)
    return Rules((), exclude)


def sift(snapshot: Tree, rules: Rules) -> Sifted:
    """Part the files that may be shown from those that the path, the mode or the size keeps back."""
    shown: list[File] = []
    back = list(snapshot.withheld)
    known = {item.path for item in back}
    for file in snapshot.files:
        if file.path in known:
            continue
        why = _NO_FILE.get(file.mode) or rules.why(file.path) or too_large(file.size)
        if file.size < 0 and not why:
            why = "not in this clone"
        if why:
            back.append(Withheld(file.path, why))
        else:
            shown.append(file)
    return Sifted(tuple(shown), tuple(back))


def read_texts(repository: Blobs, files: Sequence[Named], rules: Rules) -> tuple[dict[str, str], tuple[Withheld, ...]]:
    """The text of each file by path as it may be shown, and the files whose content keeps them back."""
    blobs = repository.read_blobs(dict.fromkeys(file.oid for file in files))
    texts: dict[str, str] = {}
    back: list[Withheld] = []
    for file in files:
        content = blobs.get(file.oid)
        why = "unreadable" if content is None else withheld(file.path, content, rules=rules)
        if why or content is None:
            back.append(Withheld(file.path, why))
        else:
            texts[file.path] = shown_text(content)
    return texts, tuple(back)


def load_tree(
    repository: Source,
    files: Sequence[File],
    rules: Rules,
    index: Index,
    progress: Progress = lambda done, total: None,
    patience: float = float("inf"),
    task: str = "",
) -> Corpus:
    """The corpus of sifted `files`, after the index has read what it did not know: all, or where that takes longer than
    `patience` seconds some, the likely ones first. Of a tree of more than MOST_RANKED files only the likely ones are
    part of it."""
    history = read_history(repository, repository.location.head, index)
    ordered = likely_first(files, task, history.paths) if task else files
    unread = index.update(repository, ordered, progress, patience)
    if task and len(files) > MOST_RANKED:
        files = _likely(files, ordered, task, index)
    corpus = load_corpus(index, files, history, rules)
    return replace(corpus, unread=len(unread)) if unread else corpus


def _likely(files: Sequence[File], ordered: Sequence[File], task: str, index: Index) -> list[File]:
    """Of a giant tree the files that the task may be about by their names, their past, or the words they hold."""
    terms = {term.number: term.weight for term in read_task(task).terms[:MOST_TERMS]}
    keys = index.holding(terms, MOST_HELD)
    oids = {key.partition(".")[0] for key in keys}
    named = {file.path for file in ordered[:MOST_NAMED]}
    return [
        file for file in files if file.path in named or (file.oid in oids and facts_key(file.oid, file.path) in keys)
    ]


def likely_first(files: Sequence[File], task: str, changed: Iterable[str] = ()) -> list[File]:
    """The files whose paths hold a word of the task, then code that was `changed` before, other code, the rest."""
    wanted = {word.lower() for word in words(task[:LONG_TASK]) if len(word) > 3} - STOP - GENERIC
    active = frozenset(changed)
    speaks = re.compile("|".join(map(re.escape, sorted(wanted))) or "(?!)").search
    groups: tuple[list[File], ...] = ([], [], [], [])
    spoken_of, before, other, rest = groups
    for file in files:
        path = file.path
        if speaks(path.lower()):
            spoken_of.append(file)
        elif not is_code(path):
            rest.append(file)
        else:
            (before if path in active else other).append(file)
    return [file for group in groups for file in group]
