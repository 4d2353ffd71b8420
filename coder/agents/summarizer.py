"""Summaries of files by the small model: a few files to a call, and each summary checked against its file.

What is said of one file must not be kept for another, whether a model is confused or a file talks it into that. So the
names that a summary lists are looked up in the files of its call: it is believed where it can be about no other one.
"""

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set

from coder import prompts
from coder.agents.subagents import Answer, Helpers, one_line, spelled
from coder.agents.wrap import clip, wrap
from coder.model.strict import schema_of

MAX_FILE = 60_000  # characters of one file that a summary is made from
MAX_BATCH = 60_000  # characters of small files that share one call
MAX_NAMES = 40  # of one summary that are looked up; it is asked for 15
MAX_BATCH_FILES = 12  # of one call: what is said of them must fit its reply


class FileSummary(Answer, frozen=True):
    path: str
    purpose: str
    names: list[str]
    depends_on: list[str]
    pitfalls: list[str]


class Summaries(Answer, frozen=True):
    files: list[FileSummary]


def summarizer_version() -> str:
    """Changes whenever another summary would be asked for: a digest of the prompt and of the reply's schema."""
    asked = prompts.load("subagents/summarizer") + json.dumps(schema_of(Summaries), sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


async def summarize(helpers: Helpers, files: Mapping[str, str]) -> dict[str, str]:
    """A summary of a few lines for each file (path → text) that got one; small files share a call."""

    async def attempt(batch: Mapping[str, str]) -> dict[str, str]:
        answer = await helpers.ask("summarizer", _question(batch), Summaries, _title(batch))
        return _rendered(answer, batch) if answer else {}

    replies = await asyncio.gather(*map(attempt, batches(files)))
    return {path: text for found in replies for path, text in found.items()}


async def summarize_batch(helpers: Helpers, batch: Mapping[str, str]) -> dict[str, str]:
    """Summaries of files that fit one call. Raises Unusable, and what the client raises."""
    return _rendered(await helpers.call("summarizer", _question(batch), Summaries, _title(batch)), batch)


def batches(files: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The files as calls are made of them: each text bounded, a few small ones together."""
    batch: dict[str, str] = {}
    size = 0
    for path, text in files.items():
        text = clip(text, MAX_FILE)
        if batch and (size + len(text) > MAX_BATCH or len(batch) == MAX_BATCH_FILES):
            yield batch
            batch, size = {}, 0
        batch[path] = text
        size += len(text)
    if batch:
        yield batch


def _question(batch: Mapping[str, str]) -> str:
    return "\n".join(wrap(f"file {spelled(path)}", text) for path, text in batch.items())


def _title(batch: Mapping[str, str]) -> str:
    return f"summarize {', '.join(batch)}"


def _rendered(answer: Summaries, batch: Mapping[str, str]) -> dict[str, str]:
    paths = {spelled(path): path for path in batch}
    times = Counter(file.path for file in answer.files)
    said = {paths[file.path]: file for file in answer.files if file.path in paths and times[file.path] == 1}
    believed = credible({path: {_bare(name) for name in file.names[:MAX_NAMES]} for path, file in said.items()}, batch)
    return {path: render_summary(said[path], batch[path]) for path in said if path in believed}


def credible(names: Mapping[str, Set[str]], texts: Mapping[str, str]) -> set[str]:
    """The paths whose summaries, by the `names` that each lists, are of these very files.

    One that lists names of which its file holds none, or fewer than another file of the call, is not. Nor are those
    that could as well have been exchanged for one another: what each lists, the next one's file holds too, in a circle.
    """
    others: dict[str, set[str]] = {}
    right = set()
    for path, listed in names.items():
        held = {other: sum(stands_in(name, text) for name in listed) for other, text in texts.items()}
        others[path] = {other for other in texts if other != path and held[other] >= held[path]}
        if held[path] == max(held.values()) and (held[path] or not listed):
            right.add(path)
    for middle in names:
        for path in names:
            if middle in others[path]:
                others[path] |= others[middle]
    return {path for path in right if path not in others[path]}


def stands_in(name: str, text: str) -> bool:
    """Whether a text has a name, and not only as a part of a longer one."""
    return bool(name) and name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _bare(name: str) -> str:
    """`add` of `Calc.add(a, b)`."""
    return name.split("(")[0].strip().rpartition(".")[2]


def render_summary(summary: FileSummary, text: str) -> str:
    """The summary as a few bounded lines; names that the file does not hold are left out."""
    names = [name for name in summary.names if stands_in(_bare(name), text)]
    lines = (
        one_line(summary.purpose, 400),
        f"defines: {one_line(', '.join(names), 600)}" if names else "",
        f"depends on: {one_line(', '.join(summary.depends_on), 300)}" if summary.depends_on else "",
        f"careful: {one_line('; '.join(summary.pitfalls), 400)}" if summary.pitfalls else "",
    )
    return "\n".join(line for line in lines if line)
