"""Whether the lines of a hunk are indented in step with the file lines that they match but for white space."""

from collections.abc import Sequence
from itertools import groupby

from coder.repo.patch.edits import Hunk, Line
from coder.repo.patch.indent import Pairs, indent_of, strays
from coder.repo.patch.match import Target

_CLOSING = 3  # characters that what closes a block may have: "}", "});", "end"


class Levels:
    """The indentation of a hunk's old lines, judged at one place after the other."""

    def __init__(self, hunk: Hunk) -> None:
        self._lines = [
            (line.text.strip(), indent_of(line.text), beside) for line, beside in _beside_insertions(hunk.lines)
        ]

    def fit(self, rows: Sequence[int | None], target: Target) -> bool:
        """Whether at most a quarter of the lines is indented in another way than the others, and next to an insertion
        none that only closes a block: without its indentation such a line is equal wherever a block ends."""
        matched = [
            (text, (indent, target.indents[row]), beside)
            for (text, indent, beside), row in zip(self._lines, rows, strict=True)
            if row is not None and text
        ]
        stray = strays([pair for _, pair, _ in matched])
        return len(stray) * 4 <= len(matched) and not any(
            beside and len(text) <= _CLOSING for text, _, beside in (matched[i] for i in stray)
        )

    def where_fit(self, starts: list[int], target: Target) -> list[int]:
        """Those of `starts` from where on the hunk fits. Where lines repeat, so do their indentations."""
        size = len(self._lines)
        judged: dict[tuple[str, ...], bool] = {}
        for start in starts:
            indents = target.indents[start : start + size]
            if indents not in judged:
                judged[indents] = self.fit(range(start, start + size), target)
        return [start for start in starts if judged[target.indents[start : start + size]]]


def _beside_insertions(lines: Sequence[Line]) -> list[tuple[Line, bool]]:
    """The old lines, and whether lines are inserted above or below each with nothing but empty lines between.

    Where lines are removed as well, these say which place is meant.
    """
    flags = [False] * len(lines)
    at = 0
    told = [i for i, line in enumerate(lines) if line.kind != " " or line.text.strip()]
    for changed, run in groupby(told, key=lambda i: lines[i].kind != " "):
        size = len(list(run))
        if changed and all(lines[i].kind == "+" for i in told[at : at + size]):
            for i in (*told[at - 1 : at], *told[at + size : at + size + 1]):
                flags[i] = True
        at += size
    return [(line, flag) for line, flag in zip(lines, flags, strict=True) if line.kind != "+"]


def matched_indents(hunk: Hunk, rows: Sequence[int | None], target: Target) -> Pairs:
    """The indentation of the matched lines that are not blank, in the edit and in the file; removed lines first."""
    context, removed = Pairs(), Pairs()
    for line, row in zip(hunk.old, rows, strict=True):
        if row is not None and line.text.strip() and target.lines[row].strip():
            pairs = removed if line.kind == "-" else context
            pairs[indent_of(line.text), target.indents[row]] += 1
    # Context that lost the blank its format puts before it is off by one; lines with a sign are not.
    if all(there in (edit, " " + edit) for edit, there in context) and all(edit == there for edit, there in removed):
        return Pairs((edit, edit) for edit, _ in (removed + context).elements())
    return removed + context
