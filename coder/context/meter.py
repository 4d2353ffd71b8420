"""What the texts and names of a plan cost in tokens: exactly and remembered, or at no loading cost and no less."""

import hashlib
from collections.abc import Mapping, Sequence

from coder.context.choose import Read
from coder.context.corpus import Document
from coder.context.index import Index
from coder.context.render import Piece
from coder.context.tokens import count_tokens, estimate_tokens
from coder.text import visible_line
from coder.values import ContextEntry

FILE_OVERHEAD = 12  # tokens of the tags around a file, beside its path
ODD_IN_PLAIN_NAMES = 6  # dots, capitals, digits and the like that make no plain name longer than half its letters
_COMMON = b"abcdefghijklmnopqrstuvwxyz/"


class ExactMeter:
    """Exact o200k_base tokens, remembered in the index by blob, or by the hash of a shorter text."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._whole: dict[str, int] = {}
        self._new: dict[str, int] = {}

    def whole(self, documents: Sequence[Document], read: Read) -> Mapping[str, int]:
        known = self._index.tokens([document.oid for document in documents])
        unknown = [document for document in documents if document.oid not in known]
        texts = read(unknown)
        for document in unknown:
            if document.path in texts:
                known[document.oid] = self._new[document.oid] = count_tokens(texts[document.path])
        self._whole = known
        return {
            document.path: known[document.oid] + self.tags(document.path)
            for document in documents
            if document.oid in known
        }

    def alone(self, entry: ContextEntry) -> int:
        """The text of an entry, without all that stands around it."""
        return self._whole[entry.blob] if entry.mode == "full" else self.text(entry.text)

    def text(self, text: str) -> int:
        if not text:
            return 0
        key = "text:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        if key not in self._new:
            known = self._index.tokens([key])
            self._new[key] = known[key] if key in known else count_tokens(text)
        return self._new[key]

    def tags(self, path: str) -> int:
        return FILE_OVERHEAD + count_tokens(_shown(path))

    def name(self, path: str) -> int:
        return 2 + letters_tokens(_shown(path.rpartition("/")[2]))

    def folder(self, path: str) -> int:
        return 3 + letters_tokens(_shown(path.rpartition("/")[0]))

    def keep(self) -> None:
        """Remember what was counted."""
        self._index.keep_tokens(self._new)


def about(piece: Piece) -> int:
    """What a piece has beside its text, about; no fewer where a name is odd."""
    beside = piece.before + piece.after
    return estimate_tokens(beside) if beside.isascii() else letters_tokens(beside)


def _shown(name: str) -> str:
    return name if name.isprintable() else visible_line(name)


def letters_tokens(name: str) -> int:
    """An upper bound for names and tags: two small letters to a token, all else byte by byte but for a few."""
    shown = name.encode("utf-8", "replace")
    odd = len(shown.translate(None, _COMMON))
    return max(len(shown) // 2, (len(shown) + odd) // 2 - ODD_IN_PLAIN_NAMES)
