"""Path lines: which line of a reply names the file that a SEARCH/REPLACE block or a fenced file belongs to."""

import re
from collections.abc import Callable

from coder.repo.patch.reply import open_fence

Known = Callable[[str], bool]  # whether a name is that of an existing file

_DECORATION = re.compile(r"^(?:#{1,6}\s+|//\s+|<!--\s*|/\*\s*|--\s+|;\s+|>\s+|[-*+]\s+|\d+[.)]\s+)")
_LABEL = re.compile(r"^(?:file ?name|file ?path|file|path)\s*:\s*", re.IGNORECASE)
_CLOSERS = re.compile(r"\s*(?:-->|\*/)$")
_FAR = 12  # lines; a path line that is farther above belongs to something else
_WRAPPERS = "*`'\" "
_PLAIN_NAME = re.compile(r"[^\s<>|\"'`?*;=:!]+(?<![.,])$")
_BARE_NAMES = frozenset(
    (
        *("makefile", "dockerfile", "license", "licence", "readme", "changelog", "authors", "notice", "codeowners"),
        *("procfile", "gemfile", "rakefile", "vagrantfile", "jenkinsfile"),
    )
)


def path_in(line: str, known: Known) -> str:
    """The path that `line` consists of, without what models put around it, or "" if it is no path line.

    A line that names an existing file is one; any other must look like a path: no blanks, a slash or an extension.
    """
    text = line.strip()
    if not text or len(text) > 1000:
        return ""
    if known(text):
        return text
    text = _CLOSERS.sub("", _LABEL.sub("", _DECORATION.sub("", text).strip(_WRAPPERS)))
    text = text.strip(_WRAPPERS).rstrip(":").strip(_WRAPPERS)
    if known(text):
        return text
    return text if _looks_like_path(text) else ""


def _looks_like_path(text: str) -> bool:
    if not _PLAIN_NAME.match(text) or "//" in text or text.endswith("/"):
        return False
    name = text.rsplit("/", 1)[-1]
    return "/" in text or name.lower() in _BARE_NAMES or re.search(r"\w\.\w{1,12}$|^\.\w", name) is not None


def path_in_info(info: str, known: Known) -> str:
    """The path in a fence's info string: "python src/x.py", "python:src/x.py", "src/x.py", title="src/x.py"."""
    for word in re.split(r"[\s{}]+", info):
        candidate = re.sub(r"^(?:title|file|filename|path)=", "", word).strip("\"'")
        for text in (candidate, candidate.partition(":")[2]):
            if text and (known(text) or ("/" in text and _looks_like_path(text))):
                return text
    return ""


def path_above(lines: tuple[str, ...], i: int, lowest: int, known: Known, reach: int = 3) -> str:
    """The path line closest above line i, within `reach` lines that are not blank and not a fence, down to `lowest`."""
    seen = 0
    for j in range(i - 1, max(lowest, i - _FAR) - 1, -1):
        line = lines[j]
        if fence := open_fence(line):
            if path := path_in_info(fence.info, known):
                return path
            continue
        if not line.strip():
            continue
        if path := path_in(line, known):
            return path
        seen += 1
        if seen == reach:
            break
    return ""
