"""delegate: bounded reading that the small model does for the main one. It answers with data, and that is all."""

from typing import Annotated, Literal

from msgspec import Meta

from coder.agents.tool import Arguments, Desk, Tool
from coder.agents.wrap import wrap
from coder.errors import ToolError
from coder.tools.draft_files import find_file, matching_files, read_text, why_hidden

MAX_FILES = 20
MAX_CANDIDATES = 300
MAX_CHARACTERS = 400_000  # of all files together: what one round of summaries may read


class Delegate(Arguments, frozen=True):
    job: Literal["summarize", "find"]
    paths: Annotated[list[str], Meta(max_length=MAX_FILES)]
    question: Annotated[str, Meta(max_length=2_000)] | None = None


async def _delegate(asked: Delegate, desk: Desk) -> str:
    if asked.job == "summarize":
        return await _summarize(asked, desk)
    return await _find(asked, desk)


async def _summarize(asked: Delegate, desk: Desk) -> str:
    if desk.summarize is None:
        raise ToolError("no small model is available here: read the files yourself")
    texts, refused = await desk.blocking(_texts, asked.paths, desk)
    summaries = await desk.summarize(texts) if texts else {}
    if not summaries:
        raise ToolError(
            "\n".join(refused).replace("error: ", "") or "no summary could be made: read the files yourself"
        )
    refused += [f"error: {path}: no summary could be made, read it yourself" for path in texts if path not in summaries]
    return "\n".join([*(wrap(f"summary of {path}", text) for path, text in summaries.items()), *refused])


def _texts(paths: list[str], desk: Desk) -> tuple[dict[str, str], list[str]]:
    texts: dict[str, str] = {}
    refused: list[str] = []
    room = MAX_CHARACTERS
    for path in paths:
        try:
            file = find_file(path, desk)
            text = read_text(file, desk)
        except ToolError as error:
            refused.append(f"error: {error}")
            continue
        room -= len(text)
        if room < 0:
            refused.append(f"error: {file.path}: too much for one call, delegate it separately")
        else:
            texts[file.path] = text
    return texts, refused


async def _find(asked: Delegate, desk: Desk) -> str:
    if desk.select is None:
        raise ToolError("no small model is available here: use search and list_files")
    if not asked.question:
        raise ToolError("the job 'find' needs a question")
    matching = await desk.blocking(matching_files, asked.paths, desk)
    files = [file for file in matching if not why_hidden(file, desk)]
    if len(files) > MAX_CANDIDATES:
        raise ToolError(f"{len(files)} files are too many (at most {MAX_CANDIDATES}): name directories in paths")
    outlines = {entry.path: entry.text for entry in (desk.plan.entries if desk.plan else ()) if entry.mode != "full"}
    best = await desk.select(asked.question, [(file.path, outlines.get(file.path, "")) for file in files])
    return wrap("files that seem to matter, best first", "\n".join(best))


def _describe(asked: Delegate) -> str:
    return f"delegate: {asked.job} {', '.join(asked.paths) or 'all files'}"


DELEGATE = Tool("delegate", Delegate, _delegate, _describe)
