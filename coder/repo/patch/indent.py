"""Carries the indentation of added lines over from the edit's world to the file's, by the pairs that matched.

Learned in order of simplicity: unchanged, a common shift (the model dedented or over-indented the block), tabs for
spaces or the reverse, another unit per level. What was seen goes before what is computed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

Pair = tuple[str, str]  # indentation in the edit, in the file
Pairs = Counter[Pair]  # and how many lines have it

_WIDTHS = (4, 2, 8, 3, 1, 6)  # spaces that a tab may stand for, likeliest first


def indent_of(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


def learn(pairs: Pairs) -> Callable[[str], str]:
    """A function from an added line's text to the text to write. `pairs` come from lines that are not blank."""
    known = _most_frequent(pairs)
    distinct = list(known.items())
    if all(edit == file for edit, file in distinct):
        return lambda text: text
    convert = next((rule for make in (_shift, _tab_width, _scale) if (rule := make(distinct))), _longest(known))

    def apply(text: str) -> str:
        indent = indent_of(text)
        if not text.strip():
            return text
        return (known[indent] if indent in known else convert(indent)) + text[len(indent) :]

    return apply


def strays(pairs: Sequence[Pair]) -> list[int]:
    """Which of `pairs` are beyond the best rule: lines whose indentation speaks of another place."""
    distinct = Counter(pairs)
    if all(edit == file for edit, file in distinct):
        return []
    best = max(
        ({pair for pair in distinct if rule(pair)} for rule in _rules(distinct)),
        key=lambda explained: sum(distinct[pair] for pair in explained),
    )
    return [i for i, pair in enumerate(pairs) if pair not in best]


def _rules(pairs: Iterable[Pair]) -> Iterator[Callable[[Pair], bool]]:
    """The rules that any of `pairs` could be an example of. A blank more is one that the format's own was taken for."""
    yield lambda pair: pair[1] in (pair[0], " " + pair[0])
    yield from (partial(_same_columns, width) for width in _WIDTHS)
    for edit, file in pairs:
        if file.endswith(edit):
            yield partial(_is_more, file[: len(file) - len(edit)])
        if edit.endswith(file):
            yield partial(_is_less, edit[: len(edit) - len(file)])
        if edit and file:
            yield partial(_is_scaled, len(file), len(edit))


def _same_columns(width: int, pair: Pair) -> bool:
    return _spaces(pair[0], width) == _spaces(pair[1], width)


def _is_more(more: str, pair: Pair) -> bool:
    return pair[1] == more + pair[0]


def _is_less(less: str, pair: Pair) -> bool:
    return pair[0] == less + pair[1]


def _is_scaled(up: int, down: int, pair: Pair) -> bool:
    return len(pair[1]) * down == len(pair[0]) * up


def _most_frequent(pairs: Pairs) -> dict[str, str]:
    """For each indentation in the edit the one in the file that it stands for most often: a single line may be
    matched with another of the same text, or have a slip. As written wins a tie."""
    counted: dict[str, dict[str, int]] = {}
    for (edit, file), lines in pairs.items():
        counted.setdefault(edit, {})[file] = lines
    return {edit: max(files, key=lambda file: (files[file], file == edit)) for edit, files in counted.items()}


def _shift(pairs: list[Pair]) -> Callable[[str], str] | None:
    """The file has the same prefix more, or the same prefix less, than the edit in every pair."""
    edit, file = pairs[0]
    if file.endswith(edit):
        more = file[: len(file) - len(edit)]
        if all(file == more + edit for edit, file in pairs):
            return lambda indent: more + indent
    if edit.endswith(file):
        less = edit[: len(edit) - len(file)]
        if all(edit == less + file for edit, file in pairs):
            return lambda indent: indent.removeprefix(less)
    return None


def _tab_width(pairs: list[Pair]) -> Callable[[str], str] | None:
    """Tabs on one side are a fixed number of spaces on the other."""
    for width in _WIDTHS:
        if all(_spaces(edit, width) == _spaces(file, width) for edit, file in pairs):
            if any("\t" in file for _, file in pairs):
                return lambda indent: _tabs(indent, width)
            return lambda indent: _spaces(indent, width)
    return None


def _spaces(indent: str, width: int) -> str:
    return indent.replace("\t", " " * width)


def _tabs(indent: str, width: int) -> str:
    columns = len(_spaces(indent, width))
    return "\t" * (columns // width) + " " * (columns % width)


def _scale(pairs: list[Pair]) -> Callable[[str], str] | None:
    """Each level has another width: n characters in the edit are n * up / down of the file's character."""
    marks = {indent[0] for _, indent in pairs if indent}
    if len(marks) != 1 or any(len(set(edit + file)) > 2 for edit, file in pairs):
        return None
    up, down = next(((len(file), len(edit)) for edit, file in pairs if edit and file), (0, 0))
    if not up or any(len(file) * down != len(edit) * up for edit, file in pairs):
        return None
    mark = marks.pop()
    return lambda indent: mark * (len(indent) * up // down)


def _longest(known: dict[str, str]) -> Callable[[str], str]:
    """As the longest known indentation that begins this one, and the rest as written."""

    def convert(indent: str) -> str:
        shorter = [edit for edit in known if indent.startswith(edit)]
        if not shorter:
            return indent
        base = max(shorter, key=len)
        return known[base] + indent[len(base) :]

    return convert
