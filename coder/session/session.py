"""A session: one conversation on one repository. `run` is a turn, from the task to what landed."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from coder.agents.agent import make_agent
from coder.agents.loop import Limits, TurnEnd, run_turn, usable_input
from coder.agents.subagents import Helpers, select, summarize
from coder.agents.tool import Desk
from coder.config import Settings
from coder.context.tokens import count_tokens
from coder.errors import Exit, LimitReached
from coder.events import (
    Applied,
    ApproveSpending,
    Ask,
    ContextPlanned,
    Emit,
    Notice,
    ProposalReady,
    Review,
    SessionStarted,
    TurnFinished,
    TurnStarted,
    Undone,
)
from coder.model.client import Client
from coder.model.messages import user_message
from coder.repo.checkpoint import undo
from coder.repo.draft import Draft
from coder.repo.repository import Repository
from coder.session import policy
from coder.session.briefing import Briefing
from coder.session.checks import CheckOptions, Checks, describe
from coder.session.disclosure import WHAT_LEAVES, tell_once
from coder.session.landing import land
from coder.session.outcome import Destination, Outcome
from coder.session.record import Record
from coder.session.uninterrupted import uninterrupted
from coder.store import Places
from coder.tools import ALL, READING
from coder.values import Checkpoint, ContextPlan, Evidence, FileDiff, Proposal, ReviewDecision, TriageCard, Usage

Mode = Literal["edit", "ask", "plan"]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the user said when the session was opened. `trusted`: the repository's rules may be read to the model."""

    mode: Mode = "edit"
    checks: CheckOptions = CheckOptions()
    destination: Destination = Destination()
    trusted: bool = False


