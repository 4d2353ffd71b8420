"""list_files: names and sizes in the draft, by directory or glob."""

from collections import Counter
from typing import Annotated

from msgspec import Meta

from coder.agents.tool import Arguments, Desk, Tool
from coder.errors import ToolError
from coder.repo.repository import TreeFile
from coder.text import visible_line
from coder.tools.draft_files import matching_files, why_hidden

MAX_LISTED = 300


class ListFiles(Arguments, frozen=True):
    paths: Annotated[list[str], Meta(max_length=20)] | None = None


async def _list(asked: ListFiles, desk: Desk) -> str:
    return await desk.blocking(_list_all, asked, desk)


def _list_all(asked: ListFiles, desk: Desk) -> str:
    files = matching_files(asked.paths, desk)
    if not files:
        raise ToolError("no file of the draft matches; give directories or globs such as 'src' or '*.py'")
    if len(files) <= MAX_LISTED:
        return "\n".join(_line(file, desk) for file in files)
    return _by_directory(files)


def _line(file: TreeFile, desk: Desk) -> str:
    reason = why_hidden(file, desk)
    return f"{visible_line(file.path)}\t{file.size}" + (f"\twithheld: {reason}" if reason else "")


def _by_directory(files: list[TreeFile]) -> str:
    """Directories with the number of their files, as deep as the room allows."""
    paths = [file.path.split("/") for file in files]
    folders = Counter[str]()
    for depth in range(1, 8):
        deeper = Counter("/".join(parts[:-1][:depth]) or "." for parts in paths)
        if folders and len(deeper) > MAX_LISTED:
            break
        folders = deeper
    lines = [f"{visible_line(folder)}/\t{count} files" for folder, count in sorted(folders.items())[:MAX_LISTED]]
    left_out = len(folders) - len(lines)
    more = [f"[… {left_out} more directories]"] if left_out > 0 else []
    head = f"{len(files)} files; too many to list by name, so by directory. Name a directory or a glob to see more."
    return "\n".join([head, *lines, *more])


def _describe(asked: ListFiles) -> str:
    return "list " + (", ".join(asked.paths) if asked.paths else "all files")


LIST_FILES = Tool("list_files", ListFiles, _list, _describe)
