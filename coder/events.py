"""Events and questions: the one stream both faces consume.

An event is a fact; it is emitted and forgotten. A question wants an answer and goes through `ask`. Both families
are closed: a face matches over the union and the type checker finds the case it forgot. The JSON lines that
outsiders read are a schema of their own (`coder.headless.schema`), so these may change freely.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct

from coder.values import (
    Approval,
    Checkpoint,
    ContextPlan,
    Evidence,
    Proposal,
    ReviewDecision,
    TestReport,
    TriageCard,
    Usage,
)


class SessionStarted(Struct, frozen=True):
    session: str
    root: str
    branch: str
    model: str
    sandbox: str


class Notice(Struct, frozen=True):
    """Something the user should know. A warning also ends up in the result."""

    text: str
    level: Literal["info", "warning"] = "info"


class TurnStarted(Struct, frozen=True):
    turn: int
    task: str


class ContextPlanned(Struct, frozen=True):
    plan: ContextPlan


class StepStarted(Struct, frozen=True):
    step: int
    input_tokens: int


class TextDelta(Struct, frozen=True):
    """A piece of the streamed reply, for display only; `ReplyFinished` has the whole."""

    text: str


class ReplyFinished(Struct, frozen=True):
    text: str


class StepAbandoned(Struct, frozen=True):
    """The deltas shown since the step started did not become a reply (a cut stream, a retry)."""

    reason: str


class ToolStarted(Struct, frozen=True):
    call_id: str
    name: str
    summary: str


class ToolFinished(Struct, frozen=True):
    call_id: str
    name: str
    ok: bool
    summary: str


class DraftChanged(Struct, frozen=True):
    tree: str
    paths: tuple[str, ...]
    patch: bytes


class TestStarted(Struct, frozen=True):
    __test__ = False

    command: tuple[str, ...]
    on: Literal["base", "draft"]


class TestOutput(Struct, frozen=True):
    """A piece of the command's output, as it came: untrusted, bounded by the sandbox."""

    __test__ = False

    text: str


class TestFinished(Struct, frozen=True):
    __test__ = False

    report: TestReport
    on: Literal["base", "draft"]


class EvidenceReady(Struct, frozen=True):
    evidence: Evidence
    triage: tuple[TriageCard, ...] = ()


class SubagentStarted(Struct, frozen=True):
    id: str
    role: str
    model: str
    summary: str


class SubagentFinished(Struct, frozen=True):
    id: str
    role: str
    ok: bool
    usage: Usage | None


class UsageRecorded(Struct, frozen=True):
    """One call was booked. `session_usd` is the session so far; None when some price is unknown."""

    usage: Usage
    session_usd: float | None


class CallFinished(Struct, frozen=True):
    """One try of one call to a model came to its end. `status` is "ok" or what it failed with ("429", "cut").

    `usage` is None where nothing was charged; `answered_by` and `tier` are as the server said, "" where it did not.
    """

    role: str
    model: str
    provider: str
    host: str
    seconds: float
    attempt: int
    status: str
    usage: Usage | None
    answered_by: str = ""
    tier: str = ""


class RetryWaiting(Struct, frozen=True):
    seconds: float
    attempt: int
    reason: str


class ProposalReady(Struct, frozen=True):
    proposal: Proposal


class Applied(Struct, frozen=True):
    checkpoint: Checkpoint | None
    paths: tuple[str, ...]
    commit: str = ""


class Undone(Struct, frozen=True):
    checkpoint: Checkpoint
    paths: tuple[str, ...]


class TurnFinished(Struct, frozen=True):
    status: str
    summary: str


Event = (
    SessionStarted
    | Notice
    | TurnStarted
    | ContextPlanned
    | StepStarted
    | TextDelta
    | ReplyFinished
    | StepAbandoned
    | ToolStarted
    | ToolFinished
    | DraftChanged
    | TestStarted
    | TestOutput
    | TestFinished
    | EvidenceReady
    | SubagentStarted
    | SubagentFinished
    | UsageRecorded
    | CallFinished
    | RetryWaiting
    | ProposalReady
    | Applied
    | Undone
    | TurnFinished
)

Emit = Callable[[Event], None]


# ── questions ────────────────────────────────────────────────────────────────────────────────────


class Review(Struct, frozen=True):
    """Which hunks may land? Answered by a `ReviewDecision`.

    `base` gives the content that the proposal began with, by path (None: no such file); `message` is what a commit of
    it would say; `again` that files changed since it was answered and it is to be looked at anew.
    """

    proposal: Proposal
    base: Callable[[str], bytes | None] = lambda path: None
    message: str = ""
    again: bool = False


class ApproveCommand(Struct, frozen=True):
    """May exactly these commands run, in this sandbox? Answered by an `Approval` (True: always).

    `origin` says who named them. `why` is not empty where more than a first approval is asked for: other commands
    were approved here, or there is no sandbox.
    """

    commands: tuple[tuple[str, ...], ...]
    origin: str
    sandbox: str
    why: str = ""


class ApproveSpending(Struct, frozen=True):
    """The next turn is forecast to cost this much. Answered by True or False."""

    forecast_usd: float
    limit_usd: float | None


Question = Review | ApproveCommand | ApproveSpending
Answer = ReviewDecision | Approval | bool

Ask = Callable[[Question], Awaitable[Answer]]
