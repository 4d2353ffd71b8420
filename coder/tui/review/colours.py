"""The lines of a hunk with syntax colours, changed words and loud marks. Pure; made when a hunk is first seen."""

import difflib
import re
from collections.abc import Sequence

from coder.tui.highlight import highlight_lines
from coder.tui.lines import Line, Span, cut
from coder.tui.review.diff_text import SPELLED, DiffLine

CHUNK = 200  # lines coloured at a time
MAX_PAIRED = 60  # a longer block of changed lines has no words worth pairing
MAX_WORDS_LINE = 400
SIMILAR = 0.5  # below this two lines have little more in common than punctuation

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


def colour(lines: Sequence[DiffLine], language: str) -> list[Line]:
    """Each line as spans, styled but for its background's sign ("added", "removed")."""
    new = [at for at, line in enumerate(lines) if line.sign in " +"]
    old = [at for at, line in enumerate(lines) if line.sign in " -"]
    spans: list[Line] = [((line.text, "muted"),) for line in lines]
    signs = {line.sign for line in lines}
    for side in (
        (old, new) if {"+", "-"} <= signs else (old if "-" in signs else new,)
    ):  # context as the new side sees it
        for at, line in zip(side, highlight_lines([lines[at].text for at in side], language), strict=True):
            spans[at] = line
    words = changed_words(lines)
    return [_mark(line, spans[at], words.get(at, ())) for at, line in enumerate(lines)]


def changed_words(lines: Sequence[DiffLine]) -> dict[int, tuple[tuple[int, int], ...]]:
    """By line position: the character ranges that differ between a removed line and the added line it became."""
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "-")
        added = _run(lines, at + removed, "+")
        if 0 < removed <= MAX_PAIRED and 0 < added <= MAX_PAIRED:
            for pair in range(min(removed, added)):
                before, after = at + pair, at + removed + pair
                ranges = _differences(lines[before].text, lines[after].text)
                if ranges is not None:
                    found[before], found[after] = ranges
        at += max(1, removed + added)
    return found


def _run(lines: Sequence[DiffLine], start: int, sign: str) -> int:
    end = start
    while end < len(lines) and lines[end].sign == sign:
        end += 1
    return end - start


def _differences(old: str, new: str) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] | None:
    if max(len(old), len(new)) > MAX_WORDS_LINE:
        return None
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < SIMILAR:
        return None
    ranges: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            for side, words, start, end in ((0, before, i1, i2), (1, after, j1, j2)):
                if start < end:
                    first = len("".join(words[:start]))
                    ranges[side].append((first, first + len("".join(words[start:end]))))
    return tuple(ranges[0]), tuple(ranges[1])


def _mark(line: DiffLine, spans: Line, words: Sequence[tuple[int, int]]) -> Line:
    """The background of the sign, changed words, tabs, trailing blanks and spelled-out characters."""
    under = {"+": "added", "-": "removed"}.get(line.sign, "")
    marks: list[tuple[int, int, str]] = [(start, end, f"{under}-word") for start, end in words] if under else []
    if under:
        marks += [(at, at + 1, "faint") for at in line.tabs]
        blank = len(line.text) - len(line.text.rstrip(" "))
        if line.sign == "+" and blank:
            marks.append((len(line.text) - blank, len(line.text), "removed-word"))
    if line.loud:
        marks += [(*match.span(), "alarm") for match in SPELLED.finditer(line.text)]
    return _paint(spans, under, marks, line.tabs if under else ())


def _paint(spans: Line, under: str, marks: Sequence[tuple[int, int, str]], tabs: Sequence[int]) -> Line:
    bounds = sorted({bound for start, end, _ in marks for bound in (start, end)})
    painted: list[Span] = []
    position = 0
    for piece in cut(spans, bounds) if bounds else [spans]:
        for text, style in piece:
            over = [name for start, end, name in marks if start <= position < end]
            shown = "→" + text[1:] if position in tabs and text.startswith(" ") else text
            painted.append((shown, " ".join(filter(None, (under, style, *over)))))
            position += len(text)
    return tuple(span for span in painted if span[0])
