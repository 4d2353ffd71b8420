"""One turn: from the task to what landed. What outlives it is in its `Means`, which the session owns."""

import asyncio
from functools import partial

from msgspec import to_builtins

from coder import prompts
from coder.agents.agent import Agent, make_agent
from coder.agents.loop import Limits, TurnEnd, run_turn, usable_input
from coder.agents.subagents import select
from coder.agents.tool import Desk
from coder.config import Settings
from coder.context.render import is_beside
from coder.errors import ApiError, Exit, Failed, LimitReached
from coder.events import Applied, ApproveSpending, ContextPlanned, Notice, ProposalReady, Review
from coder.model.messages import TOO_LONG, message_text, user_message
from coder.repo.draft import Draft
from coder.repo.git import GitError
from coder.repo.steps import Stale
from coder.session import policy
from coder.session.commits import commit_landed, commit_message
from coder.session.findings import describe
from coder.session.landing import Landed, land, take_back
from coder.session.means import Means, Mode
from coder.session.outcome import Outcome
from coder.session.renewal import renewal_pays
from coder.session.renewed import renewed
from coder.session.selection import first_files
from coder.session.summaries import summarize_cached
from coder.session.uninterrupted import uninterrupted
from coder.text import redact
from coder.tools import ALL, READING
from coder.values import Checkpoint, ContextPlan, Evidence, FileDiff, Proposal, ReviewDecision, TriageCard

HALVINGS = 4  # of a section that is too long for the server: from the default budget down to 8,000 tokens


