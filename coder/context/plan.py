"""The plan of the window: which files the model sees for a task, in which form, and why.

A repository that fits the budget is shown whole. Otherwise files are ranked and packed. The default budget of
128,000 tokens is a choice (`context.budget`): at gpt-5.4-mini's prices it costs about 0.10 USD cold and 0.01 USD from
the cache, while recall over long contexts is weak (OpenAI MRCR v2, eight needles at 64k to 128k: 47.7 % for mini,
86.0 % for the full model), so a window twice as large buys a few per cent of coverage for twice the money and more
distraction. Input is capped at 272,000 tokens whatever the window's name says: 128,000 are kept for output.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from coder.config import ContextSettings
from coder.context.tokens import count_tokens, estimate_tokens
from coder.context.withheld import Rules, shown_text, withheld
from coder.store import Places
from coder.values import ContextEntry, ContextPlan, Withheld

HARD_CAP = 258_000  # 272,000 less instructions, tools, the first steps and the error of local counting
FILE_OVERHEAD = 12  # tokens of the tags around a file, beside its path
ESTIMATE_MARGIN = 1.25  # the estimate's error on real repositories, with room to spare

Count = Callable[[str], int]


class File(Protocol):
    """One tracked file of a tree: what `coder.repo` calls a TreeFile."""

    @property
    def path(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def oid(self) -> str: ...
    @property
    def size(self) -> int: ...


class Tree(Protocol):
    """A snapshot: its files, and those that could not become part of it."""

    @property
    def files(self) -> Sequence[File]: ...
    @property
    def withheld(self) -> Sequence[Withheld]: ...


class Blobs(Protocol):
    """Where file contents come from: a `coder.repo.Repository`."""

    def read_blobs(self, oids: Iterable[str]) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Sifted:
    """The files that may be shown, and the rest with the reason."""

    files: tuple[File, ...]
    withheld: tuple[Withheld, ...]


def make_plan(
    repository: Blobs,
    snapshot: Tree,
    task: str,
    settings: ContextSettings,
    places: Places,
    *,
    pinned: Sequence[str] = (),
    dropped: Sequence[str] = (),
    exclude: Sequence[str] = (),
    usd_per_million: tuple[float, float] | None = None,
    exact: bool = False,
) -> ContextPlan:
    """What the model sees of `snapshot` for `task`. Blocking; the same plan for the same arguments in every process.

    `pinned` files are shown in full if they fit, `dropped` ones not at all, `exclude` (patterns) count as withheld.
    `usd_per_million` is the model's price for input and for cached input. `exact` asks for exact token counts even
    where an estimate with margin shows that everything fits (it costs 0.4 s of CPU once per process).
    """
    rules = Rules(_coderignore(repository, snapshot), (*settings.exclude, *exclude))
    sifted = sift(snapshot, rules)
    budget = min(settings.budget, HARD_CAP)
    gone = frozenset(dropped)
    files = tuple(file for file in sifted.files if file.path not in gone)
    if sum(file.size for file in files) > MOST_BYTES_PER_TOKEN * budget:
        files = files[:0]
    texts, unread = read_texts(repository, files, rules)
    entries = whole(files, texts, task, count_tokens if exact else estimate_tokens)
    return priced(budget, entries, (*sifted.withheld, *unread), usd_per_million)


MOST_BYTES_PER_TOKEN = 6  # no repository of text has more on average (Python code: 4.65)


def sift(snapshot: Tree, rules: Rules) -> Sifted:
    """Part the files that may be shown from those that the path, the mode or the size keeps back."""
    shown: list[File] = []
    back = list(snapshot.withheld)
    for file in snapshot.files:
        why = {"120000": "symbolic link", "160000": "submodule"}.get(file.mode) or withheld(
            file.path, b"", size=file.size, rules=rules
        )
        if why:
            back.append(Withheld(file.path, why))
        else:
            shown.append(file)
    return Sifted(tuple(shown), tuple(back))


def read_texts(repository: Blobs, files: Sequence[File], rules: Rules) -> tuple[dict[str, str], tuple[Withheld, ...]]:
    """The text of each file by path, and the files whose content keeps them back."""
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


def whole(files: Sequence[File], texts: Mapping[str, str], task: str, count: Count) -> tuple[ContextEntry, ...]:
    """Every file in full, the ones the task names first."""
    entries = [
        ContextEntry(
            file.path,
            "full",
            count(texts[file.path]) + path_tokens(file.path),
            ("named in the task",) if named(file.path, task) else ("the whole repository fits",),
            text=texts[file.path],
            blob=file.oid,
        )
        for file in files
        if file.path in texts
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.reasons != ("named in the task",), entry.path)))


def named(path: str, task: str) -> bool:
    """Whether the task spells out the path, or its last part together with the extension."""
    return path in task or path.rpartition("/")[2] in task.replace("/", " ").split()


def path_tokens(path: str) -> int:
    """An upper bound for the tags and the name around a file."""
    return FILE_OVERHEAD + len(path) // 2


def priced(
    budget: int,
    entries: tuple[ContextEntry, ...],
    back: Iterable[Withheld],
    usd_per_million: tuple[float, float] | None,
) -> ContextPlan:
    total = sum(entry.tokens for entry in entries)
    cold, cached = (total * usd / 1e6 for usd in usd_per_million) if usd_per_million else (None, None)
    return ContextPlan(budget, total, entries, tuple(sorted(back, key=lambda item: item.path)), cold, cached)


def _coderignore(repository: Blobs, snapshot: Tree) -> list[str]:
    """The lines of `.coderignore` at the root, if it is a file of reasonable size."""
    for file in snapshot.files:
        if file.path == ".coderignore" and file.mode.startswith("100") and file.size <= 256 * 1024:
            content = repository.read_blobs([file.oid]).get(file.oid, b"")
            return content.decode("utf-8", "replace").splitlines()
    return []
