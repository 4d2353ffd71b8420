"""The plan of the window: which files the model sees for a task, in which form, and why.

A repository that fits the budget is shown whole, without index or workers. Otherwise files are ranked and packed. The
default budget of 128,000 tokens is a choice (`context.budget`): at gpt-5.4-mini's prices it costs about 0.10 USD cold
and 0.01 USD from the cache, while recall over long contexts is weak (OpenAI MRCR v2, eight needles at 64k to 128k:
47.7 % for mini, 86.0 % for the full model), so a window twice as large buys a few per cent of coverage for twice the
money and more distraction. The caller bounds the budget by what the model really takes as input.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from coder.config import ContextSettings
from coder.context.behind import Behind
from coder.context.choose import Choice
from coder.context.corpus import Corpus, Document
from coder.context.history import read_history
from coder.context.index import File, Index, Progress, with_index
from coder.context.meter import ExactMeter, about
from coder.context.rank import Ranking, prefer, rank
from coder.context.render import Around, ProjectRules, accounted, alone, frame_tokens, rules_path, tokens_around
from coder.context.shortlist import Shortlist, short_list
from coder.context.summaries import Maker, known_summaries
from coder.context.task import read_task
from coder.context.tokens import count_tokens, estimate_tokens
from coder.context.tree import Sifted, Source, Tree, load_tree, read_texts, rules_for, sift
from coder.context.withheld import Rules
from coder.garbage import not_collecting
from coder.store import Places
from coder.values import ContextEntry, ContextPlan, Withheld

ESTIMATE_MARGIN = 1.25  # the estimate's error on real repositories, with room to spare
MOST_BYTES_PER_TOKEN = 6  # no repository of text has more on average (Python code: 4.65)
LEAST_BYTES_PER_TOKEN = 1.4  # nor less (base64: 1.45): where that fits too, an estimate will do

PROJECT_RULES = ("project rules",)  # the reason of their entries

Count = Callable[[str], int]


@not_collecting()
def make_plan(
    repository: Source,
    snapshot: Tree,
    task: str,
    settings: ContextSettings,
    places: Places,
    *,
    pinned: Sequence[str] = (),
    dropped: Sequence[str] = (),
    exclude: Sequence[str] = (),
    usd_per_million: tuple[float, float] | None = None,
    exact: bool = False,
    maker: Maker | None = None,
    chosen: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
    patience: float = float("inf"),
    behind: Behind | None = None,
    memory: "Memory | None" = None,
) -> ContextPlan:
    """What the model sees of `snapshot` for `task`. Blocking; the same plan for the same arguments in every process.

    `pinned` files are shown in full if they fit, `dropped` ones not at all, `exclude` (patterns) count as withheld.
    `usd_per_million` is the model's price for input and for cached input. `exact` asks for exact token counts even
    where an estimate with margin shows that everything fits (it costs 0.4 s of CPU once per process). Files that are
    not shown whole are shown by the summary that `maker` made of them, where there is one. `chosen` paths (a selector's
    answer, see `shortlist`) go before the ranking's own order. `progress` hears how many files the index has read;
    where reading all would take longer than `patience` seconds the plan is made from what it knows so far, and `behind`
    is told to read the rest.
    """
    rules, sifted = _look(repository, snapshot, settings, dropped, exclude)
    budget = settings.budget
    entries, back = _whole_if_it_fits(repository, sifted, rules, task, budget, exact)
    unread, notes, key = 0, [], (snapshot.tree, task, tuple(dropped), (*settings.exclude, *exclude))
    if entries is None:

        def work(index: Index) -> tuple[Corpus, tuple[ContextEntry, ...], tuple[str, ...]]:
            kept = memory.take(key) if memory else None
            corpus = kept or load_tree(repository, sifted.files, rules, index, progress, patience, task)
            ranking = prefer(rank(corpus, read_task(task)), corpus, chosen)
            known, note = known_summaries(places, [document.oid for document in corpus.documents], maker)
            back = tuple(Withheld(path, why) for path, why in corpus.back.items())
            plan = ContextPlan(budget, 0, (), (*sifted.withheld, *back))
            entries = packed(repository, corpus, ranking, rules, index, plan, pinned, known)
            return corpus, entries, (index.note, note)

        corpus, entries, said = with_index(places, work)
        back = tuple(Withheld(path, why) for path, why in corpus.back.items())
        unread, notes = corpus.unread, [note for note in said if note]
        if unread:
            notes.append(still_reading(unread, len(sifted.files)))
            if behind:
                behind.build(snapshot.tree, (*settings.exclude, *exclude))
    plan = priced(budget, entries, (*sifted.withheld, *back), usd_per_million)
    return replace(plan, unread=unread, files=len(sifted.files), notes=tuple(notes))


def still_reading(unread: int, files: int) -> str:
    """What to say of a plan that was made before the index was whole."""
    read = f"the index has read {files - unread:,} of {files:,} files"
    return f"{read}; the others were judged by their names, and are read in the background while a session lasts"


class Memory:
    """Keeps the corpus of a shortlist for the plan that follows it: a large one takes seconds to make."""

    def __init__(self) -> None:
        self._kept: tuple[object, Corpus] | None = None

    def keep(self, key: object, corpus: Corpus) -> None:
        self._kept = (key, corpus)

    def take(self, key: object) -> Corpus | None:
        """The corpus that was kept under this very key, once; whatever else was kept is forgotten."""
        kept, self._kept = self._kept, None
        return kept[1] if kept and kept[0] == key else None


@not_collecting()
def shortlist(
    repository: Source,
    snapshot: Tree,
    task: str,
    settings: ContextSettings,
    places: Places,
    *,
    dropped: Sequence[str] = (),
    patience: float = float("inf"),
    memory: Memory | None = None,
) -> Shortlist:
    """The files that `make_plan` would rank first, for a selector to reread; empty where everything fits. Blocking."""
    rules, sifted = _look(repository, snapshot, settings, dropped)
    budget = settings.budget
    if _whole_if_it_fits(repository, sifted, rules, task, budget, exact=False)[0] is not None:
        return Shortlist()

    def work(index: Index) -> Shortlist:
        corpus = load_tree(repository, sifted.files, rules, index, patience=patience, task=task)
        if memory:
            memory.keep((snapshot.tree, task, tuple(dropped), tuple(settings.exclude)), corpus)
        return short_list(corpus, rank(corpus, read_task(task)), index)

    return with_index(places, work)


def read_past(repository: Source, places: Places) -> None:
    """Have the index know the project's past before a plan asks for it: a large one takes git a second to tell."""
    with_index(places, lambda index: read_history(repository, repository.location.head, index))


