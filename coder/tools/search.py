"""search: a literal text or a regular expression over the draft's text files, in bounded time.

The patterns come from a model, so no engine that can run away: a pattern must be one that Python's `re` accepts,
its counted repeats may not multiply beyond what can be compiled, and matching is done by the `regex` engine, which
takes a time limit and lets other threads run.
"""

import bisect
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

from pydantic import Field

from coder.agents.tool import Arguments, Desk, Tool
from coder.context.withheld import is_binary
from coder.errors import ToolError
from coder.repo.repository import TreeFile
from coder.text import visible_line
from coder.tools.draft_files import matching_files, plain, why_hidden

MAX_PATTERN = 300
MAX_REPEATS = 1_000  # product of all counted repeats: `((a{1000}){1000}){1000}` would take gigabytes to compile
MAX_MATCHES = 100
MAX_PER_FILE = 20
MAX_LINE = 240
SECONDS = 5.0
PORTION = 8_000_000  # bytes read at a time


class Search(Arguments):
    pattern: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]
    regex: bool | None = None
    ignore_case: bool | None = None
    paths: Annotated[list[str] | None, Field(max_length=20)] = None


@dataclass(frozen=True, slots=True)
class Match:
    path: str
    line: int
    text: str


async def _search(asked: Search, desk: Desk) -> str:
    pattern = compile_pattern(asked)
    return await desk.blocking(_search_all, asked, pattern, desk)


def compile_pattern(asked: Search) -> Any:
    """A pattern of the `regex` engine. Raises ToolError for what is no Python regular expression or too costly."""
    import regex  # type: ignore[import-untyped]

    text = asked.pattern if asked.regex else re.escape(asked.pattern)
    counts = (max(int(low or 0), int(high or 0), 1) for low, high in _REPEAT.findall(text))
    if asked.regex and prod(counts) > MAX_REPEATS:
        raise ToolError(f"the pattern's repeats multiply to more than {MAX_REPEATS}: use * or + instead")
    try:
        re.compile(text)
        literal_braces = _BRACE.sub(lambda found: found[1] or r"\{", text)
        return regex.compile(literal_braces, regex.MULTILINE | (regex.IGNORECASE if asked.ignore_case else 0))
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise ToolError(f"not a regular expression of Python's re: {str(error)[:200]}") from None


_REPEAT = re.compile(r"\{(\d{0,9})(?:,(\d{0,9}))?\}")
# `{` that opens no counted repeat is itself in `re`, but fuzzy matching in `regex`.
_BRACE = re.compile(r"(\\.|\{\d+(?:,\d*)?\}|\{,\d+\})|\{", re.DOTALL)


def _search_all(asked: Search, pattern: Any, desk: Desk) -> str:
    files = [file for file in matching_files(asked.paths, desk) if not why_hidden(file, desk)]
    deadline = time.monotonic() + SECONDS
    found: list[Match] = []
    total, searched, stopped = 0, 0, ""
    try:
        for file, content in _contents(files, desk):
            searched += 1
            if is_binary(content):
                continue
            matches = list(find_in(file.path, plain(content.decode("utf-8", "replace")), pattern, deadline))
            if matches and not desk.hides(file.path, content):
                total += len(matches)
                found += matches[: min(MAX_PER_FILE, MAX_MATCHES - len(found))]
    except TimeoutError:
        stopped = f"[stopped after {SECONDS:.0f} s, {searched} of {len(files)} files searched: narrow paths or pattern]"
    return _report(found, total, searched, stopped)


def _contents(files: Sequence[TreeFile], desk: Desk) -> Iterator[tuple[TreeFile, bytes]]:
    """The files' contents, read in portions so that a large repository never is in memory as a whole."""
    portion: list[TreeFile] = []
    size = 0
    for file in files:
        if portion and size + file.size > PORTION:
            yield from _read(portion, desk)
            portion, size = [], 0
        portion.append(file)
        size += file.size
    yield from _read(portion, desk)


def _read(files: Sequence[TreeFile], desk: Desk) -> Iterator[tuple[TreeFile, bytes]]:
    blobs = desk.draft.read_blobs(file.oid for file in files)
    yield from ((file, blobs[file.oid]) for file in files if file.oid in blobs)


def find_in(path: str, text: str, pattern: Any, deadline: float) -> Iterator[Match]:
    """One match for each line that holds one. Raises TimeoutError when `deadline` (time.monotonic) passes."""
    starts: list[int] = []
    position = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        hit = pattern.search(text, position, timeout=left, concurrent=True)
        if hit is None:
            return
        starts = starts or [0, *(newline.end() for newline in re.finditer("\n", text))]
        number = bisect.bisect_right(starts, hit.start())
        end = starts[number] if number < len(starts) else len(text) + 1
        yield Match(path, number, text[starts[number - 1] : end].rstrip("\n"))
        position = end
        if position > len(text):
            return


def _report(found: Sequence[Match], total: int, searched: int, stopped: str) -> str:
    lines = [f"{visible_line(match.path)}:{match.line}: {visible_line(match.text, MAX_LINE)}" for match in found]
    if total > len(found):
        lines.append(f"[{total - len(found)} more matching lines not shown: narrow paths or pattern]")
    if not found:
        lines.append(f"no match in {searched} files")
    return "\n".join([*lines, stopped] if stopped else lines)


def _describe(asked: Search) -> str:
    where = f" in {', '.join(asked.paths)}" if asked.paths else ""
    return f"search {asked.pattern!r}{where}"


SEARCH = Tool("search", Search, _search, _describe)
