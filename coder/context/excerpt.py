"""What is shown of a file that is not shown whole: its outline, or ranges of lines cut at declarations. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from coder.context.outline import Symbol
from coder.context.terms import numbers, words

OUTLINE_LINES = 80
CHUNK_LINES = 60
HEAD_LINES = 12  # the opening of a file (what it is for, what it imports) belongs to any part of it

Range = tuple[int, int]


def outline_text(
    symbols: Sequence[Symbol], weights: Mapping[int, float] = MappingProxyType({}), most: int = OUTLINE_LINES
) -> str:
    """One line for each declaration with its line number. Of more than `most`, those at the top level stay first (up
    to half), then those that hold terms of the task (`weights` by number), then the shallow ones.
    """
    shown = [symbol for symbol in symbols if symbol.signature]
    if len(shown) > most:
        top = [symbol for symbol in shown if symbol.depth == 0 and symbol.kind != "variable"][: most // 2]
        by_worth = sorted(shown, key=lambda symbol: (-_declared(symbol, weights), symbol.depth, _is_detail(symbol)))
        kept = {id(symbol) for symbol in dict.fromkeys([*top, *by_worth][:most])}
        shown = [symbol for symbol in shown if id(symbol) in kept]
    lines = [f"{symbol.first}: {'  ' * symbol.depth}{symbol.signature}" for symbol in shown]
    if left := len(symbols) - len(lines):
        lines.append(f"… {left} more")
    return "\n".join(lines) + "\n" if lines else ""


def _declared(symbol: Symbol, weights: Mapping[int, float]) -> float:
    return sum([weights.get(number, 0.0) for number in numbers(symbol.name)]) if weights else 0.0


def _is_detail(symbol: Symbol) -> bool:
    return symbol.kind == "variable" and symbol.depth > 0


def chunks(symbols: Sequence[Symbol], lines: int) -> list[Range]:
    """The file's lines cut where declarations begin, in pieces of about CHUNK_LINES at most; every line is in one."""
    if lines < 1:
        return []
    starts = {1, *(symbol.first for symbol in symbols if symbol.depth <= 1 and symbol.kind != "variable")}
    cut: list[Range] = []
    ordered = sorted(start for start in starts if start <= lines)
    for start, following in zip(ordered, [*ordered[1:], lines + 1], strict=True):
        for first in range(start, following, CHUNK_LINES):
            cut.append((first, min(first + CHUNK_LINES, following) - 1))
    return _joined(cut)


def _joined(cut: Sequence[Range]) -> list[Range]:
    """Short neighbours together, up to half of CHUNK_LINES."""
    joined: list[Range] = []
    for first, last in cut:
        if joined and last - joined[-1][0] < CHUNK_LINES // 2:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def best_ranges(
    text: str, symbols: Sequence[Symbol], weights: Mapping[int, float], most: int, count: Callable[[str], int]
) -> tuple[Range, ...]:
    """The ranges of lines that hold most of the task's terms (`weights` by number) within `most` tokens.

    Empty when not even one piece fits, or when no piece holds any of them.
    """
    lines = lines_of(text)
    pieces = chunks(symbols, len(lines))
    scored = []
    for first, last in pieces:
        body = "".join(lines[first - 1 : last])
        found = _weight(body, weights)
        cost = count(body) + 12  # the line that says what was left out
        scored.append((-found / math.sqrt(cost + 40), first, last, cost))
    if not any(value for value, *_ in scored):
        return ()
    head = (1, min(HEAD_LINES, len(lines)))
    chosen, left = [head], most - count("".join(lines[: head[1]])) - 12
    for value, first, last, cost in sorted(scored):
        if value < 0 and cost <= left:
            chosen.append((first, last))
            left -= cost
    return merged(chosen) if len(chosen) > 1 else ()


def _weight(body: str, weights: Mapping[int, float]) -> float:
    times: dict[int, int] = {}
    for word in words(body):
        for term in numbers(word):
            if term in weights:
                times[term] = times.get(term, 0) + 1
    return sum(weights[term] * times[term] / (times[term] + 1) for term in sorted(times))


def merged(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """In order, touching and overlapping ones joined."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def part_text(text: str, ranges: Sequence[Range]) -> str:
    """The lines of `ranges`, with a line for each gap that says which lines it leaves out."""
    lines = lines_of(text)
    shown, following = list[str](), 1
    for first, last in ranges:
        if first > following:
            shown.append(f"[lines {following}-{first - 1} are not shown]\n")
        shown += lines[first - 1 : last]
        following = last + 1
    if following <= len(lines):
        shown.append(f"[lines {following}-{len(lines)} are not shown]\n")
    return "".join(shown)


def lines_of(text: str) -> list[str]:
    """The lines as git counts them (ended by a newline and by nothing else), each with its end."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])
