"""Declarations and comments of one file: by tree-sitter where there is a grammar, by regular expressions elsewhere.

Runs in a worker process (coder.context.worker): a grammar that hangs or crashes must not take coder with it.
"""

import re
import warnings
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from coder.context.languages import LANGUAGES, is_code, language_of, suffix_of
from coder.lean import import_lean

if TYPE_CHECKING:
    import tree_sitter

PARSE_SECONDS = 5.0
SIGNATURE_LIMIT = 160  # characters
MAX_SYMBOLS = 4_000
DEEPEST = 12  # nodes above a declaration or a comment: one in a thousand lies deeper, a quarter of the search


class Symbol(NamedTuple):
    """One declaration: 1-based inclusive lines, nesting depth from 0, and its first line or lines as one.

    A tuple and not a dataclass because a plan looks at ten thousand of them.
    """

    first: int
    last: int
    depth: int
    kind: str
    name: str
    signature: str


class Outline(NamedTuple):
    """What a file declares, in file order, and the text of its comments and documentation strings."""

    symbols: tuple[Symbol, ...]
    comments: str


def outline(path: str, text: str) -> Outline:
    """The outline of a file. Raises ValueError when the parser gives up (the time limit); see `plain_outline`."""
    language = language_of(path)
    return _parsed(language, text) if language else plain_outline(path, text)


def _parsed(language: str, text: str) -> Outline:
    source = text.encode("utf-8", "replace")  # other bytes make the binding's predicates raise SystemError
    parser, query = _grammar(language)
    tree = parser.parse(source)
    found: dict[tuple[int, int], tuple[int, int, str, str, str]] = {}
    comments: list[bytes] = []
    for _, captures in _cursor(query).matches(tree.root_node):  # captures() comes in hash order, matches() does not
        if "comment" in captures:
            comments += (source[node.start_byte : node.end_byte] for node in captures["comment"])
            continue
        name = captures["name"][0]
        kind = next(key for key in captures if key != "name")
        node = captures[kind][0]
        place = (name.start_byte, name.end_byte)
        if place not in found or kind == "method":  # some grammars match a method as a function too
            found[place] = (node.start_byte, node.end_byte, kind, _text(source, name), _signature(source, node))
        if len(found) > MAX_SYMBOLS:
            break
    return Outline(_nested(source, found.values()), b"\n".join(comments).decode("utf-8", "replace"))


def _nested(source: bytes, found: Iterable[tuple[int, int, str, str, str]]) -> tuple[Symbol, ...]:
    """Symbols in file order with depth by containment and lines by counting line ends once."""
    ordered = sorted(found, key=lambda item: (item[0], -item[1]))
    symbols, open_ends = [], list[int]()
    line, at = 1, 0
    for start, end, kind, name, signature in ordered:
        line += source.count(b"\n", at, start)
        at = start
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        last = line + source.count(b"\n", start, max(start, end - 1))
        symbols.append(Symbol(line, last, len(open_ends), kind, name, signature))
        open_ends.append(end)
    return tuple(symbols)


def _text(source: bytes, node: "tree_sitter.Node") -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _signature(source: bytes, node: "tree_sitter.Node") -> str:
    """The declaration up to its body, as one line."""
    body = node.child_by_field_name("body")
    end = body.start_byte if body is not None else source.find(b"\n", node.start_byte)
    start = node.start_byte
    end = min(end if end > start else node.end_byte, start + 4 * SIGNATURE_LIMIT)
    line = " ".join(source[start:end].decode("utf-8", "replace").split()).rstrip(" {:=")
    return line if len(line) <= SIGNATURE_LIMIT else line[:SIGNATURE_LIMIT] + "…"


@cache
def _grammar(language: str) -> tuple["tree_sitter.Parser", "tree_sitter.Query"]:
    """Parser and query, kept for the life of the process: freeing a Query has crashed tree-sitter before."""
    import tree_sitter

    data = LANGUAGES[language]
    grammar = tree_sitter.Language(getattr(import_lean(data.module, "_binding"), data.function)())
    parser = tree_sitter.Parser(grammar)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its successor, a progress callback, crashes in 0.25.2
        setattr(parser, "timeout_micros", int(PARSE_SECONDS * 1e6))  # noqa: B010 (its stub says read-only)
    return parser, tree_sitter.Query(grammar, data.query)