def _look(
    repository: Source,
    snapshot: Tree,
    settings: ContextSettings,
    dropped: Sequence[str],
    exclude: Sequence[str] = (),
) -> tuple[Rules, Sifted]:
    """The user's rules, and the files that may be shown under them."""
    rules = rules_for(repository, snapshot, (*settings.exclude, *exclude))
    sifted = sift(snapshot, rules)
    gone = frozenset(dropped)
    return rules, Sifted(tuple(file for file in sifted.files if file.path not in gone), sifted.withheld)


def _whole_if_it_fits(
    repository: Source, sifted: Sifted, rules: Rules, task: str, budget: int, exact: bool
) -> tuple[tuple[ContextEntry, ...] | None, tuple[Withheld, ...]]:
    """Every file in full, or None when that is more than the budget."""
    size = sum(file.size for file in sifted.files)
    if size > MOST_BYTES_PER_TOKEN * budget:
        return None, ()
    texts, unread = read_texts(repository, sifted.files, rules)

    def sent(count: Count, around: Around) -> ContextPlan:
        entries = whole(sifted.files, texts, task, count)
        return accounted(ContextPlan(budget, 0, entries, (*sifted.withheld, *unread)), around)

    if not exact and size <= LEAST_BYTES_PER_TOKEN * budget:
        plan = sent(estimate_tokens, about)
        if ESTIMATE_MARGIN * plan.total_tokens <= budget:
            return plan.entries, unread
    plan = sent(count_tokens, tokens_around)
    return (plan.entries if plan.total_tokens <= budget else None), unread


