"""What the model is told at the start of each turn: once the repository section, later only what changed beside it.

The conversation is append-only, so that the provider's prompt cache keeps hitting.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from coder.agents.compaction import Scale
from coder.agents.loop import usable_input
from coder.config import ContextSettings, Settings
from coder.context.behind import Behind
from coder.context.plan import Memory, make_plan, priced, read_past, shortlist, with_rules
from coder.context.render import ProjectRules, render, render_beside, rules_path
from coder.context.shortlist import Shortlist
from coder.context.tokens import count_tokens
from coder.context.tree import rules_for
from coder.context.withheld import NO_RULES, Rules
from coder.model.catalog import Catalog, Model
from coder.repo.diff import render as render_patch
from coder.repo.repository import Repository, Snapshot
from coder.session.beside import Lengths, beside, pin_notes, with_entries
from coder.session.project_rules import most_tokens, project_rules
from coder.session.recorded import Recorded
from coder.session.summaries import maker_of
from coder.session.verdict import told
from coder.store import Places
from coder.text import redact
from coder.values import ContextEntry, ContextPlan, Proposal, ReviewDecision

MAX_DIFF_CHARS = 40_000
PATIENCE_S = 8.0  # an index that takes longer is built behind the session
LARGE_INDEX = 500_000  # bytes of git's index: about 5,000 files, more than any budget takes whole
BESIDE = 12_000  # tokens kept free beside the section for instructions, tools, the task and the first steps

RENEWED = (
    "[coder: the repository section at the start of this conversation was made anew: it shows the files as they are "
    "now, after all that is said above.]"
)


class Briefing:
    """Remembers what the model has seen of the repository: the plan of the section, and the tree it last knew of.

    `settings` are those of the next plan; they may change between turns.
    """

    def __init__(self, repository: Repository, settings: Settings, places: Places, *, trusted: bool) -> None:
        self.settings = settings
        self._repository = repository
        self._places = places
        self._trusted = trusted
        self._seen_tree = ""
        self._remarks: list[str] = []
        self.scale = Scale()  # how the provider counts
        self._chosen: tuple[str, ...] = ()
        self._ahead: tuple[object, ContextPlan] | None = None
        self.plan: ContextPlan | None = None
        self.shown: ContextPlan | None = None  # the plan whose section stands in the conversation
        self.rules: Rules = NO_RULES  # what the user keeps back, as of the last turn's snapshot
        self._memory = Memory()
        self._told: set[str] = set()
        self._behind = Behind(repository.shadow.place, places)
        self.pinned: tuple[str, ...] = ()
        self.dropped: tuple[str, ...] = ()

    def close(self) -> None:
        """Give up the repository, after what reads it behind the session. Blocking."""
        self._behind.end()
        self._repository.close()

    def snapshot(self, *, exact: bool = False) -> Snapshot:
        """The working tree now. While git looks at a large repository for the first time, what else its first plan will
        wait for is made ready; with `exact` what counts tokens too, for which a screen would stand still. Blocking."""
        with ThreadPoolExecutor(2) as beside:
            if self._is_large and not self._repository.shadow.published_index.exists():
                beside.submit(read_past, self._repository, self._places)  # what fails there fails again, and says so
                if exact:
                    beside.submit(count_tokens, "load")
            return self._repository.snapshot()

    @property
    def _is_large(self) -> bool:
        try:
            return self._repository.location.index.stat().st_size > LARGE_INDEX
        except OSError:
            return False

    def resume(self, state: Recorded) -> None:
        """Take up what the model has seen where a recorded session left it."""
        self.plan = self.shown = state.section
        self._seen_tree = state.seen_tree
        self._remarks = list(state.remarks)
        self.pinned, self.dropped = state.pinned, state.dropped

    def news(self, plan: ContextPlan) -> list[str]:
        """What the plan has to say that was not said before in this session."""
        fresh = [note for note in plan.notes if note not in self._told]
        self._told.update(fresh)
        return fresh

    @property
    def seen_tree(self) -> str:
        """The tree that the model last knew of; "" before the first turn."""
        return self._seen_tree

    @property
    def withheld(self) -> Mapping[str, str]:
        """Why each withheld path never reaches a request."""
        return {} if self.plan is None else {item.path: item.why for item in self.plan.withheld}

    @property
    def stands_dropped(self) -> tuple[str, ...]:
        """The dropped files whose content stands in the conversation's section, or beside it."""
        entries = self.shown.entries if self.shown else ()
        return tuple(entry.path for entry in entries if entry.path in self.dropped and entry.mode != "name")

    def open_turn(self, snapshot: Snapshot, task: str, chosen: Sequence[str] = ()) -> tuple[ContextPlan, list[str]]:
        """The plan, and the messages that open the turn. `chosen` files go first (a selector's answer). Blocking.

        Raises GitError where the tree that the model has seen is gone: `rebuild`, then open the turn again.
        """
        plan, self._ahead = self._look(snapshot, task, chosen), None
        if self.shown is None:
            messages, self.shown = (
                [render(plan, self._rules(snapshot, plan.entries, plan.budget)), *self._remarks, task],
                plan,
            )
        else:
            hidden = {*self.withheld, *(item.path for item in plan.withheld), *self.dropped}
            changes, told = self._changes(snapshot, hidden)
            messages = [*self._remarks, *changes, *self._beside(snapshot, plan, told), task]
        self.plan, self._seen_tree, self._remarks = plan, snapshot.tree, []
        shown = priced(self.shown.budget, self.shown.entries, plan.withheld, self._prices())
        self.shown = replace(shown, unread=plan.unread, files=plan.files, notes=plan.notes)
        return plan, messages

    def lengths(self, snapshot: Snapshot, task: str, chosen: Sequence[str], conversation: int) -> Lengths:
        """What `task` would add to a conversation of so many tokens, and what a new section would have. Blocking."""
        assert self.shown is not None
        plan = self._look(snapshot, task, chosen)
        needed = sum(entry.tokens for entry in beside(self.shown, plan, self.pinned))
        section = min(self.shown.total_tokens, conversation)
        return Lengths(section, conversation - section, needed, plan.total_tokens)

    def _look(self, snapshot: Snapshot, task: str, chosen: Sequence[str]) -> ContextPlan:
        """The plan for `task`, made once for the start of a turn."""
        self._chosen = tuple(chosen)
        asked = snapshot.tree, task, self._chosen
        if self._ahead is None or self._ahead[0] != asked:
            self._ahead = asked, self.make_plan(snapshot, task, chosen=chosen)
        return self._ahead[1]

    def rebuild(self, snapshot: Snapshot, task: str, most: int = 0) -> str:
        """The repository section anew, to stand in place of the old one; within `most` tokens if given. Blocking."""
        plan = self.make_plan(snapshot, task, most=most, chosen=self._chosen)
        self.plan = self.shown = plan
        self._seen_tree = snapshot.tree
        self._remarks.append(RENEWED)
        return render(plan, self._rules(snapshot, plan.entries, plan.budget))

    def make_plan(
        self, snapshot: Snapshot, task: str, *, exact: bool = False, most: int = 0, chosen: Sequence[str] = ()
    ) -> ContextPlan:
        """What the model would see of `snapshot` for `task`, never more than it takes as input."""
        budget = self._budget(most)
        settings = self._bounded(snapshot, budget)
        plan = make_plan(
            self._repository,
            snapshot,
            task,
            settings,
            self._places,
            pinned=self.pinned,
            dropped=self.dropped,
            exact=exact,
            maker=maker_of(self.settings),
            chosen=chosen,
            patience=PATIENCE_S,
            behind=self._behind,
            memory=self._memory,
            usd_per_million=self._prices(),
        )
        self.rules = rules_for(self._repository, snapshot, settings.exclude)
        rules = self._rules(snapshot, plan.entries, budget)
        if rules or plan.budget != budget:
            plan = with_rules(plan, rules, budget, self.pinned, self._prices())
        return replace(plan, notes=(*plan.notes, *self._cut(budget, most), *pin_notes(plan, self.pinned)))

    def _cut(self, budget: int, most: int) -> tuple[str, ...]:
        """That the model takes less than what is asked for."""
        asked = self.settings.context.budget
        less = budget < asked and not most
        return (
            (f"the budget is {budget:,} and not {asked:,} tokens: {self.settings.model} takes no more",) if less else ()
        )

    def shortlist(self, snapshot: Snapshot, task: str) -> Shortlist:
        """What a selector would reread for `task`. Blocking."""
        return shortlist(
            self._repository,
            snapshot,
            task,
            self._bounded(snapshot, self._budget()),
            self._places,
            dropped=self.dropped,
            patience=PATIENCE_S,
            memory=self._memory,
        )

    @property
    def _model(self) -> Model:
        return Catalog.load(self._places.config).get(self.settings.model)

    def _prices(self) -> tuple[float, float] | None:
        prices = self._model.prices.get("default")
        return (prices.input, prices.cached) if prices else None

    def _budget(self, most: int = 0) -> int:
        """Tokens that the section may have: what the model can take beside the rest of a request; `most` if given."""
        cap = int(usable_input(self._model) / self.scale.ratio) - BESIDE
        return max(min(most or self.settings.context.budget, cap), 1 if most else 1_000)

    def _bounded(self, snapshot: Snapshot, budget: int) -> ContextSettings:
        """The settings for the files of a section: without the project's rules, which have a place of their own."""
        rules = most_tokens(snapshot, budget) if self._trusted else 0
        return replace(self.settings.context, budget=max(budget - rules, 1))

    def pin(self, path: str) -> None:
        self.pinned = (*(each for each in self.pinned if each != path), path)
        self.dropped = tuple(each for each in self.dropped if each != path)

    def drop(self, path: str) -> None:
        self.dropped = (*(each for each in self.dropped if each != path), path)
        self.pinned = tuple(each for each in self.pinned if each != path)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the next turn will begin with."""
        return tuple(self._remarks)

    def remark(self, text: str) -> None:
        """Something that the next turn will begin with."""
        self._remarks.append(text)

    def saw(self, tree: str) -> None:
        """The turn ended with the draft `tree`: what did not land of it will be told as a difference."""
        self._seen_tree = tree

    def reviewed(self, proposal: Proposal, decision: ReviewDecision) -> None:
        """Remember what the model must be told of a proposal that was not accepted as it was."""
        if verdict := told(proposal, decision):
            self._remarks.append(verdict)

    def _beside(self, snapshot: Snapshot, plan: ContextPlan, told: Collection[str]) -> list[str]:
        """The first files of `plan` that do not stand above (the section's, or `told` as new), as one message."""
        assert self.shown is not None
        new = beside(self.shown, plan, self.pinned, told)
        if not new:
            return []
        before, after = self.shown.entries, with_entries(self.shown, new)
        known = self._rules(snapshot, before, after.budget)
        rules = [each for each in self._rules(snapshot, after.entries, after.budget) if each not in known]
        ruled = {rules_path(folder) for folder, _ in rules}
        self.shown = with_entries(after, [entry for entry in plan.entries if entry.path in ruled])
        return [render_beside(new, rules)]

    def _changes(self, snapshot: Snapshot, hidden: Collection[str]) -> tuple[list[str], frozenset[str]]:
        """How the files differ from what the model last knew, as a diff; and the paths of new files that it tells
        whole. Withheld and dropped files are no part of it."""
        files = [
            file
            for file in self._repository.diff(self._seen_tree, snapshot.tree)
            if not file.binary and file.path not in hidden and file.old_path not in hidden
        ]
        if not files:
            return [], frozenset()
        diff = redact(render_patch(files).decode("utf-8", "replace"))
        if len(diff) > MAX_DIFF_CHARS:
            paths = sorted({file.path for file in files})
            return [f"[coder: files changed; read them before you edit them: {', '.join(paths[:200])}]"], frozenset()
        new = frozenset(file.path for file in files if file.kind == "added")
        return [f"[coder: the files now differ from what you last saw by this diff.]\n{diff}"], new

    def _rules(self, snapshot: Snapshot, entries: Sequence[ContextEntry], budget: int) -> ProjectRules:
        """What a trusted repository says in AGENTS.md about files that are shown within `budget` tokens."""
        if not self._trusted:
            return ()
        return project_rules(self._repository, snapshot, self.rules, entries, budget, self.dropped)