def _cursor(query: "tree_sitter.Query") -> Any:
    import tree_sitter

    cursor = tree_sitter.QueryCursor(query)
    cursor.set_max_start_depth(DEEPEST)
    return cursor


# ── without a grammar ────────────────────────────────────────────────────────────────────────────

_WORDS_BEFORE = (
    "pub export default public private protected internal static abstract final sealed open override async inline"
    " data case partial extern unsafe local"
)
_DECLARATION = re.compile(
    r"^(?P<indent>[ \t]{0,40})(?:(?:" + "|".join(_WORDS_BEFORE.split()) + r")(?:\([\w, ]{0,40}\))?[ \t]+){0,6}"
    r"(?P<kind>class|interface|struct|enum|trait|protocol|extension|object|module|namespace|package|record|type"
    r"|def|defp|defmodule|fn|fun|func|function|sub|proc|procedure|macro|macro_rules!|impl|union|contract|message|service)"
    r"[ \t]+(?P<name>[A-Za-z_$][\w$.:-]{0,120})",
)
_ARROW = re.compile(
    r"^(?P<indent>[ \t]{0,40})(?:export[ \t]+)?(?P<kind>const|let|var)[ \t]+(?P<name>[\w$]{1,120})[ \t]*"
    r"(?::[^=]{0,200})?=[ \t]*(?:async[ \t]*)?(?:function\b|\([^)]{0,400}\)[^=]{0,100}=>|\w{1,80}[ \t]*=>)"
)
_HEADING = re.compile(r"^(?P<indent>)(?P<kind>#{1,6})[ \t]+(?P<name>\S.{0,120})")
_TABLE = re.compile(r"^(?P<indent>)(?P<kind>\[)\[?(?P<name>[\w.:\"' -]{1,120})\]")
_TARGET = re.compile(r"^(?P<indent>)(?P<kind>)(?P<name>[\w./%-]{1,80})[ \t]*:(?![=:])")
_COMMENT = re.compile(  # one that is never closed ends somewhere too: looking for its end from each start would not
    r"/\*(?:[^*]|\*(?!/)){0,20000}+(?:\*/)?|<!--(?:[^-]|-(?!->)){0,20000}+(?:-->)?|(?:(?<=\s)|^)(?://|#|--|;)[^\n]{1,2000}",
    re.MULTILINE,
)


def has_outline(path: str) -> bool:
    """Whether anything is looked for in such a file: code, prose with headings, tables, targets, scripts."""
    return bool(language_of(path)) or bool(_patterns(path))


def _patterns(path: str) -> tuple[re.Pattern[str], ...]:
    name = path.rpartition("/")[2].lower()
    if name.endswith((".md", ".mdx", ".markdown")):
        return (_HEADING,)
    if name.endswith((".toml", ".ini", ".cfg", ".conf")):
        return (_TABLE,)
    if name in ("makefile", "gnumakefile") or name.endswith(".mk"):
        return (_TARGET,)
    return (_DECLARATION, _ARROW) if is_code(path) or not suffix_of(path) else ()


def plain_outline(path: str, text: str) -> Outline:
    """What regular expressions find, line by line: declarations, headings, tables, targets. Linear."""
    patterns = _patterns(path)
    lines = text.split("\n")
    starts = [(number, match) for number, line in enumerate(lines, 1) for match in _first(patterns, line)]
    symbols = []
    for place, (number, match) in enumerate(starts[:MAX_SYMBOLS]):
        last = starts[place + 1][0] - 1 if place + 1 < len(starts) else len(lines)
        depth = min(len(match["indent"].expandtabs(4)) // 4, 8)
        symbols.append(
            Symbol(number, last, depth, match["kind"].strip("#["), match["name"], _one_line(lines[number - 1]))
        )
    comments = "" if _DECLARATION not in patterns else "\n".join(found.group() for found in _COMMENT.finditer(text))
    return Outline(tuple(symbols), comments)


def _first(patterns: Iterable[re.Pattern[str]], line: str) -> Iterable[re.Match[str]]:
    for pattern in patterns:
        if match := pattern.match(line[:1_000]):
            yield match
            return


def _one_line(line: str) -> str:
    text = " ".join(line[: 4 * SIGNATURE_LIMIT].split()).rstrip(" {:=")
    return text if len(text) <= SIGNATURE_LIMIT else text[:SIGNATURE_LIMIT] + "…"