class Turn:
    """`subject` is what a commit is named after, the task if it is empty."""

    def __init__(self, means: Means, task: str, mode: Mode, subject: str = "") -> None:
        self.evidence = Evidence()
        self.triage: tuple[TriageCard, ...] = ()
        self.draft: Draft | None = None
        self._landed: Landed | None = None
        self._means = means
        self._task = task
        self._mode = mode
        self._subject = subject or task

    def draft_patch(self) -> tuple[tuple[FileDiff, ...], bytes]:
        """What the draft differs by from its snapshot, landed or not. Blocking."""
        if self.draft is None:
            return (), b""
        repository, old, new = self._means.repository, self.draft.snapshot.tree, self.draft.tree
        return repository.diff(old, new), repository.patch(old, new)

    async def run(self) -> Outcome:
        """Raises what ends the turn early (limits, API, policy); nothing has landed then."""
        self._means.client.require_key()
        self._means.client.renew_retries()
        await self._check_destination()
        draft = await self._begin()
        end = await self._converse(draft)
        return await self._conclude(draft, end)

    # ── opening ──

    async def _check_destination(self) -> None:
        """Whatever will keep the result from its place is better said before it costs anything."""
        destination = self._means.options.destination
        if self._mode == "edit" and destination.kind == "commit":
            from coder.repo.commit import check_can_commit

            await asyncio.to_thread(check_can_commit, self._means.repository.location, destination.branch or None)

    async def _begin(self) -> Draft:
        """Snapshot the working tree, decide what the model sees of it, and open the turn in the conversation."""
        means = self._means
        snapshot = await asyncio.to_thread(means.briefing.snapshot)
        draft = self.draft = await asyncio.to_thread(Draft, means.repository, snapshot, means.briefing.seen_tree)
        self.evidence, self.triage = Evidence(tree=snapshot.tree), ()
        task = prompts.fill("planning", task=self._task) if self._mode == "plan" else self._task
        shown = means.briefing.shown
        chosen = await first_files(means.helpers, means.briefing, snapshot, self._task)
        try:
            if dropped := means.briefing.stands_dropped:
                means.emit(Notice(f"the repository section is made anew without {', '.join(dropped)}"))
            if shown and (dropped or await renewal_pays(means, snapshot, task, chosen)):
                shown = await self._renew_section(draft)
            plan, messages = await asyncio.to_thread(means.briefing.open_turn, snapshot, task, chosen)
        except GitError:  # the tree that the model saw was pruned: nothing can be told as a difference to it
            await self._renew_section(draft)
            plan, messages = await asyncio.to_thread(means.briefing.open_turn, snapshot, task, chosen)
        means.history += [user_message(text) for text in messages]
        assert means.briefing.shown is not None
        if shown is None or means.briefing.shown.entries is not shown.entries:
            means.recorder.keep_section(means.briefing.shown)
        means.emit(ContextPlanned(means.briefing.shown))
        for note in means.briefing.news(plan):
            means.emit(Notice(note))
        await self._confirm_price(plan)
        return draft

    async def _renew_section(self, draft: Draft, most: int = 0) -> ContextPlan:
        """Put the repository as it is now in the place of the section that the conversation begins with."""
        means = self._means
        section = await asyncio.to_thread(means.briefing.rebuild, draft.snapshot, self._task, most)
        rest = (item for item in means.history[1:] if not is_beside(message_text(item)))
        means.history[:] = [user_message(section), *rest]
        assert means.briefing.shown is not None
        means.recorder.keep_section(means.briefing.shown)
        means.recorder.keep_items()  # which makes the cache key another one
        return means.briefing.shown

    async def _confirm_price(self, plan: ContextPlan) -> None:
        limits = self._means.settings.limits
        if plan.cold_usd is None or plan.cold_usd <= limits.ask_above:
            return
        if not await self._means.ask(ApproveSpending(plan.cold_usd, limits.max_cost)):
            raise LimitReached(
                f"the turn was not approved at ${plan.cold_usd:.2f}", "a smaller --context-budget costs less"
            )

    # ── the conversation ──

    async def _converse(self, draft: Draft) -> TurnEnd:
        """The agent's turn, and up to `repair_rounds` more while its tests fail in new ways."""
        means = self._means
        agent, desk = agent_of(self._mode, means.settings), self._desk(draft)
        room = usable_input(means.client.catalog.get(agent.model))
        limits = Limits(means.settings.limits.max_steps, max_input=room, scale=means.briefing.scale)
        if self._mode == "edit":
            await means.checks.prepare(draft.snapshot.tree)
        seen: set[tuple[str, ...]] = set()
        for round_left in reversed(range(means.settings.limits.repair_rounds + 1)):
            tested = draft.tree
            end = await self._ask_agent(agent, desk, limits)
            if end.status != "finished" or draft.tree == draft.snapshot.tree or self._mode != "edit":
                return end
            await self._verify(draft)
            failures = tuple(sorted(self.evidence.new_failures))
            if self.evidence.status != "failed" or not round_left or failures in seen or draft.tree == tested:
                return end
            seen.add(failures)
            report = describe(self.evidence, self.triage)
            means.history.append(user_message(f"[coder: the final draft was tested.]\n{report}"))
        return end

    async def _ask_agent(self, agent: Agent, desk: Desk, limits: Limits) -> TurnEnd:
        """One run of the loop. While the server finds even the section too long, half of it goes, said aloud."""
        means = self._means
        for left in reversed(range(HALVINGS + 1)):
            try:
                return await run_turn(agent, means.client, means.history, desk, limits, means.key)
            except ApiError as error:
                shown = means.briefing.shown
                if error.code not in TOO_LONG or shown is None or not left:
                    raise
                plan = desk.plan = await self._renew_section(desk.draft, shown.total_tokens // 2)
                if plan.total_tokens >= shown.total_tokens:
                    raise
            text = f"the repository section was too long for the server: {plan.total_tokens:,} tokens are left of it"
            means.emit(Notice(text, "warning"))
            means.emit(ContextPlanned(plan))
        raise AssertionError("the last of the tries returns or raises")

    def _desk(self, draft: Draft) -> Desk:
        means = self._means

        async def run_tests() -> str:
            await self._verify(draft)
            return describe(self.evidence, self.triage)

        return Desk(
            draft=draft,
            emit=means.emit,
            plan=means.briefing.shown,
            withheld=means.briefing.withheld,
            rules=means.briefing.rules,
            run_tests=run_tests,
            summarize=partial(summarize_cached, means.helpers, means.places, draft),
            select=partial(select, means.helpers),
            edits=list(means.edits.values()),
            said=means.said,
        )

    async def _verify(self, draft: Draft) -> None:
        """Test the draft as it is now; the same tree is tested once."""
        self.evidence, self.triage = await self._means.checks.run(draft.snapshot.tree, draft.tree)

    # ── the end ──

    async def _conclude(self, draft: Draft, end: TurnEnd) -> Outcome:
        """From the agent's last word to what landed."""
        if self._mode != "edit" and end.status == "finished":
            return Outcome(Exit.DONE, end.text)
        if end.status in ("content_filter", "refusal"):
            return Outcome(Exit.API, f"the model refused the task: {end.text[:500]}".rstrip(": "))
        files, patch = await asyncio.to_thread(self.draft_patch)
        if end.status != "finished":
            return Outcome(Exit.FAILED, ENDINGS[end.status], files=files, patch=patch)
        if not files:
            return Outcome(Exit.UNCHANGED, end.text or "nothing was changed")
        return await self._decide(self._proposal(draft, files, patch, end.text), end.text)

    async def review(self, proposal: Proposal) -> Outcome:
        """Ask again about a proposal of before, as it fits the files of now. Raises Failed where nothing of it does."""
        self.evidence, self.triage = proposal.evidence, proposal.triage
        await self._check_destination()
        repository = self._means.repository
        try:
            if (await asyncio.to_thread(repository.snapshot)).tree != proposal.snapshot:
                proposal = await asyncio.to_thread(renewed, repository, proposal)
        except GitError as error:
            raise Failed("the files of the proposal are gone", "give the task again") from error
        if not proposal.files:
            raise Failed("nothing is left of the proposal: the files are as it has them, or changed in the same lines")
        return await self._decide(proposal, proposal.summary)

    async def _decide(self, proposal: Proposal, summary: str) -> Outcome:
        """Ask until it is decided and has landed: what changed meanwhile is shown anew."""
        files, patch = proposal.files, proposal.patch
        stale: Stale | None = None
        while True:
            decision = await self._ask_review(proposal, again=stale is not None)
            if decision.takes_nothing():
                self._means.briefing.reviewed(proposal, decision)
                why = "its tests fail" if self.evidence.status == "failed" else "nothing of it was accepted"
                why = stale.message if stale else why
                return Outcome(Exit.FAILED, f"the change was not applied: {why}", proposal, decision, files, patch)
            try:
                return await self._land(proposal, decision, summary)
            except Stale as error:
                stale, proposal = error, await asyncio.to_thread(renewed, self._means.repository, proposal)
            if not proposal.files:
                raise stale

    async def _ask_review(self, proposal: Proposal, *, again: bool) -> ReviewDecision:
        self._means.emit(ProposalReady(proposal))
        base = partial(self._means.repository.read, proposal.snapshot)
        decision = await self._means.ask(Review(proposal, base, commit_message(self._subject), again))
        assert isinstance(decision, ReviewDecision)
        return decision

    def _proposal(self, draft: Draft, files: tuple[FileDiff, ...], patch: bytes, summary: str) -> Proposal:
        commands = [report.command for report in self.evidence.reports]
        judged = policy.edits_own_tests(files, commands)
        warnings = [f"the change edits what tests it: {', '.join(judged[:5])}"] if judged else []
        for warning in warnings:
            self._means.emit(Notice(warning, "warning"))
        return Proposal(
            draft.snapshot.tree,
            draft.tree,
            files,
            patch,
            self.evidence,
            self.triage,
            self._means.client.cost_usd,
            summary,
            tuple(warnings),
        )

    async def _land(self, proposal: Proposal, decision: ReviewDecision, summary: str) -> Outcome:
        """Write what was approved. A cancellation meanwhile waits for the write to finish, then takes it back."""
        means = self._means
        message = decision.commit_message or commit_message(self._subject)
        carry_out = partial(land, hooks=means.options.trusted)
        landed, interrupted = await uninterrupted(
            carry_out, means.repository, means.places, proposal, decision, means.options.destination, message
        )
        self._landed = landed
        if interrupted:
            await uninterrupted(self.take_back)
            raise asyncio.CancelledError
        self._tell_landed(landed, proposal.snapshot)
        means.briefing.reviewed(proposal, decision)
        oid = landed.commit
        if decision.commit_message and landed.checkpoint and not oid:
            oid = await commit_landed(means, landed.checkpoint.id, decision.commit_message)
        return Outcome(Exit.DONE, summary, proposal, decision, landed.files, landed.patch, landed.checkpoint, oid)

    def take_back(self) -> tuple[Checkpoint, ...]:
        """Undo what landed, a commit included; the checkpoint of that, if anything had landed. Blocking."""
        landed, self._landed = self._landed, None
        undone = take_back(self._means.repository, self._means.places, landed) if landed else None
        return (undone,) if undone else ()

    def _tell_landed(self, landed: Landed, snapshot: str) -> None:
        means, checkpoint = self._means, landed.checkpoint
        for remark in landed.remarks:
            means.emit(Notice(remark, "warning"))
        if landed.merged:
            text = f"merged with changes made meanwhile, which were not tested: {', '.join(landed.merged)}"
            means.emit(Notice(text, "warning"))
        if checkpoint is None:
            return
        for warning in checkpoint.warnings:
            means.emit(Notice(warning, "warning"))
        paths = tuple(file.path for file in landed.files)
        trees = (snapshot, landed.tree)
        if not landed.commit:
            means.applied[checkpoint.id] = trees
        patch = means.edits[checkpoint.id] = redact(landed.patch.decode("utf-8", "replace"))
        facts = {"paths": paths, "commit": landed.commit, "patch": patch, "trees": trees}
        means.recorder.note("applied", checkpoint=to_builtins(checkpoint), **facts)
        means.emit(Applied(checkpoint, paths, landed.commit))


def agent_of(mode: Mode, settings: Settings) -> Agent:
    """The agent of a mode. Planning and editing share instructions and tools, so that the cached prefix holds."""
    if mode == "ask":
        return make_agent("ask", settings, READING)
    return make_agent("coder", settings, ALL, READING if mode == "plan" else None)


ENDINGS = {
    "malformed": "the model made three malformed calls in a row",
    "repeated": "the model repeated itself without getting further",
    "max_output": "the model's reply was cut off at the output limit",
}
