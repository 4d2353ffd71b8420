"""search: a literal text or a regular expression over the draft's text files, in bounded time.

The patterns come from a model, so no engine that can run away: a pattern must be one that Python's `re` accepts,
its counted repeats may not multiply beyond what can be compiled, and matching is done by the `regex` engine, which
takes a time limit and lets other threads run.
"""

import bisect
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from math import prod
from typing import Annotated, Any

from msgspec import Meta

from coder.agents.tool import Arguments, Desk, Tool
from coder.context.withheld import is_binary
from coder.errors import ToolError
from coder.repo.repository import TreeFile
from coder.text import visible_line
from coder.tools.draft_files import matching_files, plain, why_hidden

MAX_PATTERN = 300
MAX_REPEATS = 1_000  # product of all counted repeats: `((a{1000}){1000}){1000}` would take gigabytes to compile
MAX_LINES = 100
MAX_PER_FILE = 20
MAX_LINE = 240
SECONDS = 5.0
PORTION = 8_000_000  # bytes read at a time


class Search(Arguments, frozen=True):
    pattern: Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN)]
    regex: bool | None = None
    ignore_case: bool | None = None
    paths: Annotated[list[str], Meta(max_length=20)] | None = None


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
    lines: list[str] = []
    searched = 0
    try:
        for file, content in _contents(files, desk):
            searched += 1
            lines += _lines_of(file, content, pattern, deadline, desk)
            if len(lines) > MAX_LINES:
                break
    except TimeoutError:
        lines.append(f"[stopped after {SECONDS:.0f} s]")
    if searched < len(files):
        lines = [*lines[:MAX_LINES], f"[{searched} of {len(files)} files searched: narrow paths or pattern]"]
    return "\n".join(lines) or f"no match in {searched} files"


def _lines_of(file: TreeFile, content: bytes, pattern: Any, deadline: float, desk: Desk) -> list[str]:
    """The file's matching lines as the model is told of them; whether it may be shown is asked only if there are."""
    if is_binary(content):
        return []
    matches = list(islice(find_in(plain(content.decode("utf-8", "replace")), pattern, deadline), MAX_PER_FILE + 1))
    if not matches or desk.hides(file.path, content):
        return []
    path = visible_line(file.path)
    lines = [f"{path}:{number}: {visible_line(text, MAX_LINE)}" for number, text in matches[:MAX_PER_FILE]]
    return [*lines, f"{path}: more"] if len(matches) > MAX_PER_FILE else lines


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


def find_in(text: str, pattern: Any, deadline: float) -> Iterator[tuple[int, str]]:
    """Number and text of each line in which a match begins. Raises TimeoutError when time.monotonic() is `deadline`."""
    starts: list[int] = []
    position = 0
    while position <= len(text):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        hit = pattern.search(text, position, timeout=left, concurrent=True)
        if hit is None:
            return
        starts = starts or [0, *(newline.end() for newline in re.finditer("\n", text))]
        number = bisect.bisect_right(starts, hit.start())
        position = starts[number] if number < len(starts) else len(text) + 1
        yield number, text[starts[number - 1] : position].rstrip("\n")


def _describe(asked: Search) -> str:
    where = f" in {', '.join(asked.paths)}" if asked.paths else ""
    return f"search {asked.pattern!r}{where}"


SEARCH = Tool("search", Search, _search, _describe)