class Session:
    """Lives as long as the conversation. One turn at a time; `close` when done."""

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        places: Places,
        emit: Emit,
        ask: Ask,
        *,
        id: str,
        options: SessionOptions,
    ) -> None:
        self.id = id
        self.options = options
        self.evidence = Evidence()
        self.triage: tuple[TriageCard, ...] = ()
        self._repository = repository
        self._settings = settings
        self._places = places
        self._emit = emit
        self._ask = ask
        self._client = Client(settings, places, id, emit, repository=str(repository.location.root), count=count_tokens)
        self._helpers = Helpers(self._client, settings, emit, id)
        self._checks = Checks(repository, settings, places, emit, ask, id, options.checks, self._helpers)
        self._briefing = Briefing(repository, settings, places, trusted=options.trusted)
        self._record = Record(places, id)
        self._history: list[dict[str, Any]] = []
        self._draft: Draft | None = None
        self._turn = 0
        self._start()

    # ── what a face may look at ──

    @property
    def usages(self) -> tuple[Usage, ...]:
        return self._client.usages

    @property
    def cost_usd(self) -> float | None:
        return self._client.cost_usd

    @property
    def sandbox_text(self) -> str:
        """The tier that tests run in and its self-test; "" before the first test."""
        sandbox = self._checks.sandbox
        return "" if sandbox is None else f"{sandbox.tier} {sandbox.checks}".rstrip()

    def draft_patch(self) -> tuple[tuple[FileDiff, ...], bytes]:
        """What this turn's draft differs by from its snapshot, landed or not."""
        if self._draft is None:
            return (), b""
        old, new = self._draft.snapshot.tree, self._draft.tree
        return self._repository.diff(old, new), self._repository.patch(old, new)

    # ── a turn ──

    async def run(self, task: str) -> Outcome:
        """One turn. Raises what ends it early (limits, API, policy); nothing has landed then."""
        self._turn += 1
        self._emit(TurnStarted(self._turn, task))
        self._record.write("task", text=task)
        self._client.require_key()
        self._client.renew_retries()
        draft = await self._begin(task)
        try:
            end = await self._converse(draft)
            outcome = await self._conclude(task, draft, end)
        except BaseException as error:
            self._close_turn(getattr(error, "exit", Exit.INTERRUPT).status)
            raise
        self._close_turn(outcome.exit.status)
        self._emit(TurnFinished(outcome.exit.status, outcome.summary))
        return outcome

    async def _begin(self, task: str) -> Draft:
        """Snapshot the working tree, decide what the model sees of it, and open the turn in the conversation."""
        snapshot = await asyncio.to_thread(self._repository.snapshot)
        self._draft = Draft(self._repository, snapshot)
        self.evidence, self.triage = Evidence(tree=snapshot.tree), ()
        plan, messages = await asyncio.to_thread(self._briefing.open_turn, snapshot, task)
        self._history += [user_message(text) for text in messages]
        self._emit(ContextPlanned(plan))
        await self._confirm_price(plan)
        return self._draft

    async def _confirm_price(self, plan: ContextPlan) -> None:
        limits = self._settings.limits
        if plan.cold_usd is None or plan.cold_usd <= limits.ask_above:
            return
        if not await self._ask(ApproveSpending(plan.cold_usd, limits.max_cost)):
            raise LimitReached(
                f"the turn was not approved at ${plan.cold_usd:.2f}", "a smaller --context-budget costs less"
            )

    async def _converse(self, draft: Draft) -> TurnEnd:
        """The agent's turn, and up to `repair_rounds` more while its tests fail in new ways."""
        prompt, tools = AGENTS[self.options.mode]
        agent = make_agent(prompt, self._settings, tools)
        max_input = usable_input(self._client.catalog.get(agent.model))
        limits = Limits(self._settings.limits.max_steps, max_input=max_input)
        desk = self._desk(draft)
        self._checks.prepare()
        seen: set[tuple[str, ...]] = set()
        for round_left in reversed(range(self._settings.limits.repair_rounds + 1)):
            tested = draft.tree
            end = await run_turn(agent, self._client, self._history, desk, limits, self._cache_key)
            if end.status != "finished" or draft.tree == draft.snapshot.tree or self.options.mode != "edit":
                return end
            await self._verify(draft)
            failures = tuple(sorted(self.evidence.new_failures))
            if self.evidence.status != "failed" or not round_left or failures in seen or draft.tree == tested:
                return end
            seen.add(failures)
            report = describe(self.evidence, self.triage)
            self._history.append(user_message(f"[coder: the final draft was tested.]\n{report}"))
        return end

    def _desk(self, draft: Draft) -> Desk:
        async def run_tests() -> str:
            await self._verify(draft)
            return describe(self.evidence, self.triage)

        return Desk(
            draft=draft,
            emit=self._emit,
            plan=self._briefing.shown,
            withheld=self._briefing.withheld,
            run_tests=run_tests,
            summarize=partial(summarize, self._helpers),
            select=partial(select, self._helpers),
        )

    async def _verify(self, draft: Draft) -> None:
        """Test the draft as it is now; the same tree is tested once."""
        self.evidence, self.triage = await self._checks.run(draft.snapshot.tree, draft.tree)

    async def _conclude(self, task: str, draft: Draft, end: TurnEnd) -> Outcome:
        """From the agent's last word to what landed."""
        if self.options.mode != "edit" and end.status == "finished":
            return Outcome(Exit.DONE, end.text)
        if end.status in ("content_filter", "refusal"):
            return Outcome(Exit.API, f"the model refused the task: {end.text[:500]}".rstrip(": "))
        files, patch = await asyncio.to_thread(self.draft_patch)
        if end.status != "finished":
            return Outcome(Exit.FAILED, ENDINGS[end.status], files=files, patch=patch)
        if not files:
            return Outcome(Exit.UNCHANGED, end.text or "nothing was changed")
        proposal = self._proposal(draft, files, patch, end.text)
        self._emit(ProposalReady(proposal))
        decision = await self._ask(Review(proposal))
        assert isinstance(decision, ReviewDecision)
        if decision.takes_nothing():
            self._briefing.rejected(proposal, decision)
            why = "its tests fail" if self.evidence.status == "failed" else "nothing of it was accepted"
            return Outcome(Exit.FAILED, f"the change was not applied: {why}", proposal, decision, files, patch)
        return await self._land(task, proposal, decision, end.text)

    def _proposal(self, draft: Draft, files: tuple[FileDiff, ...], patch: bytes, summary: str) -> Proposal:
        commands = [report.command for report in self.evidence.reports]
        judged = policy.edits_own_tests(files, commands)
        warnings = [f"the change edits what tests it: {', '.join(judged[:5])}"] if judged else []
        for warning in warnings:
            self._emit(Notice(warning, "warning"))
        return Proposal(
            draft.snapshot.tree,
            draft.tree,
            files,
            patch,
            self.evidence,
            self.triage,
            self.cost_usd,
            summary,
            tuple(warnings),
        )

    async def _land(self, task: str, proposal: Proposal, decision: ReviewDecision, summary: str) -> Outcome:
        """Write what was approved. A cancellation meanwhile waits for the write to finish, then takes it back."""
        message = decision.commit_message or commit_message(task)
        carry_out = partial(land, hooks=self.options.trusted)
        landed, interrupted = await uninterrupted(
            carry_out, self._repository, self._places, proposal, decision, self.options.destination, message
        )
        if interrupted and not landed.commit:  # a commit cannot be taken back quietly: then it counts as done
            if landed.checkpoint:
                undoing = (self._repository.location, self._places, landed.checkpoint.id)
                await uninterrupted(undo, *undoing)
            raise asyncio.CancelledError
        if landed.merged:
            text = f"merged with changes made meanwhile, which were not tested: {', '.join(landed.merged)}"
            self._emit(Notice(text, "warning"))
        paths = tuple(file.path for file in landed.files)
        if landed.checkpoint:
            for warning in landed.checkpoint.warnings:
                self._emit(Notice(warning, "warning"))
            self._emit(Applied(landed.checkpoint, paths, landed.commit))
        self._briefing.landed(proposal, decision)
        return Outcome(
            Exit.DONE, summary, proposal, decision, landed.files, landed.patch, landed.checkpoint, landed.commit
        )

    # ── beside the turns ──

    async def plan(self, task: str = "") -> ContextPlan:
        """What the model would see for `task` now; sends nothing."""
        snapshot = await asyncio.to_thread(self._repository.snapshot)
        return await asyncio.to_thread(self._briefing.make_plan, snapshot, task)

    def pin(self, path: str) -> None:
        """Show this file in full from the next plan on."""
        self._briefing.pin(path)

    def drop(self, path: str) -> None:
        """Leave this file out of the next plans."""
        self._briefing.drop(path)

    async def undo(self, checkpoint_id: str = "") -> Checkpoint:
        """Take back what was last applied (or that checkpoint). Raises where files changed since."""
        made = await asyncio.to_thread(undo, self._repository.location, self._places, checkpoint_id)
        self._emit(Undone(made, made.paths))
        return made

    async def close(self) -> None:
        await self._checks.close()
        await self._client.aclose()
        await asyncio.to_thread(self._repository.close)

    # ── private ──

    @property
    def _cache_key(self) -> str:
        return f"coder:{self.id}"

    def _start(self) -> None:
        location = self._repository.location
        self._record.write("session", root=str(location.root), model=self._settings.model)
        sandbox = self.options.checks.sandbox
        self._emit(SessionStarted(self.id, str(location.root), location.branch, self._settings.model, sandbox))
        if location.state:
            self._emit(Notice(f"a {location.state} is in progress in this repository", "warning"))
        if tell_once(self._places):
            self._emit(Notice(f"{WHAT_LEAVES} They go to {self._client.provider.host}."))

    def _close_turn(self, status: str) -> None:
        if self._draft is not None:
            self._briefing.saw(self._draft.tree)
        try:
            self._record.write_items(self._history)
            self._record.write("outcome", status=status, cost_usd=self.cost_usd)
        except OSError as error:
            self._emit(Notice(f"the session could not be recorded: {error.strerror}", "warning"))


AGENTS = {"edit": ("coder", ALL), "ask": ("ask", READING), "plan": ("plan", READING)}

ENDINGS = {
    "malformed": "the model made three malformed calls in a row",
    "repeated": "the model repeated itself without getting further",
    "max_output": "the model's reply was cut off at the output limit",
}


def commit_message(task: str) -> str:
    """A commit message from the task: its first line as the subject (72 columns), the whole below if there is more."""
    lines = task.strip().splitlines() or ["coder"]
    subject = lines[0] if len(lines[0]) <= 72 else lines[0][:71].rstrip() + "…"
    return subject if subject == task.strip() else f"{subject}\n\n{task.strip()}"
