"""Patterns with the meaning they have in .gitignore, for `.coderignore` and `--exclude`. Pure; reads no file.

Source: gitignore(5). The last pattern that matches decides; a file below an ignored directory cannot be taken back.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

MAX_PATTERNS = 5_000
MAX_PATTERN_LENGTH = 1_000


class Pattern(NamedTuple):
    text: str
    regex: re.Pattern[str]
    negated: bool
    directories_only: bool


class Patterns:
    """Ordered patterns. `match(path)` is "ignored", "kept" (a `!` pattern decided) or "" (none spoke of it)."""

    def __init__(self, lines: Iterable[str]) -> None:
        parsed = (parse(line) for line, _ in zip(lines, range(MAX_PATTERNS), strict=False))
        self.patterns: Sequence[Pattern] = tuple(pattern for pattern in parsed if pattern)
        self._directories: dict[str, str] = {"": ""}

    def match(self, path: str) -> Literal["ignored", "kept", ""]:
        """The verdict on the file `path` (POSIX, relative to the repository's root)."""
        if not self.patterns:
            return ""
        if self._directory(path.rpartition("/")[0]) == "ignored":
            return "ignored"
        return self._last(path, directory=False)

    def _directory(self, path: str) -> str:
        known = self._directories.get(path)
        if known is None:
            above = self._directory(path.rpartition("/")[0])
            known = above if above == "ignored" else self._last(path, directory=True)
            self._directories[path] = known
        return known

    def _last(self, path: str, *, directory: bool) -> Literal["ignored", "kept", ""]:
        for pattern in reversed(self.patterns):
            if (directory or not pattern.directories_only) and pattern.regex.fullmatch(path):
                return "kept" if pattern.negated else "ignored"
        return ""


def parse(line: str) -> Pattern | None:
    """One line of an ignore file; None for blank lines, comments and patterns that can match nothing."""
    text = line.rstrip("\r\n")
    text = re.sub(r"(?<!\\) +$", "", text)
    if not text or text.startswith("#") or len(text) > MAX_PATTERN_LENGTH:
        return None
    negated = text.startswith("!")
    body = text[1:] if negated else text
    directories_only = body.endswith("/")
    body = body.rstrip("/")
    if not body:
        return None
    anchored = "/" in body
    regex = _translate(body.removeprefix("/"))
    try:
        compiled = re.compile(regex if anchored else f"(?:.*/)?{regex}", re.DOTALL)
    except re.error:  # such as a reversed range: git lets it match nothing
        return None
    return Pattern(text, compiled, negated, directories_only)


_STAR, _DEEP = "*", "**/"


def _translate(pattern: str) -> str:
    """A regular expression for `pattern`.

    What follows a star is matched at its first place and never again (atomic groups): within one segment of a path
    that finds whatever there is to find, and a hostile pattern costs no more than the square of the path's length.
    """
    sections: list[list[str]] = [[]]
    for token in _tokens(pattern):
        if token == _DEEP:
            sections.append([])
        else:
            sections[-1].append(token)
    first, *deeper = (_section(section) for section in sections)
    last = f"(?:[^/]*/)*?{deeper.pop()}" if deeper else ""
    return first + "".join(f"(?>(?:[^/]*/)*?{section})" for section in deeper) + last


def _section(tokens: Sequence[str]) -> str:
    runs: list[str] = [""]
    for token in tokens:
        if token == _STAR:
            runs.append("")
        else:
            runs[-1] += token
    first, *starred = runs
    last = f"[^/]*{starred.pop()}" if starred else ""
    return first + "".join(f"(?>[^/]*?{run})" for run in starred) + last


def _tokens(pattern: str) -> Iterator[str]:
    """_STAR, _DEEP and regular expressions for everything else."""
    at, last = 0, len(pattern)
    while at < last:
        char = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            while pattern.startswith("**/", at):
                at += 3
            yield _DEEP
        elif pattern[at:] == "**" and at and pattern[at - 1] == "/":
            at = last
            yield ".+"
        elif char == "*":
            while at < last and pattern[at] == "*":
                at += 1
            yield _STAR
        elif char == "[" and (end := _bracket_end(pattern, at)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            inside = "^" + inside[1:] if inside[0] in "!^" else inside
            at = end + 1
            yield f"(?!/)[{inside}]"
        elif char == "\\" and at + 1 < last:
            at += 2
            yield re.escape(pattern[at - 1])
        else:
            at += 1
            yield "[^/]" if char == "?" else re.escape(char)


def _bracket_end(pattern: str, start: int) -> int:
    """The position of the `]` that closes the bracket opened at `start`; -1 if none does."""
    first = start + 2 if pattern[start + 1 : start + 2] in ("!", "^") else start + 1
    return pattern.find("]", first + 1)
