"""The boundary for untrusted text: `visible` before a terminal sees it, `redact` before a log or a model does.

Neither ever touches bytes that are written to files. Textual and Rich pass control characters through by
themselves, so every string that came from a repository, a model, a test or an API goes through here first.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

# C0 controls but tab and newline become control pictures (U+2400 block); the rest is spelled out.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)} | {0x7F: "\u2421"}

# C1, soft hyphen, Arabic letter mark, Hangul and Khmer fillers, Mongolian separators, zero width and bidi controls,
# line and paragraph separators, invisible operators, braille blank, variation selectors, BOM, interlinear marks,
# surrogates (undecodable bytes), private use, tag characters. Source: Unicode 16, categories Cc, Cf, Co, Cs, Zl, Zp
# and the default-ignorable code points that render as nothing.
_HIDDEN = (
    "\x80-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_CONTROL = "\x00-\x08\x0b-\x1f\x7f"
_UNSAFE_ASCII = re.compile(f"[{_CONTROL}]")


@cache
def _unsafe() -> re.Pattern[str]:
    """Made when first needed, as `_hidden`: so large a class takes as long as ten other patterns."""
    return re.compile(f"[{_CONTROL}{_HIDDEN}]")


@cache
def _hidden() -> re.Pattern[str]:
    return re.compile(f"[{_HIDDEN}]+")


class _Spelled(dict[str, str]):
    """Each character as `visible` shows it. Made anew for each text: a flood costs one look-up a character."""

    def __missing__(self, character: str) -> str:
        code = ord(character)
        if not _unsafe().match(character):
            shown = character
        elif 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one undecodable byte
            shown = f"<{code - 0xDC00:02X}>"
        else:
            shown = _PICTURES.get(code) or f"<U+{code:04X}>"
        self[character] = shown
        return shown


def visible(text: str) -> str:
    """`text` with everything that could steer a terminal or hide from a reader spelled out.

    Keeps newline and tab; a CR before a newline is dropped, any other becomes a picture. Idempotent.
    """
    text = text.replace("\r\n", "\n")
    found = (_UNSAFE_ASCII if text.isascii() else _unsafe()).search(text)
    if not found:
        return text
    start = found.start()
    return text[:start] + "".join(map(_Spelled().__getitem__, text[start:]))


def visible_line(text: str, limit: int = 0) -> str:
    """`visible` for a single line: newlines and tabs become pictures too, and a cut is announced ("+12")."""
    line = visible(text).replace("\n", "\u2424").replace("\t", "\u2409")
    if limit and len(line) > limit:
        return f"{line[:limit]}… +{len(line) - limit}"
    return line


_COMMAND_LINE = re.compile(r"(?m)^([^\S\n]*)(?=::)")
_COMMAND_ANYWHERE = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))")


def inert(text: str) -> str:
    """`text` without lines that a CI system would obey when they are in its log (`::name::`, `##[name]`). Idempotent.

    Source: the runner of GitHub Actions (ActionCommand), which looks behind leading whitespace, and for the older
    form anywhere in a line; Azure Pipelines and TeamCity use the latter too.
    """
    return _COMMAND_ANYWHERE.sub(r"#\\", _COMMAND_LINE.sub(r"\1\\", text))


def hides_characters(text: str) -> bool:
    """Whether `text` has characters that a reader would not see (bidi, zero width, tags, private use)."""
    return not text.isascii() and _hidden().search(text) is not None


# Each pattern is linear on any text: it begins with literal characters that the engine looks for by itself, what
# follows is consumed at most once (possessive repeats), and no start is inside what another start consumed.
# The name is what is left in the text.
_START = "(?<![A-Za-z0-9]"
_SECRETS = (
    (
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}+(?:(?<=PRIVATE KEY)|(?<=PRIVATE KEY BLOCK))-----"
        r"(?:(?:[^-]|-(?!----)){0,20000}+-----END [A-Z0-9 ]{0,40}+-----|[A-Za-z0-9+/=\\\s]{0,20000}+)",
    ),
    ("AWS key", rf"AKIA{_START}AKIA)[0-9A-Z]{{16}}(?![0-9A-Za-z])"),
    ("AWS key", rf"ASIA{_START}ASIA)[0-9A-Z]{{16}}(?![0-9A-Za-z])"),
    ("GitHub token", rf"gh[pousr]_{_START}gh._)[A-Za-z0-9]{{20,}}+"),
    ("GitHub token", rf"github_pat_{_START}github_pat_)[A-Za-z0-9_]{{20,}}+"),
    ("GitLab token", rf"glpat-{_START}glpat-)[A-Za-z0-9_-]{{16,}}+"),
    ("API key", rf"sk-{_START}sk-)[A-Za-z0-9_-]{{16,}}+"),
    ("Stripe key", rf"sk_live_{_START}sk_live_)[A-Za-z0-9]{{16,}}+"),
    ("Stripe key", rf"rk_live_{_START}rk_live_)[A-Za-z0-9]{{16,}}+"),
    ("Slack token", rf"xox[abeoprs]-{_START}xox.-)[A-Za-z0-9-]{{10,}}+"),
    ("npm token", rf"npm_{_START}npm_)[A-Za-z0-9]{{30,}}+"),
    ("PyPI token", rf"pypi-{_START}pypi-)[A-Za-z0-9_-]{{40,}}+"),
    ("Google key", rf"AIza{_START}AIza)[0-9A-Za-z_-]{{35}}(?![0-9A-Za-z_-])"),
    ("JWT", r"eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{10,}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}+"),
)
_INTRODUCED = (  # the literal before these stays in the text
    ("bearer token", "earer ", r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{16,}+"),
    ("bearer token", "BEARER ", r"[A-Za-z0-9._~+/=-]{16,}+"),
    ("basic credentials", "asic ", r"(?<=(?i:authorization: basic ))[A-Za-z0-9+/=]{8,}+"),
    ("URL password", "://", r"[^\s/:@\"'<>]{0,200}+:[^\s/@\"'<>]{1,200}+(?=@)"),
)


@cache
def _forms() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Each form of a secret with what stands in its place: plain text, since filling in a group would take twice as
    long. Made when first needed: a start shows its first frame without."""
    return (
        *((name, re.compile(pattern), f"[redacted {name}]") for name, pattern in _SECRETS),
        *((name, re.compile(before + secret), f"{before}[redacted {name}]") for name, before, secret in _INTRODUCED),
    )


