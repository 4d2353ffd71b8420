"""The conversation: tells the session's events as blocks, one kind of block per kind of event."""

import traceback
from pathlib import Path

from coder.amounts import duration
from coder.errors import CoderError
from coder.events import (
    Applied,
    ContextPlanned,
    DraftChanged,
    Event,
    EvidenceReady,
    Notice,
    ProposalReady,
    ReplyFinished,
    RetryWaiting,
    SessionStarted,
    StepAbandoned,
    StepStarted,
    SubagentFinished,
    SubagentStarted,
    TestFinished,
    TestOutput,
    TestStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    Undone,
    UsageRecorded,
)
from coder.tui.blocks import messages
from coder.tui.blocks.block import Block
from coder.tui.blocks.results import Landed, Offer, TestRun, Verdict
from coder.tui.blocks.work import Context, Draft, Subagents, ToolCall
from coder.tui.transcript import Transcript


class Conversation(Transcript):
    """The transcript with what is still open in it: the reply being written, calls and tests that run."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._reply: messages.Reply | None = None
        self._last_reply = ""
        self._calls: dict[str, ToolCall] = {}
        self._tests: TestRun | None = None
        self._agents: list[Subagents] = []
        self._price = ""

    def add(self, block: Block) -> None:
        """What the model did stands apart from what it said."""
        if isinstance(self.newest, messages.Reply):
            block.gap = 1
        super().add(block)

    def say(self, text: str, level: str = "info", hint: str = "") -> None:
        """A line of the screen's own."""
        self.add(messages.Notice(text, level, hint))

    def tell_fault(self, error: BaseException, log: Path | None) -> None:
        """What ended a turn, or kept the session from opening."""
        if isinstance(error, CoderError):
            self.say(error.message, "error", error.hint)
            return
        traceback.print_exception(error)  # fd 2 is the log
        where = f"the details are in {log}" if log else ""
        self.say(f"a bug of coder: {type(error).__name__}: {error}", "error", where)

    def tell(self, event: Event, price: str = "") -> None:
        """Show one event. `price` is what the session has cost so far, in words."""
        self._price = price
        match event:
            case TextDelta(text):
                self._open_reply().feed(text)
                self.changed(self._open_reply())
            case ReplyFinished(text):
                self._finish_reply(text)
            case StepAbandoned(reason):
                self._abandon(reason)
            case ToolStarted():
                self._calls[event.call_id] = call = ToolCall(event)
                self.add(call)
            case ToolFinished():
                self._finish_call(event)
            case SubagentStarted() | SubagentFinished():
                self._subagent(event)
            case TestStarted():
                self._tests = TestRun(event)
                self.add(self._tests)
            case TestOutput(text) if self._tests is not None:
                self._tests.feed(text)
                self.changed(self._tests)
            case TestFinished() if self._tests is not None:
                self._tests.finish(event)
                self.changed(self._tests)
                self._tests = None
            case TurnFinished():
                self._finish_turn(event)
            case _:
                self._add(event)

    def _add(self, event: Event) -> None:
        """The events that are told in one block and never change."""
        match event:
            case TurnStarted(_, task):
                self._start_turn(task)
            case Notice(text, level):
                self.say(text, level)
            case ContextPlanned(plan):
                self.add(Context(plan))
            case DraftChanged():
                self.add(Draft(event))
            case EvidenceReady(evidence, triage):
                self.add(Verdict(evidence, triage))
            case RetryWaiting(seconds, attempt, reason):
                self.say(f"try {attempt} failed, the next in {duration(seconds)}: {reason}", "warning")
            case ProposalReady(proposal):
                self.add(Offer(proposal))
            case Applied() | Undone():
                self.add(Landed(event))
            case StepStarted() | SessionStarted() | UsageRecorded() | TestOutput() | TestFinished():
                pass  # told by the status line, the panels and the activity line

    def _open_reply(self) -> messages.Reply:
        if self._reply is None:
            self._reply = messages.Reply()
            self.add(self._reply)
        return self._reply

    def _finish_reply(self, text: str) -> None:
        self._last_reply = text.strip()
        if self._reply is None and not text.strip():
            return
        reply = self._open_reply()
        reply.replace(text)
        self.changed(reply)
        self._reply = None

    def _abandon(self, reason: str) -> None:
        if self._reply is not None:
            self._reply.abandoned = reason
            self.changed(self._reply)
            self._reply = None

    def _finish_call(self, event: ToolFinished) -> None:
        call = self._calls.pop(event.call_id, None)
        if call is not None:
            call.finish(event)
            self.changed(call)

    def _subagent(self, event: SubagentStarted | SubagentFinished) -> None:
        if isinstance(event, SubagentFinished):
            block = next((agents for agents in self._agents if agents.owns(event.id)), None)
            if block is not None:
                block.finish(event)
                self.changed(block)
            return
        block = next((agents for agents in self._agents if agents.role == event.role), None)
        if block is None:
            block = Subagents(event.role, event.model)
            self._agents.append(block)
            block.start(event)
            self.add(block)
        else:
            block.start(event)
            self.changed(block)

    def _start_turn(self, task: str) -> None:
        self._agents = []
        self.add(messages.Task(task))
        self.to_end()

    def _finish_turn(self, event: TurnFinished) -> None:
        open_blocks: list[ToolCall | TestRun | Subagents] = [*self._calls.values(), *self._agents]
        if self._tests is not None:
            open_blocks.append(self._tests)
        for block in open_blocks:
            block.interrupt()
            self.changed(block)
        self._calls, self._tests, self._agents, self._reply = {}, None, [], None
        summary = "" if event.summary.strip() == self._last_reply else event.summary
        self.add(messages.Ending(event.status, summary, self._price))
