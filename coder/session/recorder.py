"""What of a session is kept as it happens: a sink of events before the face's own. A full disk costs only that."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from coder.events import (
    Emit,
    Event,
    EvidenceReady,
    Notice,
    ProposalReady,
    ReplyFinished,
    StepAbandoned,
    StepStarted,
    TextDelta,
)
from coder.session.record import Items, Record
from coder.session.recorded import plan_object
from coder.values import ContextPlan, Evidence, TestReport

MAX_FAILURES = 100  # of one report that are kept
REPLY_S = 3.0  # of a reply that a kill may take
MAX_TRACE = 2_000  # characters of a failure's trace that are kept: the log has the rest


class Streamed:
    """A reply as it comes. Kept every few seconds: a kill takes no more of what the user has read."""

    def __init__(self) -> None:
        self.parts: list[str] = []  # not kept yet
        self._kept = 0
        self._since = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._since > REPLY_S

    def taken(self) -> tuple[int, str]:
        """What is to be kept now, and the characters that were kept before."""
        at, text = self._kept, "".join(self.parts)
        self.parts, self._kept, self._since = [], at + len(text), time.monotonic()
        return at, text


class Recorder:
    """Writes down facts, then passes them on to `emit`. `head` is written before anything else, once.

    `tree` gives the draft as the model knows it.
    """

    def __init__(
        self, record: Record, history: Items, emit: Emit, tree: Callable[[], str], head: Mapping[str, Any] | None
    ) -> None:
        self.record = record
        self._history = history
        self._emit = emit
        self._tree = tree
        self._head = head
        self._failed = False
        self._reply = Streamed()

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self.keep_items()
                self._reply = Streamed()
            case TextDelta(text):
                self._reply.parts.append(text)
                if self._reply.is_due():
                    self._keep_reply()
            case ReplyFinished() | StepAbandoned():
                self._reply = Streamed()
            case EvidenceReady(evidence, triage):
                self.keep_items()  # what was said before it
                self.note("evidence", evidence=to_builtins(slim(evidence)), triage=to_builtins(triage))
            case ProposalReady(proposal):
                self.keep_items()
                self.note(
                    "proposal",
                    snapshot=proposal.snapshot,
                    draft=proposal.draft,
                    patch=proposal.patch.decode("utf-8", "surrogateescape"),
                    cost_usd=proposal.cost_usd,
                    summary=proposal.summary,
                    warnings=proposal.warnings,
                )
            case _:
                pass
        self._emit(event)

    def note(self, kind: str, **fields: Any) -> None:
        """Append one record."""
        self._try(lambda: self.record.write(kind, **fields))

    def keep_items(self) -> None:
        """Bring the recorded conversation up to date, and what was heard of a reply that has not ended."""
        self._keep_reply()
        self._try(lambda: self.record.write_items(self._history, self._tree()))

    def _keep_reply(self) -> None:
        at, text = self._reply.taken()
        if text:
            self.note("said", at=at, text=text)

    def keep_section(self, plan: ContextPlan) -> None:
        """Remember which plan's section stands in the conversation."""
        self.note("section", plan=plan_object(plan))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            if self._head is not None:
                self.record.write("session", **self._head)
                self._head = None
            write()
        except OSError as error:
            if not self._failed:
                self._emit(Notice(f"the session could not be recorded: {error.strerror}", "warning"))
            self._failed = True


def slim(evidence: Evidence) -> Evidence:
    """The evidence without what the logs have anyway."""
    return replace(
        evidence, reports=tuple(map(_slim_report, evidence.reports)), base=tuple(map(_slim_report, evidence.base))
    )


def _slim_report(report: TestReport) -> TestReport:
    kept = (replace(failure, trace=failure.trace[:MAX_TRACE]) for failure in report.failures[:MAX_FAILURES])
    return replace(report, failures=tuple(kept))