# What can stand between the characters of a secret without being seen: escape sequences, also as JSON, C and shells
# spell them, control characters, and characters that render as nothing.
_ESCAPES = ("\\u001b", "\\u001B", "\\x1b", "\\x1B", "\\033", "\\e")
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,30}+[ -/]?[@-~]|\][^\x07\x1b\n]{0,200}+(?:\x07|\x1b\\)|[()][0-9AB]|[=>78cM])"
)
_C0 = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
_TAIL = re.compile(r"(\[redacted [A-Za-z ]+\])(?:[A-Za-z0-9_+/=~-]|\.(?=[A-Za-z0-9_-]))++")


def find_secrets(text: str) -> tuple[str, ...]:
    """The kinds of secrets that `text` holds by their well-known forms, without the values."""
    return tuple(dict.fromkeys(name for name, pattern, _ in _forms() if pattern.search(text)))


def redact(text: str, known: tuple[str, ...] = ()) -> str:
    """`text` without secrets: the `known` values (keys of this process) and well-known forms. Idempotent.

    A secret that escape sequences or invisible characters cut in two is found too; then the text comes back without
    any of those.
    """
    values = _spellings(known)
    text = _redact(text, values)
    plain = _without_breaks(text)
    if plain == text:
        return text
    redacted = _TAIL.sub(r"\1", _redact(plain, values))
    return text if redacted == plain else redacted


def _without_breaks(text: str) -> str:
    for spelling in _ESCAPES:
        text = text.replace(spelling, "\x1b")
    text = _SEQUENCE.sub("", text.replace("\x9b", "\x1b["))
    if not text.isascii():
        text = _hidden().sub("", text)
    return text.encode().translate(None, _C0).decode()


def _redact(text: str, values: Iterable[str]) -> str:
    for value in values:
        text = text.replace(value, "[redacted]")
    for _, pattern, instead in _forms():
        text = pattern.sub(instead, text)
    return text


def _spellings(known: Iterable[str]) -> list[str]:
    """The values as they are, as JSON and URLs spell them; longest first, so that none leaves another's tail."""
    from urllib.parse import quote  # only where there is a value to hide: the index's worker has none

    found = {
        spelling
        for value in known
        if len(value) >= 8 and value not in "[redacted]"
        for spelling in (
            value,
            json.dumps(value)[1:-1],
            value.replace("/", "\\/"),
            quote(value, safe="", errors="surrogatepass"),
        )
    }
    return sorted(found, key=lambda spelling: (-len(spelling), spelling))


def redact_within(value: Any, known: tuple[str, ...] = ()) -> Any:
    """A JSON value with every text in it redacted, but for the names of fields."""
    match value:
        case dict():
            return {name: redact_within(inner, known) for name, inner in value.items()}
        case list():
            return [redact_within(inner, known) for inner in value]
        case str():
            return redact(value, known)
        case _:
            return value


def mask_key(key: str) -> str:
    """A key that a person can recognise and nobody can use: its last four characters."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…"
