"""AGENTS.md of a trusted repository, its root's and its folders': context in a place of its own, never policy."""

from collections.abc import Collection, Iterable, Iterator

from coder.context.render import RULES_NAME, ProjectRules
from coder.context.tree import read_texts
from coder.context.withheld import Rules
from coder.repo.repository import Repository, Snapshot, TreeFile
from coder.text import visible
from coder.values import ContextEntry

MAX_CHARS = 32_000  # of all of them together
CUT = "[coder: the rest of this file is left out]\n"

CHARS_PER_TOKEN = 3  # of prose, at least: most has 4 or more


def project_rules(
    repository: Repository,
    snapshot: Snapshot,
    rules: Rules,
    entries: Iterable[ContextEntry],
    budget: int,
    dropped: Collection[str] = (),
) -> ProjectRules:
    """Those that concern files whose text is shown, the outer ones first. What the user keeps back (`rules`, `dropped`)
    is none. Blocking.

    Nothing in them is hidden from a reader, and so neither from who reviews them.
    """
    shown = (entry.path for entry in entries if entry.mode in ("full", "part") and not _is_own(entry.path))
    folders = {"", *(folder for path in shown for folder in _above(path))}
    own = [file for file in _own(snapshot) if file.path not in dropped]
    by_depth = sorted(own, key=lambda file: (file.path.count("/"), file.path))
    texts, _ = read_texts(repository, [file for file in by_depth if _folder(file.path) in folders], rules)
    found, room = [], _most_chars(budget)
    for path, text in texts.items():
        if text and room > 0:
            shown_text = visible(text)
            found.append((_folder(path), shown_text if len(shown_text) <= room else _cut(shown_text[:room])))
            room -= len(shown_text)
    return tuple(found)


def _cut(text: str) -> str:
    return (text.rpartition("\n")[0] or text) + "\n" + CUT


def most_tokens(snapshot: Snapshot, budget: int) -> int:
    """What they may take of a budget, about: all of them, as if each concerned a file that is shown."""
    return min(sum(file.size for file in _own(snapshot)), _most_chars(budget)) // CHARS_PER_TOKEN


def _most_chars(budget: int) -> int:
    return min(MAX_CHARS, CHARS_PER_TOKEN * budget // 4)


def _own(snapshot: Snapshot) -> list[TreeFile]:
    return [file for file in snapshot.files if _is_own(file.path) and file.mode.startswith("100")]


def _is_own(path: str) -> bool:
    return path.rpartition("/")[2] == RULES_NAME


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _above(path: str) -> Iterator[str]:
    while path := _folder(path):
        yield path
