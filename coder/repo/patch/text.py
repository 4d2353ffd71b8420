"""A file's bytes as lines and back, losslessly: line ends, BOM, odd encodings and a missing final newline survive."""

import re
from collections import Counter

from msgspec import Struct

BOM = "\ufeff"
_UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that were not UTF-8, as surrogateescape keeps them
_SNIFFED = 8000  # bytes; where git looks for a NUL to call a file binary (xdiff-interface.c)


def refuse_content(content: bytes) -> str:
    """Why a file of these bytes cannot be edited as text, or ""."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "the file is UTF-16; only encodings that keep ASCII can be edited"
    if b"\0" in content[:_SNIFFED]:
        return "the file is binary"
    return ""


class FileText(Struct, frozen=True):
    """Lines without their ends, and the end of each ("" for a last line without a newline)."""

    lines: tuple[str, ...]
    ends: tuple[str, ...]
    bom: bool = False
    utf8: bool = True

    @classmethod
    def of(cls, content: bytes) -> "FileText":
        text = content.decode("utf-8", "surrogateescape")
        bom = text.startswith(BOM) and text != BOM  # alone it is all that a line of a diff can speak of
        if bom:
            text = text[1:]
        utf8 = text.isascii() or _UNDECODED.search(text) is None
        # Classic Mac files have no LF at all; elsewhere a lone CR is part of its line, as for git.
        if "\n" not in text and "\r" in text:
            return cls(*_cut(text, "\r"), bom=bom, utf8=utf8)
        return cls(*_cut(text, "\n"), bom=bom, utf8=utf8)

    def bytes(self) -> bytes:
        text = "".join(line + end for line, end in zip(self.lines, self.ends, strict=True))
        return ((BOM if self.bom else "") + text).encode("utf-8", "surrogateescape")

    @property
    def main_end(self) -> str:
        """The most frequent line end; LF for a file without any."""
        counted = Counter(end for end in self.ends if end)
        return counted.most_common(1)[0][0] if counted else "\n"

    @property
    def ends_with_newline(self) -> bool:
        return not self.ends or self.ends[-1] != ""


def _cut(text: str, separator: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pieces = text.split(separator)
    last = pieces.pop()
    lines, ends = [], []
    for piece in pieces:
        crlf = separator == "\n" and piece.endswith("\r")
        lines.append(piece[:-1] if crlf else piece)
        ends.append("\r\n" if crlf else separator)
    if last:
        lines.append(last)
        ends.append("")
    return tuple(lines), tuple(ends)
