"""From the rows of a placed hunk to the regions of the file that it changes."""

from coder.repo.patch.edits import Hunk, ProblemKind

Rows = tuple[int | None, ...]  # the file line (0-based) of each old line; None for context that the file lacks


class Unplaced(Exception):
    """A hunk has no one place. `lines` are the first of the 1-based lines where it would equally fit, `places` how many
    there are."""

    def __init__(self, kind: ProblemKind, message: str, lines: tuple[int, ...] = (), places: int = 0) -> None:
        super().__init__(message)
        self.kind: ProblemKind = kind
        self.lines = lines
        self.places = places


def regions(hunk: Hunk, rows: Rows) -> tuple[tuple[int, int], ...]:
    """For each run of changed lines, the file lines (half open) that it replaces. Raises Unplaced."""
    found: list[tuple[int, int]] = []
    row = first = 0
    inside = False
    for line in hunk.lines:
        if line.kind != " " and not inside:
            first, inside = row, True
        elif line.kind == " " and inside:
            found.append(_region(rows, first, row))
            inside = False
        row += line.kind != "+"
    if inside:
        found.append(_region(rows, first, row))
    return tuple(found)


def _region(rows: Rows, first: int, after: int) -> tuple[int, int]:
    """Where the run stands whose removed lines are the rows `first` to `after`."""
    removed = [row for row in rows[first:after] if row is not None]
    if removed:
        return removed[0], removed[-1] + 1
    above = rows[first - 1] if first > 0 else None
    below = rows[after] if after < len(rows) else None
    if above is not None and below is not None and below != above + 1:
        raise Unplaced("not_found", "a line that the edit does not mention stands where it inserts")
    if above is not None:
        return above + 1, above + 1
    if below is not None:
        return below, below
    if not rows:
        return 0, 0  # an empty file
    raise Unplaced("not_found", "no line next to the insertion is in the file")
