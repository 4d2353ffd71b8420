"""Which files of a tree import which, by the last parts of what each spells after `import`; no resolver."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from coder.context.corpus import FOLDER_NAMES, Document
from coder.context.languages import is_code

MOST_ALIKE = 4  # a name that more files than this have says nothing

_SUFFIX = re.compile(r"\.(?:[cm]?[jt]sx?|hh?|hpp|vue|svelte|rb|py)$")
_SEPARATORS = re.compile(r"[./:\\]+")


def by_name(documents: Sequence[Document]) -> dict[str, tuple[int, ...]]:
    """The documents that an import may call by each name: the file's, or its folder's for `index.ts` and the like."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        if is_code(document.path):
            found[import_name(document)].append(place)
    return {name: tuple(places) for name, places in found.items() if len(places) <= MOST_ALIKE}


def import_name(document: Document) -> str:
    folder, _, name = document.path.rpartition("/")
    stem = name.split(".")[0]
    return folder.rpartition("/")[2] if stem in FOLDER_NAMES and folder else stem


def targets(document: Document, names: Mapping[str, Iterable[int]]) -> frozenset[int]:
    """The documents that `document` seems to import (itself included where its own name is among them)."""
    found: set[int] = set()
    for spelled in document.imports.split("\n"):
        segments = [part for part in _SEPARATORS.split(_SUFFIX.sub("", spelled)) if part]
        for segment in segments[-2:]:
            found.update(names.get(segment, ()))
    return frozenset(found)
