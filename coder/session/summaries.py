"""Summaries of many files at once: what is missing and its price, then the calls, each kept as soon as it is there.

Killed at any moment, the next run goes on with what is missing. Nothing of a withheld file is read into a request.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct, structs

from coder.agents.agent import make_agent
from coder.agents.subagents import Helpers, Unusable
from coder.agents.summarizer import MAX_FILE, batches, summarize, summarize_batch, summarizer_version
from coder.agents.together import together
from coder.agents.wrap import clip
from coder.config import RoleSettings, Settings
from coder.context.index import Index, with_index
from coder.context.kinds import kind_of
from coder.context.summaries import Maker, SummaryStore
from coder.context.tokens import count_tokens
from coder.context.tree import read_texts, rules_for, sift
from coder.context.withheld import Rules
from coder.errors import CoderError, Failed
from coder.model.catalog import Model
from coder.repo.draft import Draft
from coder.repo.repository import Repository, Snapshot, TreeFile
from coder.store import Places
from coder.values import Usage

PARALLEL = 8  # calls under way at once
READ_BYTES = 4_000_000  # of contents held at a time while texts are counted
LEFT_OUT = ("vendored", "generated", "data")  # kinds that are summarised only when they are named
TYPICAL_OUTPUT = 170  # tokens of one summary: an assumption of the forecast only; usage is booked exactly
FILE_TAGS = 30  # tokens of the marks around a file


class Work(Struct, frozen=True):
    """What is to be done: the files without a summary, a few to a call, and what it may cost.

    `tokens` counts the whole input exactly. Prices are in USD, None when unknown: `about` with replies of the usual
    length and `most` with the longest, at the price of a server that has no cheaper tier. `known` files have a summary
    already; `withheld` get none.
    """

    maker: Maker
    calls: tuple[tuple[TreeFile, ...], ...]
    tokens: int
    known: tuple[str, ...]  # blob ids
    withheld: int
    about: float | None
    most: float | None

    @property
    def files(self) -> int:
        return sum(map(len, self.calls))


class Progress(Struct, frozen=True):
    """How far it is. `failed` files got no usable answer, also not alone."""

    done: int
    failed: int
    total: int


def maker_of(settings: Settings) -> Maker:
    """Who makes summaries under these settings."""
    return Maker(summarizer_version(), make_agent("subagents/summarizer", settings).model)


def with_tier(settings: Settings, model: Model) -> Settings:
    """Bulk work can wait, so it goes at half the price (flex) where the model has it and the user chose no tier.

    A server that cannot serve it now, or at all, serves it at the usual one: the client falls back and says so.
    """
    own = settings.roles.get("summarizer", RoleSettings())
    if own.tier or "flex" not in model.prices or settings.api != "responses":
        return settings
    return structs.replace(settings, roles={**settings.roles, "summarizer": structs.replace(own, tier="flex")})


def plan_work(
    repository: Repository,
    snapshot: Snapshot,
    settings: Settings,
    places: Places,
    store: SummaryStore,
    model: Model,
    paths: Sequence[str] = (),
) -> Work:
    """What `paths` (all, without any) lack. Blocking: reads and counts every file that has no summary yet."""
    rules = rules_for(repository, snapshot, settings.context.exclude)
    sifted = sift(snapshot, rules)
    chosen = [file for file in sifted.files if isinstance(file, TreeFile) and file.size and _wanted(file.path, paths)]
    maker = maker_of(settings)
    known = store.known((file.oid for file in chosen), maker)
    missing = list({file.oid: file for file in chosen if file.oid not in known}.values())
    tokens, readable = with_index(places, lambda index: _count(repository, missing, rules, index))
    by_path = {file.path: file for file in readable}
    sizes = {file.path: " " * min(file.size, MAX_FILE) for file in readable}  # batches are cut by length alone
    calls = tuple(tuple(by_path[path] for path in batch) for batch in batches(sizes))
    agent = make_agent("subagents/summarizer", settings)
    every = tokens + len(calls) * count_tokens(agent.fixed_text)
    tier = settings.roles.get("summarizer", RoleSettings()).tier

    def price(output: int, tier: str) -> float | None:
        return model.price(Usage("", model.id, len(calls), every, 0, 0, output), tier)

    about, most = price(TYPICAL_OUTPUT * len(readable), tier), price(agent.max_output * len(calls), "")
    back = sum(_wanted(item.path, paths) for item in sifted.withheld) + len(missing) - len(readable)
    return Work(maker, calls, every, tuple(known), back, about, most)


def _wanted(path: str, paths: Sequence[str]) -> bool:
    """Whether a file is one of `paths` or below one of them; without any, whether it is worth a summary."""
    if not paths:
        return kind_of(path) not in LEFT_OUT
    return any(named == "." or path == named or path.startswith(f"{named}/") for named in paths)


def _count(
    repository: Repository, files: Sequence[TreeFile], rules: Rules, index: Index
) -> tuple[int, tuple[TreeFile, ...]]:
    """The exact tokens of the texts that will be sent, and the files that may be sent at all."""
    counted = index.tokens([file.oid for file in files])
    total, readable, new = 0, [], {}
    for portion in _portions(files):
        texts, _ = read_texts(repository, portion, rules)
        for file in portion:
            if file.path not in texts:
                continue
            text = clip(texts[file.path], MAX_FILE)
            known = counted.get(file.oid) if len(texts[file.path]) <= MAX_FILE else None
            tokens = known if known is not None else count_tokens(text)
            if len(texts[file.path]) <= MAX_FILE:
                new[file.oid] = tokens
            total += tokens + FILE_TAGS + len(file.path) // 2
            readable.append(file)
    index.keep_tokens(new)
    return total, tuple(readable)


def _portions(files: Sequence[TreeFile]) -> list[list[TreeFile]]:
    portions: list[list[TreeFile]] = [[]]
    size = 0
    for file in files:
        if portions[-1] and size + file.size > READ_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(file)
        size += file.size
    return portions


@dataclass
class Filling:
    """The making of the missing summaries, a bounded number of calls at once; `tell` hears of each step.

    What got no usable answer is asked for again file by file, as far as the work then costs no more than was said; what
    fails alone has failed.
    """

    helpers: Helpers
    repository: Repository
    rules: Rules
    store: SummaryStore
    work: Work
    tell: Callable[[Progress], None]

    def __post_init__(self) -> None:
        self._progress = Progress(0, 0, self.work.files)
        self._again: list[TreeFile] = []
        self._errors: list[CoderError] = []

    async def run(self) -> Progress:
        """Raises what the client and the store raise: it concerns all, so nothing more is begun; but what is under way
        is paid for, and waited for."""
        self._advance(0, 0)
        await self._go_through(self.work.calls, lambda: True)
        await self._go_through([(file,) for file in self._again], self._stays_within)
        if self._errors:
            raise self._errors[-1]  # of a store that is full the last one counts all that is not kept
        return self._progress

    def _advance(self, done: int, failed: int) -> None:
        now = self._progress
        self._progress = Progress(now.done + done, now.failed + failed, now.total)
        self.tell(self._progress)

    async def _go_through(self, calls: Sequence[Sequence[TreeFile]], goes_on: Callable[[], bool]) -> None:
        waiting = deque(calls)

        async def worker() -> None:
            while waiting and not self._errors:
                if not goes_on():
                    self._advance(0, len(waiting))
                    waiting.clear()
                    return
                try:
                    await self._take(waiting.popleft())
                except CoderError as error:
                    self._errors.append(error)

        await together(worker() for _ in range(min(PARALLEL, len(waiting))))

    async def _take(self, files: Sequence[TreeFile]) -> None:
        """One call, for those of `files` that no other process has paid for meanwhile."""
        since = await asyncio.to_thread(self.store.known, [file.oid for file in files], self.work.maker)
        self._advance(len(since), 0)
        files = [file for file in files if file.oid not in since]
        texts, _ = await asyncio.to_thread(read_texts, self.repository, files, self.rules)
        made = await _attempt(self.helpers, {path: clip(text, MAX_FILE) for path, text in texts.items()})
        found = {file.oid: made[file.path] for file in files if file.path in made}
        await asyncio.to_thread(self.store.keep, found, self.work.maker)
        left = [file for file in files if file.oid not in found]
        self._again.extend(left if len(files) > 1 else ())
        self._advance(len(found), len(left) if len(files) == 1 else 0)

    def _stays_within(self) -> bool:
        """Whether one more call of the usual price costs no more in all than was said to be the most."""
        client, most = self.helpers.client, self.work.most
        cost, calls = client.cost_usd, sum(usage.requests for usage in client.usages)
        return most is None or cost is None or not calls or cost + cost / calls <= most


async def _attempt(helpers: Helpers, texts: Mapping[str, str]) -> dict[str, str]:
    if not texts:
        return {}
    try:
        return {path: text for path, text in (await summarize_batch(helpers, texts)).items() if text}
    except Unusable:
        return {}


async def summarize_cached(helpers: Helpers, places: Places, draft: Draft, texts: Mapping[str, str]) -> dict[str, str]:
    """Summaries of files of the draft: those that are known, and the others made now and kept."""
    oids = {file.path: file.oid for file in draft.files() if file.path in texts}
    maker = maker_of(helpers.settings)

    def look_up() -> dict[str, str]:
        with SummaryStore.open(places) as store:
            return store.known(oids.values(), maker)

    def keep(made: Mapping[str, str]) -> None:
        with contextlib.suppress(Failed), SummaryStore.open(places) as store:
            store.keep({oids[path]: text for path, text in made.items() if path in oids and text}, maker)

    known = await asyncio.to_thread(look_up)
    found = {path: known[oids[path]] for path in texts if oids.get(path) in known}
    missing = {path: text for path, text in texts.items() if path not in found}
    made = await summarize(helpers, missing) if missing else {}
    if made:
        await asyncio.to_thread(keep, made)
    return {path: {**made, **found}[path] for path in texts if path in made or path in found}
