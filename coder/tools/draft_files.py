"""How tools look at the draft: paths the model named, texts it may see. Nothing outside the draft is opened."""

import difflib
import posixpath
from collections.abc import Iterable
from fnmatch import fnmatchcase

from coder.agents.tool import Desk
from coder.context.withheld import MAX_FILE_BYTES, shown_text
from coder.errors import ToolError
from coder.repo.paths import refuse_path
from coder.repo.repository import TreeFile

MAX_PATTERN = 200


def find_file(path: str, desk: Desk) -> TreeFile:
    """The draft's file at `path`. Raises ToolError with the reason, and the nearest names where there is none."""
    wanted = posixpath.normpath(path.strip()) if path.strip() else ""
    reason = refuse_path(wanted) if wanted else "no path was given"
    if reason:
        raise ToolError(f"{path[:200]!r}: {reason}; only files of this repository can be read")
    files = {file.path: file for file in desk.draft.files()}
    if wanted in files:
        return files[wanted]
    if any(name.startswith(f"{wanted}/") for name in files):
        raise ToolError(f"{wanted!r} is a directory: use list_files")
    near = nearest_paths(wanted, files)
    raise ToolError(f"{wanted!r} does not exist in the draft" + (f"; did you mean {', '.join(near)}?" if near else ""))


def nearest_paths(path: str, paths: Iterable[str], most: int = 3) -> list[str]:
    """Paths with the same file name first, then those spelled alike."""
    name = posixpath.basename(path)
    same = [other for other in paths if posixpath.basename(other) == name]
    if len(same) >= most:
        return same[:most]
    alike = difflib.get_close_matches(path, list(paths)[:5_000], most)
    return list(dict.fromkeys([*same, *alike]))[:most]


def why_hidden(file: TreeFile, desk: Desk) -> str:
    """Why a file's content may not be shown, as far as its name, kind and size tell; "" if it may."""
    if reason := desk.withheld.get(file.path) or desk.rules.why(file.path):
        return reason
    if file.mode == "120000":
        return "symbolic link"
    if file.mode == "160000":
        return "submodule"
    if file.size > MAX_FILE_BYTES:
        return f"too large ({file.size} bytes)"
    return ""


def read_text(file: TreeFile, desk: Desk) -> str:
    """The file as the model sees it. Raises ToolError if it is withheld."""
    content = b"" if why_hidden(file, desk) else desk.draft.read(file.path) or b""
    reason = why_hidden(file, desk) or desk.hides(file.path, content)
    if reason:
        raise ToolError(f"{file.path}: withheld, {reason}")
    return plain(shown_text(content))


def plain(text: str) -> str:
    """LF line ends and no byte order mark: edits are resolved back to the file's own."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def matching_files(patterns: Iterable[str] | None, desk: Desk) -> list[TreeFile]:
    """The draft's files under any of the directories or globs (`src/`, `*.py`, `src/**/*.ts`); all without patterns."""
    files = list(desk.draft.files())
    wanted = [pattern.strip() for pattern in patterns or () if pattern.strip() not in ("", ".", "./")]
    for pattern in wanted:
        if len(pattern) > MAX_PATTERN:
            raise ToolError(f"a path pattern is longer than {MAX_PATTERN} characters")
    if not wanted:
        return files
    return [file for file in files if any(_matches(file.path, pattern) for pattern in wanted)]


def _matches(path: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("./")
    directory = pattern.rstrip("/")
    if path == directory or path.startswith(f"{directory}/"):
        return True
    if "/" not in pattern:
        return fnmatchcase(posixpath.basename(path), pattern)
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
