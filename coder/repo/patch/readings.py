"""Readings of a hunk: what the model may have meant to write, from the letter to what is often layout."""

import html
import re
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from coder.repo.patch.edits import Hunk, Line


def readings(hunk: Hunk) -> Iterator[Hunk]:
    """As written; without prose after it; without line numbers copied from a listing; without HTML entities."""
    yield hunk
    for cut in _tail_cuts(hunk):
        yield _shortened(hunk, 0, cut)
    for change in (_unnumbered(hunk), _unescaped(hunk)):
        if change is not None:
            yield _mapped(hunk, change)


def _tail_cuts(hunk: Hunk) -> list[int]:
    """How many closing lines to leave out, fewest first: from each empty line in the tail on, then the whole tail."""
    size = len(hunk.lines)
    cuts = [size - i for i in range(size - hunk.tail, size) if not hunk.lines[i].text.strip() or i == size - hunk.tail]
    return sorted(set(cuts))


def _shortened(hunk: Hunk, head: int, tail: int) -> Hunk:
    """The hunk without its first `head` and last `tail` lines; the line number moves along."""
    lines = hunk.lines[head : len(hunk.lines) - tail]
    dropped = sum(line.kind != "+" for line in hunk.lines[:head])
    return replace(
        hunk,
        lines=lines,
        tail=max(0, hunk.tail - tail),
        start=hunk.start + dropped if hunk.start else 0,
        cut=hunk.cut and not tail,
    )


def _mapped(hunk: Hunk, change: Callable[[str], str]) -> Hunk:
    return replace(hunk, lines=tuple(line._replace(text=change(line.text)) for line in hunk.lines))


_NUMBERED = re.compile(r"\s*\d+(?: ?[|:\u2502\u2192]|\t) ?")


def _unnumbered(hunk: Hunk) -> Callable[[str], str] | None:
    """A listing's line numbers, if every line of the hunk that is not empty has one."""
    written = [line.text for line in hunk.lines if line.text.strip()]
    if not written or not all(_NUMBERED.match(text) for text in written):
        return None
    return lambda text: _NUMBERED.sub("", text, count=1)


_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d+|#x[\da-fA-F]+);")
_PLAIN = re.compile(r"[<>]|&(?!(?:lt|gt|amp|quot|apos|#\d+|#x[\da-fA-F]+);)")  # what escaping would have replaced


def _unescaped(hunk: Hunk) -> Callable[[str], str] | None:
    """HTML entities, if the hunk has some and no character that such escaping would have replaced."""
    text = "\n".join(line.text for line in hunk.lines)
    return html.unescape if _ENTITY.search(text) and not _PLAIN.search(text) else None


def entities_undone(hunks: Sequence[Hunk], file: Sequence[str]) -> list[Hunk]:
    """The hunks of a file without HTML entities, if the evidence is that their transport put them there: the hunks
    have entities only, and the file, which writes such characters plainly, has none."""
    text = "\n".join(line.text for hunk in hunks for line in hunk.lines)
    if not _ENTITY.search(text) or _PLAIN.search(text):
        return list(hunks)
    if any(_ENTITY.search(line) for line in file) or not any(_PLAIN.search(line) for line in file):
        return list(hunks)
    return [_mapped(hunk, html.unescape) for hunk in hunks]


def loose_readings(hunk: Hunk) -> Iterator[Hunk]:
    """Without the empty lines at the ends of a block, which are often layout. Only after a check that the change
    is not there already: less context makes it easier to apply twice."""
    head = _blank_ends(hunk.lines)
    tail = _blank_ends(hunk.lines[::-1])
    if head + tail and head + tail < len(hunk.lines):
        shorter = _shortened(hunk, head, tail)
        if shorter.old and shorter.changes:
            yield shorter


def _blank_ends(lines: tuple[Line, ...]) -> int:
    """How many lines at the start are empty and may be dropped: not removed ones that are a change of their own."""
    blank = next((i for i, line in enumerate(lines) if line.kind == "+" or line.text.strip()), 0)
    while blank and lines[blank - 1].kind == "-" != lines[blank].kind:
        blank -= 1
    return blank
