"""Syntax colours through Pygments, imported only when code is first shown. Takes and returns visible text."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from coder.tui.lines import Line, Span

# Longer texts and lines are left uncoloured: a lexer is quadratic on some inputs, and nobody reads them by colour.
MAX_CHARS = 60_000
MAX_LINE = 1_000

_STYLES = (
    ("Comment", "comment"),
    ("Literal.String.Doc", "comment"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Keyword.Constant", "number"),
    ("Keyword", "keyword"),
    ("Operator.Word", "keyword"),
    ("Name.Function", "name"),
    ("Name.Class", "name"),
    ("Name.Tag", "name"),
    ("Name.Decorator", "name"),
    ("Name.Attribute", "name"),
    ("Name.Builtin", "name"),
    ("Generic.Heading", "name"),
)


@cache
def _style_of(token: Any) -> str:
    name = str(token).removeprefix("Token.")
    return next((style for prefix, style in _STYLES if name == prefix or name.startswith(f"{prefix}.")), "text")


@cache
def _lexer(name: str) -> Any:
    """The lexer for a language ("python") or a file name ("app.py"); None for plain text. Never guesses by content."""
    from pygments.lexers import (  # type: ignore[import-untyped]
        find_lexer_class_by_name,
        find_lexer_class_for_filename,
    )
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        found = find_lexer_class_by_name(name) if "." not in name else find_lexer_class_for_filename(name)
    except ClassNotFound:
        return None
    return None if found is None else found(stripnl=False, ensurenl=False)


def warm(paths: Iterable[str]) -> None:
    """Prepare the most common languages of `paths`, so that the first code to be shown need not wait. For a thread."""
    names = Counter(os.path.splitext(path)[1] for path in paths)
    for ending, _ in names.most_common(2):
        if ending:
            highlight_lines(["x = 1"], f"x{ending}")


def language_of(path: str) -> str:
    """The file name by which `highlight_lines` finds the language of a path."""
    name = path.rpartition("/")[2]
    return name if "." in name else {"Makefile": "make", "Dockerfile": "docker"}.get(name, "")


def highlight_lines(lines: Sequence[str], language: str) -> list[Line]:
    """`lines` of one piece of code as spans; plain where the language is unknown or the text too long."""
    if not language or sum(map(len, lines)) > MAX_CHARS or any(len(line) > MAX_LINE for line in lines):
        return [((line, "text"),) for line in lines]
    lexer = _lexer(language)
    if lexer is None:
        return [((line, "text"),) for line in lines]
    rows: list[list[Span]] = [[]]
    for token, text in lexer.get_tokens("\n".join(lines)):
        style = _style_of(token)
        first, *others = text.split("\n")
        if first:
            rows[-1].append((first, style))
        rows += [[(piece, style)] if piece else [] for piece in others]
    # A lexer may drop or add line ends; what it did not return as it was is shown plain.
    whole = ["".join(text for text, _ in row) for row in rows[: len(lines)]]
    if whole != list(lines):
        return [((line, "text"),) for line in lines]
    return [tuple(row) for row in rows[: len(lines)]]
