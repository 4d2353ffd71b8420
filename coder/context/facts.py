"""What the index keeps of one file: terms by field, declarations, imports, oddities. Computed from bytes alone.

Runs in a worker process for all but a handful of files; see coder.context.worker.
"""

import json
import re
import struct
from array import array
from itertools import repeat
from typing import NamedTuple

from coder.context.languages import is_code, is_prose, language_of, suffix_of
from coder.context.outline import Outline, Symbol, has_outline, outline, plain_outline
from coder.context.terms import count
from coder.context.withheld import content_why

PROSE_BYTES = 128 * 1024  # how much of a document is read for terms; a changelog's tail says little
DATA_BYTES = 4 * 1024  # the same for data (JSON, CSV, SVG, lock files): its head says what it is
MOST_DATA_BYTES = 64 * 1024  # data above this is known by its name only
DRAWING = ".svg"  # text, but full of numbers and names that nobody gave: known by its name only too
MINIFIED_LINE = 400  # mean bytes per line above which code was written by a machine

_HEADER = struct.Struct("<9I")


class Facts(NamedTuple):
    """`ids` are sorted term numbers (4 bytes each), `counts` three bytes for each: everywhere, in comments, in names
    of declarations (capped at 255). `why` is set when the content keeps the file from the model."""

    ids: bytes = b""
    counts: bytes = b""
    words: int = 0
    comment_words: int = 0
    name_words: int = 0
    lines: int = 0
    why: str = ""
    imports: str = ""
    symbols: str = "[]"

    def packed(self) -> bytes:
        """One frame for the pipe between processes; no format that could run code when read."""
        texts = [self.ids, self.counts, *(text.encode() for text in (self.why, self.imports, self.symbols))]
        numbers = (self.words, self.comment_words, self.name_words, self.lines)
        return _HEADER.pack(*map(len, texts), *numbers) + b"".join(texts)

    @staticmethod
    def unpacked(frame: bytes) -> "Facts":
        *lengths, total, comments, names, lines = _HEADER.unpack_from(frame)
        texts, at = [], _HEADER.size
        for length in lengths:
            texts.append(frame[at : at + length])
            at += length
        why, imports, symbols = (text.decode() for text in texts[2:])
        return Facts(texts[0], texts[1], total, comments, names, lines, why, imports, symbols)

    def outline(self) -> tuple[Symbol, ...]:
        return tuple(map(Symbol._make, json.loads(self.symbols)))


def facts_key(oid: str, path: str) -> str:
    """What facts are kept under: the blob, and the extension, since that chooses how the blob is read."""
    return f"{oid}.{suffix_of(path)}"


def worth_reading(path: str, size: int) -> bool:
    """Whether the index reads the content of a file of `size` bytes."""
    return not path.endswith(DRAWING) if size <= MOST_DATA_BYTES else is_code(path) or is_prose(path)


def read_bytes(path: str) -> int | None:
    """How much of a file is read, None for all. Before a file is shown, all of it is looked at again."""
    return None if is_code(path) or is_prose(path) or has_outline(path) else DATA_BYTES


def read_facts(path: str, content: bytes, *, plain: bool = False) -> Facts:
    """The facts of one file. `plain` reads it without a grammar (after one failed on it)."""
    code, prose, outlined = is_code(path), is_prose(path), has_outline(path)
    content = content[: read_bytes(path)]
    if why := content_why(path, content):
        return Facts(why=why)
    lines = content.count(b"\n") + 1
    if code and len(content) > 4_096 and len(content) / lines > MINIFIED_LINE:
        return Facts(lines=lines, why="minified")
    text = content[: None if code else PROSE_BYTES if prose else DATA_BYTES].decode("utf-8", "replace")
    found = _outline(path, text, plain) if outlined else Outline((), "")
    everywhere = count(text)
    comments = count(found.comments)
    names = count("\n".join([symbol.name for symbol in found.symbols]))
    ids = sorted(everywhere)
    counts = bytearray(3 * len(ids))
    for field, of_term in enumerate((everywhere, comments, names)):
        if of_term:
            counts[field::3] = _capped(list(map(of_term.get, ids, repeat(0))))
    symbols = json.dumps(found.symbols)
    return Facts(
        array("I", ids).tobytes(),
        bytes(counts),
        sum(everywhere.values()),
        sum(comments.values()),
        sum(names.values()),
        lines,
        "",
        imports(path, text),
        symbols,
    )


def _capped(times: list[int]) -> bytes:
    try:
        return bytes(times)
    except ValueError:  # rare: some term occurs more than 255 times
        return bytes([min(each, 255) for each in times])


def _outline(path: str, text: str, plain: bool) -> Outline:
    try:
        return plain_outline(path, text) if plain else outline(path, text)
    except ValueError:  # the parser reached its own time limit
        return plain_outline(path, text)


# Each begins with a character and not with `^` or `\b`: the search for it is then several times as quick.
_IMPORTS = {
    "python": r"\n[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import|import[ \t]+([\w.]+))",
    "javascript": r"""(?:from|import|require\(|import\()[ \t]*["']([^"'\n]{1,200})["']""",
    "go": r"""\n[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([\w./-]{1,200})"[ \t]*$""",
    "rust": r"\n[ \t]*(?:pub(?:\([\w:]+\))?[ \t]+)?(?:use[ \t]+([\w:]+)|mod[ \t]+(\w+);)",
    "java": r"\nimport[ \t]+(?:static[ \t]+)?([\w.]+)",
    "c": r"""\n[ \t]*#[ \t]*include[ \t]*["<]([^">\n]{1,200})[">]""",
    "ruby": r"""\n[ \t]*(?:require|require_relative|load)[ \t(]+["']([^"'\n]{1,200})["']""",
    "php": r"\n[ \t]*use[ \t]+([\w\\]+)",
    "c_sharp": r"\n[ \t]*using[ \t]+([\w.]+)[ \t]*;",
    "bash": r"\n[ \t]*(?:source|\.)[ \t]+([\w./-]+)",
}
_IMPORTS |= {"typescript": _IMPORTS["javascript"], "tsx": _IMPORTS["javascript"], "cpp": _IMPORTS["c"]}


def imports(path: str, text: str) -> str:
    """What the file imports, as it spells it, one a line, at most 400."""
    language = "javascript" if suffix_of(path) in ("vue", "svelte", "astro") else language_of(path)
    pattern = _IMPORTS.get(language)
    if pattern is None:
        return ""
    matches = re.finditer(pattern, f"\n{text}", re.MULTILINE)
    found = dict.fromkeys(next(filter(None, match.groups()), "") for match in matches)
    return "\n".join(list(found)[:400])