def whole(files: Sequence[File], texts: Mapping[str, str], task: str, count: Count) -> tuple[ContextEntry, ...]:
    """Every file in full, the ones the task names first, with the tokens of its text alone."""
    entries = [
        ContextEntry(
            file.path,
            "full",
            count(texts[file.path]),
            ("named in the task",) if named(file.path, task) else ("the whole repository fits",),
            text=texts[file.path],
            blob=file.oid,
        )
        for file in files
        if file.path in texts
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.reasons != ("named in the task",), entry.path)))


def named(path: str, task: str) -> bool:
    """Whether the task spells out the path, or its last part together with the extension."""
    return path in task or path.rpartition("/")[2] in task.replace("/", " ").split()


def packed(
    repository: Source,
    corpus: Corpus,
    ranking: Ranking,
    rules: Rules,
    index: Index,
    plan: ContextPlan,
    pinned: Sequence[str],
    summaries: Mapping[str, str],
) -> tuple[ContextEntry, ...]:
    """The best of a corpus within the budget of `plan`, which has no entries yet; best first."""

    def read(documents: Sequence[Document]) -> Mapping[str, str]:
        return read_texts(repository, documents, rules)[0]

    meter = ExactMeter(index)
    entries = Choice(corpus, ranking, index, meter, read, summaries).entries(
        plan.budget - frame_tokens(plan.budget), pinned
    )
    alone = tuple(replace(entry, tokens=meter.alone(entry)) for entry in entries)
    meter.keep()
    return fitted(replace(plan, entries=alone), pinned).entries


def fitted(plan: ContextPlan, kept: Collection[str], project_rules: ProjectRules = ()) -> ContextPlan:
    """`plan`, whose entries have the tokens of their texts alone, with all that is sent of it. What that is over its
    budget, where tags are longer than was reckoned with, its last files are left out for; `kept` ones last of all."""
    while True:
        sent = accounted(plan, tokens_around, project_rules)
        over, gone = sent.total_tokens - plan.budget, set[str]()
        last_first = sent.entries[::-1]
        for entry in sorted(last_first, key=lambda entry: entry.path in kept):
            if over <= 0:
                break
            gone.add(entry.path)
            over -= entry.tokens
        if not gone:
            return sent
        plan = replace(plan, entries=tuple(entry for entry in plan.entries if entry.path not in gone))


def with_rules(
    plan: ContextPlan,
    project_rules: ProjectRules,
    budget: int,
    pinned: Collection[str],
    usd_per_million: tuple[float, float] | None,
) -> ContextPlan:
    """`plan` with the project's rules, which `budget` has room for and that of `plan` had not: an entry for each, in
    place of that of the file."""
    ruled = {rules_path(folder): text for folder, text in project_rules}
    blobs = {entry.path: entry.blob for entry in plan.entries}
    own = [
        ContextEntry(path, "full", count_tokens(text), PROJECT_RULES, text=text, blob=blobs.get(path, ""))
        for path, text in ruled.items()
    ]
    others = (entry for entry in alone(plan).entries if entry.path not in ruled)
    sent = fitted(replace(plan, budget=budget, entries=(*own, *others)), {*ruled, *pinned}, project_rules)
    again = priced(budget, sent.entries, plan.withheld, usd_per_million)
    return replace(again, unread=plan.unread, files=plan.files, notes=plan.notes)


def priced(
    budget: int,
    entries: tuple[ContextEntry, ...],
    back: Iterable[Withheld],
    usd_per_million: tuple[float, float] | None,
) -> ContextPlan:
    total = sum(entry.tokens for entry in entries)
    cold, cached = (total * usd / 1e6 for usd in usd_per_million) if usd_per_million else (None, None)
    return ContextPlan(budget, total, entries, tuple(sorted(back, key=lambda item: item.path)), cold, cached)
