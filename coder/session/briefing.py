"""What the model is told at the start of each turn: once the repository section, later only what changed beside it.

The conversation is append-only, so that the provider's prompt cache keeps hitting.
"""

from collections.abc import Collection, Mapping

from coder.config import Settings
from coder.context.plan import make_plan
from coder.context.render import render
from coder.model.catalog import Catalog
from coder.repo.diff import render as render_patch
from coder.repo.repository import Repository, Snapshot
from coder.store import Places
from coder.text import redact
from coder.values import ContextPlan, Proposal, ReviewDecision

RULES_FILE = "AGENTS.md"
MAX_RULES_BYTES = 32_000
MAX_DIFF_CHARS = 40_000


class Briefing:
    """Remembers what the model has seen of the repository: the plan of the section, and the tree it last knew of."""

    def __init__(self, repository: Repository, settings: Settings, places: Places, *, trusted: bool) -> None:
        self._repository = repository
        self._settings = settings
        self._places = places
        self._trusted = trusted
        self._seen_tree = ""
        self._remarks: list[str] = []
        self.plan: ContextPlan | None = None
        self.shown: ContextPlan | None = None  # the plan whose section stands in the conversation
        self._pinned: tuple[str, ...] = ()
        self._dropped: tuple[str, ...] = ()

    @property
    def withheld(self) -> Mapping[str, str]:
        """Why each withheld path never reaches a request."""
        return {} if self.plan is None else {item.path: item.why for item in self.plan.withheld}

    def open_turn(self, snapshot: Snapshot, task: str) -> tuple[ContextPlan, list[str]]:
        """The plan, and the messages that open the turn. Blocking."""
        plan = self.make_plan(snapshot, task)
        if self.shown is None:
            messages, self.shown = [render(plan, self._rules(snapshot)), task], plan
        else:
            hidden = {*self.withheld, *(item.path for item in plan.withheld)}
            messages = [*self._remarks, *self._changes(snapshot, hidden), task]
        self.plan, self._seen_tree, self._remarks = plan, snapshot.tree, []
        return plan, messages

    def make_plan(self, snapshot: Snapshot, task: str, *, exact: bool = False) -> ContextPlan:
        """What the model would see of `snapshot` for `task`."""
        prices = Catalog.load(self._places.config).get(self._settings.model).prices.get("default")
        return make_plan(
            self._repository,
            snapshot,
            task,
            self._settings.context,
            self._places,
            pinned=self._pinned,
            dropped=self._dropped,
            exact=exact,
            usd_per_million=(prices.input, prices.cached) if prices else None,
        )

    def pin(self, path: str) -> None:
        self._pinned = (*(each for each in self._pinned if each != path), path)
        self._dropped = tuple(each for each in self._dropped if each != path)

    def drop(self, path: str) -> None:
        self._dropped = (*(each for each in self._dropped if each != path), path)
        self._pinned = tuple(each for each in self._pinned if each != path)

    def saw(self, tree: str) -> None:
        """The turn ended with the draft `tree`: what did not land of it will be told as a difference."""
        self._seen_tree = tree

    def landed(self, proposal: Proposal, decision: ReviewDecision) -> None:
        """Remember what the model must be told of a partly accepted proposal."""
        if _rejected(proposal, decision):
            self.rejected(proposal, decision)

    def rejected(self, proposal: Proposal, decision: ReviewDecision) -> None:
        """Remember which hunks did not land, and why."""
        lines = ["[coder: the user reviewed your proposal. These parts were rejected and are not in the files:]"]
        lines += _rejected(proposal, decision)
        lines += [f"comment on {comment.path}: {comment.text}" for comment in decision.comments]
        self._remarks.append("\n".join(lines))

    def _changes(self, snapshot: Snapshot, hidden: Collection[str]) -> list[str]:
        """How the files differ from what the model last knew, as a diff. Withheld files are no part of it."""
        files = [
            file
            for file in self._repository.diff(self._seen_tree, snapshot.tree)
            if not file.binary and file.path not in hidden and file.old_path not in hidden
        ]
        if not files:
            return []
        diff = redact(render_patch(files).decode("utf-8", "replace"))
        if len(diff) > MAX_DIFF_CHARS:
            paths = sorted({file.path for file in files})
            return [f"[coder: files changed; read them before you edit them: {', '.join(paths[:200])}]"]
        return [f"[coder: the files now differ from what you last saw by this diff.]\n{diff}"]

    def _rules(self, snapshot: Snapshot) -> str:
        """AGENTS.md of a trusted repository: context for the model, never policy."""
        if not self._trusted:
            return ""
        content = self._repository.read(snapshot.tree, RULES_FILE)
        return "" if content is None else content[:MAX_RULES_BYTES].decode("utf-8", "replace")


def _rejected(proposal: Proposal, decision: ReviewDecision) -> list[str]:
    lines = []
    for file in proposal.files:
        kept = decision.accepted.get(file.path, frozenset())
        dropped = [position for position in range(max(1, len(file.hunks))) if position not in kept]
        if dropped and not kept:
            lines.append(f"- {file.path}: everything")
        elif dropped:
            places = (f"line {file.hunks[position].old_start}" for position in dropped)
            lines.append(f"- {file.path}: the hunk at {', '.join(places)}")
    return lines
