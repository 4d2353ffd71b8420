"""Carries the indentation of added lines over from the edit's world to the file's, by the pairs that matched.

Learned in order of simplicity: unchanged, a common shift (the model dedented or over-indented the block), tabs for
spaces or the reverse, another unit per level. What was seen goes before what is computed.
"""

from collections import Counter
from collections.abc import Callable, Sequence

Pair = tuple[str, str]  # indentation in the edit, in the file


def indent_of(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


def learn(pairs: Sequence[Pair]) -> Callable[[str], str]:
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


def _most_frequent(pairs: Sequence[Pair]) -> dict[str, str]:
    """For each indentation in the edit the one in the file that it stands for most often: a single line may be
    matched with another of the same text, or have a slip. As written wins a tie."""
    counted: dict[str, Counter[str]] = {}
    for edit, file in pairs:
        counted.setdefault(edit, Counter())[file] += 1
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
    for width in (4, 2, 8, 3, 1, 6):
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
