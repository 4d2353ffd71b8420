"""Where a proposal holds some words, and a line with them marked. Capitals do not matter."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from coder.tui.lines import Line, cut, plain
from coder.tui.review.decisions import Place
from coder.tui.review.diff_text import FileText

Hit = tuple[int, int, int]  # file, hunk and line of it; the line -1 is the file's path, before its first hunk


def next_hit(files: Sequence[FileText], order: Sequence[Place], after: Hit, words: str) -> Hit | None:
    """The first place below `after`, going round the hunks in `order`, that holds `words`."""
    start = bisect_left(order, after[:2])
    for turn, place in enumerate([*order[start:], *order[: start + 1]]):
        for line in _lines_with(files[place[0]], place, words.lower(), in_path=_is_first(order, place)):
            if turn or (*place, line) > after:
                return *place, line
    return None


def _is_first(order: Sequence[Place], place: Place) -> bool:
    at = bisect_left(order, place)
    return at == 0 or order[at - 1][0] != place[0]


def _lines_with(file: FileText, place: Place, words: str, *, in_path: bool) -> Iterator[int]:
    if in_path and words in file.title.lower():
        yield -1
    if place[1] < len(file.diff.hunks):
        yield from (at for at, line in enumerate(file.lines(place[1])) if words in line.text.lower())


def marked(line: Line, words: str) -> Line:
    """`line` with every occurrence of `words` in the style "found"."""
    text, words = plain(line).lower(), words.lower()
    bounds: list[int] = []
    at = text.find(words)
    while at >= 0:
        bounds += [at, at + len(words)]
        at = text.find(words, at + len(words))
    if not bounds or len(text) != len(plain(line)):  # letters whose small form is longer: nothing fits its place
        return line
    pieces = cut(line, bounds)
    return tuple(
        (text, f"{style} found".strip() if number % 2 else style)
        for number, piece in enumerate(pieces)
        for text, style in piece
        if text
    )
