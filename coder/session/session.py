"""A session: one conversation on one repository, from its opening or where its record left it. `run` is a turn."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from coder import prompts
from coder.agents.compaction import compact, size
from coder.config import Settings
from coder.errors import Exit, UserError
from coder.events import Ask, Emit, Event, Notice, TurnFinished, TurnStarted
from coder.model.ledger import Total
from coder.repo.checkpoint import UndoItem, preview, undo
from coder.repo.discover import Location
from coder.repo.repository import Repository
from coder.session.aside import CommandEnd, OwnCommands, ask_aside
from coder.session.choices import as_left, choose_effort, choose_model
from coder.session.commits import Commits
from coder.session.means import Mode, SessionOptions
from coder.session.names import Names
from coder.session.opening import announce, gather
from coder.session.outcome import Outcome
from coder.session.record import session_path
from coder.session.recorded import Recorded, RecordedTurn, live_records, read_records, recorded, records_before
from coder.session.replay import replay, spent
from coder.session.rewind import preview_all, standing, take_back, undo_in
from coder.session.turn import Turn
from coder.session.undecided import undecided
from coder.store import Places
from coder.values import Checkpoint, ContextPlan, Evidence, FileDiff, TriageCard, Usage

__all__ = ["Mode", "Session", "SessionOptions"]

KEPT_TOKENS = 2_000  # of the last steps, when the user asks for a compaction


class Session:
    """Lives as long as the conversation. One turn at a time; `close` when done.

    With `resume` the recorded session `id` goes on. Opening blocks: it reads files.
    """

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
        resume: bool = False,
    ) -> None:
        self.id = id
        self.options = options
        self.mode: Mode = options.mode
        self._emit = emit
        records = live_records(read_records(session_path(places, id))) if resume else []
        state = recorded(records)
        means = (repository, as_left(settings, state), places, emit, ask, id, options, state)
        self._means = gather(*means, lambda: self._turn_tree, new=not resume)
        self._records = records  # until the end of the last process, or up to where a rewind went
        self._turn: Turn | None = None
        self._commands = OwnCommands(self._means, id)
        self.names = Names(repository.location, places, id)
        self._adopt(state)
        before = state.settings.get("model", state.model) if self._turns else ""
        announce(self._means, id, before, is_undecided=undecided(records) is not None)

    def _adopt(self, state: Recorded) -> None:
        """Stand where a record stands: at the opening, and after a rewind."""
        self.title = state.title
        self.plan_text = state.plan
        self._turns = list(state.turns)
        self._means.history[:] = state.history
        self._means.edits, self._means.applied = dict(state.edits), dict(state.applied)
        self.commits = Commits(self._means, self._turns)
        self._means.briefing.resume(state)

    # ── what a face may look at ──

    @property
    def settings(self) -> Settings:
        return self._means.settings

    @property
    def max_input(self) -> int:  # tokens
        return self._means.client.catalog.get(self.settings.model).max_input

    @property
    def evidence(self) -> Evidence:
        """What the tests said in the last turn."""
        return self._turn.evidence if self._turn else Evidence()

    @property
    def triage(self) -> tuple[TriageCard, ...]:
        return self._turn.triage if self._turn else ()

    @property
    def usages(self) -> tuple[Usage, ...]:
        """Of this process; `costs` has the whole session."""
        return self._means.client.usages

    @property
    def cost_usd(self) -> float | None:
        return self._means.client.cost_usd

    @property
    def sandbox_text(self) -> str:
        """The tier that tests run in and its self-test; "" before the first test."""
        sandbox = self._means.checks.sandbox
        return "" if sandbox is None else f"{sandbox.tier} {sandbox.checks}".rstrip()

    @property
    def turns(self) -> tuple[RecordedTurn, ...]:
        """The turns so far, those of earlier processes included."""
        return tuple(self._turns)

    def draft_patch(self) -> tuple[tuple[FileDiff, ...], bytes]:
        """What the last turn's draft differs by from its snapshot, landed or not. Blocking."""
        return self._turn.draft_patch() if self._turn else ((), b"")

    def replay(self) -> tuple[Event, ...]:
        """The past of a resumed session as events, for a face to show; () for a new one. Text comes whole."""
        past = tuple(replay(self._records))
        return (*past, *spent(self._costs())) if past else ()

    async def costs(self) -> tuple[Total, ...]:
        """What the session has cost so far, by role and model (the key: both, with U+001F between)."""
        return await asyncio.to_thread(self._costs)

    def _costs(self) -> tuple[Total, ...]:
        return self._means.client.ledger.totals("role and model", session=self.id)

    # ── a turn ──

    async def run(self, task: str, subject: str = "") -> Outcome:
        """One turn. Raises what ends it early (limits, API, policy); nothing has landed then.

        `subject` is what a commit is named after, where the task is not.
        """
        means = self._means
        number = len(self._turns) + 1
        self._turns.append(RecordedTurn(number, task))
        means.recorder.note("task", turn=number, text=task)
        means.emit(TurnStarted(number, task))
        self._turn = Turn(means, task, self.mode, subject)
        return await self._to_its_end(self._turn.run())

    async def review(self) -> Outcome:
        """Decide about the proposal of the last turn, where its review was broken off. Raises UserError where not."""
        records = await asyncio.to_thread(lambda: live_records(read_records(session_path(self._means.places, self.id))))
        proposal = undecided(records)
        if proposal is None:
            raise UserError("there is no proposal to decide about", "/diff shows the last one")
        self._turn = Turn(self._means, self._turns[-1].task, "edit")
        return await self._to_its_end(self._turn.review(proposal))

    async def _to_its_end(self, turn: Awaitable[Outcome]) -> Outcome:
        try:
            outcome = await turn
        except BaseException as error:
            self._close_turn(getattr(error, "exit", Exit.INTERRUPT).status, "")
            raise
        if self.mode == "plan" and outcome.exit is Exit.DONE:
            self.plan_text = outcome.summary
        self._close_turn(outcome.exit.status, outcome.summary, outcome.checkpoint)
        self._emit(TurnFinished(outcome.exit.status, outcome.summary))
        return outcome

    @property
    def _turn_tree(self) -> str:
        return self._turn.draft.tree if self._turn and self._turn.draft else ""

    def _close_turn(self, status: str, summary: str, checkpoint: Checkpoint | None = None) -> None:
        means, last = self._means, self._turns[-1]
        ids = (checkpoint.id,) if checkpoint and checkpoint.id else ()
        self._turns[-1] = replace(last, status=status, checkpoints=ids)
        if self._turn_tree:
            means.briefing.saw(self._turn_tree)
        means.recorder.keep_items()
        remarks, plan = means.briefing.remarks, self.plan_text if self.mode == "plan" else ""
        means.recorder.note(
            "outcome", status=status, summary=summary, cost_usd=self.cost_usd, remarks=remarks, plan=plan
        )

    # ── modes and models ──

    def set_mode(self, mode: Mode) -> None:
        """Plan first or edit at once, from the next turn on. The cached prefix holds."""
        self.mode = mode
        text = "nothing is edited until the plan is carried out" if mode == "plan" else "edits are drafted and reviewed"
        self._say(f"{mode} mode: {text}")

    async def carry_out(self, plan: str) -> Outcome:
        """Leave plan mode and do what `plan` says: the last plan as the user edited and approved it."""
        task = next((turn.task for turn in reversed(self._turns)), "")
        if self.mode == "plan":
            self.set_mode("edit")
        return await self.run(prompts.fill("carry_out", plan=plan.strip()), subject=task)

    def set_model(self, model: str) -> None:
        """Plan and edit with another model from the next turn on. Its cache of the conversation is empty at first."""
        self._choose("model", choose_model(self.settings, model))
        if not self._means.client.catalog.get(self.settings.model).known:
            self._say(f"{self.settings.model} is not in the catalog: its window and price are unknown")

    def set_effort(self, effort: str) -> None:
        """Reason as much as this from the next turn on. Raises UserError for a word that is no effort."""
        self._choose("effort", choose_effort(self.settings, effort))

    def _choose(self, key: str, settings: Settings) -> None:
        before, value = getattr(self.settings, key), getattr(settings, key)
        self._means.settings = self._means.briefing.settings = settings
        self._means.recorder.note("setting", key=key, value=value)
        self._say(f"the {key} is now {value} (it was {before})")

    # ── beside the turns ──

    async def plan(self, task: str = "") -> ContextPlan:
        """What the model would see for `task` now; sends nothing. Says what is new of it."""
        snapshot = await asyncio.to_thread(self._means.briefing.snapshot)
        plan = await asyncio.to_thread(self._means.briefing.make_plan, snapshot, task)
        for note in self._means.briefing.news(plan):
            self._emit(Notice(note))
        return plan

    def pin(self, path: str) -> None:
        """Show this file in full from the next plan on."""
        self._means.briefing.pin(path)
        self._keep_pins()
        self._say(f"{path} is pinned for the next tasks")

    def drop(self, path: str) -> None:
        """Leave this file out of the next plans."""
        self._means.briefing.drop(path)
        self._keep_pins()
        self._say(f"{path} is dropped: the next tasks go without it")

    def _keep_pins(self) -> None:
        self._means.recorder.note("pins", pinned=self._means.briefing.pinned, dropped=self._means.briefing.dropped)

    async def preview_undo(self, checkpoint_id: str = "") -> tuple[UndoItem, ...]:
        """What `undo` with the same id would do to each file."""
        return await asyncio.to_thread(preview, self._location, self._means.places, checkpoint_id)

    async def undo(self, checkpoint_id: str = "") -> Checkpoint:
        """Take back what was last applied (or that checkpoint). Raises where files changed since."""
        return (await undo_in(self._means, lambda: (undo(self._location, self._means.places, checkpoint_id),)))[0]

    async def take_back(self) -> None:
        """Undo what the last turn landed, its commit too, if anything. Raises where files or HEAD changed since."""
        if self._turn:
            await undo_in(self._means, self._turn.take_back)

    async def compact(self) -> tuple[int, int]:
        """Leave out the older steps of the conversation; about how many tokens it had, and has."""
        history = self._means.history
        shorter = compact(history, list(self._means.edits.values()), KEPT_TOKENS)
        before, after = size(history), size(shorter)
        if after >= before:
            self._emit(Notice("there are no older steps to leave out"))
            return before, before
        history[:] = shorter
        self._means.recorder.keep_items()
        self._say(f"the conversation was compacted from about {before:,} to {after:,} tokens")
        return before, after

    async def ask_aside(self, question: str, on_text: Callable[[str], None]) -> str:
        """The answer to a question that stays out of the conversation; also while a turn runs."""
        return await ask_aside(self._means, self.mode, question, on_text)

    async def run_tests(self, *, failed: bool = False) -> Evidence:
        """Run the tests on the files as they are now, against those of before the last turn; or what `failed` only."""
        base = self._turn.draft.snapshot.tree if self._turn and self._turn.draft else ""
        return await self._means.checks.again(base, failed=failed)

    async def command(self, line: str, on_output: Callable[[str], None]) -> CommandEnd:
        """Run a command of the user's own in the sandbox, after a yes; the model is told with the next task."""
        return await self._commands.run(line, on_output)

    def steer(self, words: str) -> None:
        """Say something to the turn that runs; it is heard after the step that is being taken."""
        self._means.said.append(words)
        self._say(f"said meanwhile: {words}")

    def unheard(self) -> tuple[str, ...]:
        """What was said to a turn that ended before it could hear; it is forgotten here."""
        said, self._means.said[:] = tuple(self._means.said), ()
        return said

    def keep_plan(self, plan: str) -> None:
        """The plan as the user edited it."""
        self.plan_text = plan
        self._means.recorder.note("plan", text=plan)

    def rename(self, title: str) -> None:
        """Give the session a name; "" takes it away."""
        self.title = title.strip()
        self._means.recorder.note("title", text=self.title)
        self._say(f"this session is now called {self.title!r}" if self.title else "this session has no name any more")

    # ── rewind ──

    async def preview_rewind(self, turn: int) -> tuple[UndoItem, ...]:
        """What a rewind to before turn `turn` does to the files. Raises UserError if there is no such turn."""
        ids = await self._applied_since(turn)
        return await asyncio.to_thread(preview_all, self._location, self._means.places, ids)

    async def rewind(self, turn: int, *, files: bool = True) -> tuple[Checkpoint, ...]:
        """Go back to before turn `turn`: the conversation and, with `files`, what it and the later ones applied.

        Raises, with nothing changed, where a file was changed since. The undos are checkpoints of their own.
        """
        ids, places = await self._applied_since(turn), self._means.places
        made = await undo_in(self._means, lambda: take_back(self._location, places, ids)) if files and ids else ()
        records = await asyncio.to_thread(lambda: live_records(read_records(session_path(places, self.id))))
        before = records_before(records, turn)
        state = recorded(before)
        self._means.recorder.record.rewind(turn, state.history, state.renewals)
        self._turn, self._records = None, before
        self._adopt(state)
        self._say(f"back before turn {turn}; {len(made)} applied changes were taken back")
        return made

    async def _applied_since(self, turn: int) -> tuple[str, ...]:
        if not 1 <= turn <= len(self._turns):
            raise UserError(f"there is no turn {turn}", f"the session has {len(self._turns)}")
        ids = [checkpoint for each in self._turns[turn - 1 :] for checkpoint in each.checkpoints]
        return await asyncio.to_thread(standing, self._location, self._means.places, ids)

    # ── private ──

    @property
    def _location(self) -> Location:
        return self._means.repository.location

    def _say(self, text: str) -> None:
        self._means.recorder.note("notice", text=text)
        self._emit(Notice(text))

    async def close(self) -> None:
        await self._means.checks.close()
        await self._means.client.aclose()
        await asyncio.to_thread(self._means.briefing.close)
        self._means.recorder.record.close()
