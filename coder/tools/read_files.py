"""read_files: whole files or line ranges, as they are in the draft."""

from typing import Annotated

from msgspec import Meta

from coder.agents.tool import Arguments, Desk, Tool
from coder.agents.wrap import wrap
from coder.errors import ToolError
from coder.tools.draft_files import find_file, read_text

MAX_CHARACTERS = 80_000  # of one call: about 20,000 tokens
MAX_LINE = 4_000


class Piece(Arguments, frozen=True):
    path: str
    first: Annotated[int, Meta(ge=1)] | None = None
    last: Annotated[int, Meta(ge=1)] | None = None


class ReadFiles(Arguments, frozen=True):
    files: Annotated[list[Piece], Meta(min_length=1, max_length=20)]


async def _read(asked: ReadFiles, desk: Desk) -> str:
    """Raises ToolError if none of the files can be shown; otherwise each answers for itself."""
    return await desk.blocking(_read_all, asked, desk)


def _read_all(asked: ReadFiles, desk: Desk) -> str:
    parts, shown, room = [], 0, MAX_CHARACTERS
    for piece in asked.files:
        try:
            text = _read_one(piece, desk, room)
            shown += 1
            room = max(0, room - len(text))
        except ToolError as error:
            text = f"error: {error}"
        parts.append(text)
    if not shown:
        raise ToolError("\n".join(parts).replace("error: ", ""))
    return "\n".join(parts)


def _read_one(piece: Piece, desk: Desk, room: int) -> str:
    file = find_file(piece.path, desk)
    if piece.first is None and piece.last is None and _stands_above(file.path, file.oid, desk):
        return f"{file.path}: shown in full in the repository section above, and unchanged since"
    lines = _lines(read_text(file, desk))
    first, last = piece.first or 1, min(piece.last or len(lines), len(lines))
    if lines and first > last:
        raise ToolError(
            f"{file.path} has {len(lines)} lines; lines {first} to {piece.last or 'the end'} are none of them"
        )
    end = first - 1
    taken: list[str] = []
    for line in lines[first - 1 : last]:
        room -= min(len(line), MAX_LINE)
        if room < 0:
            break
        taken.append(
            line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}[… {len(line) - MAX_LINE} more characters]\n"
        )
        end += 1
    label = f"{file.path}, lines {first}-{end} of {len(lines)}" if taken else f"{file.path}, {len(lines)} lines"
    cut = f"\n[{file.path}: lines {end + 1}-{last} left out; read them with first={end + 1}]" if end < last else ""
    return wrap(label, "".join(taken)) + cut


def _lines(text: str) -> list[str]:
    """Lines as git and editors count them: only a newline ends one."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _stands_above(path: str, oid: str, desk: Desk) -> bool:
    entries = desk.plan.entries if desk.plan else ()
    return any(entry.path == path and entry.mode == "full" and entry.blob == oid for entry in entries)


def _describe(asked: ReadFiles) -> str:
    return "read " + ", ".join(piece.path for piece in asked.files)


READ_FILES = Tool("read_files", ReadFiles, _read, _describe)
