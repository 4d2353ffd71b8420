"""Events and questions: the one stream both faces consume.

An event is a fact; it is emitted and forgotten. A question wants an answer and goes through `ask`. Both families
are closed: a face matches over the union and the type checker finds the case it forgot. The JSON lines that
outsiders read are a schema of their own (`coder.headless.schema`), so these may change freely.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class SessionStarted:
    session: str
    root: str
    branch: str
    model: str
    sandbox: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know. A warning also ends up in the result."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class TurnStarted:
    turn: int
    task: str


@dataclass(frozen=True, slots=True)
class ContextPlanned:
    plan: ContextPlan


@dataclass(frozen=True, slots=True)
class StepStarted:
    step: int
    input_tokens: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the streamed reply, for display only; `ReplyFinished` has the whole."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    text: str


@dataclass(frozen=True, slots=True)
class StepAbandoned:
    """The deltas shown since the step started did not become a reply (a cut stream, a retry)."""

    reason: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call_id: str
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call_id: str
    name: str
    ok: bool
    summary: str


@dataclass(frozen=True, slots=True)
class DraftChanged:
    tree: str
    paths: tuple[str, ...]
    patch: bytes


@dataclass(frozen=True, slots=True)
class TestStarted:
    __test__ = False

    command: tuple[str, ...]
    on: Literal["base", "draft"]


@dataclass(frozen=True, slots=True)
class TestOutput:
    """A piece of the command's output, as it came: untrusted, bounded by the sandbox."""

    __test__ = False

    text: str


@dataclass(frozen=True, slots=True)
class TestFinished:
    __test__ = False

    report: TestReport
    on: Literal["base", "draft"]


@dataclass(frozen=True, slots=True)
class EvidenceReady:
    evidence: Evidence
    triage: tuple[TriageCard, ...] = ()


@dataclass(frozen=True, slots=True)
class SubagentStarted:
    id: str
    role: str
    model: str
    summary: str


@dataclass(frozen=True, slots=True)
class SubagentFinished:
    id: str
    role: str
    ok: bool
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class UsageRecorded:
    """One call was booked. `session_usd` is the session so far; None when some price is unknown."""

    usage: Usage
    session_usd: float | None


@dataclass(frozen=True, slots=True)
class CallFinished:
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


@dataclass(frozen=True, slots=True)
class RetryWaiting:
    seconds: float
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalReady:
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Applied:
    checkpoint: Checkpoint | None
    paths: tuple[str, ...]
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Undone:
    checkpoint: Checkpoint
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnFinished:
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


@dataclass(frozen=True, slots=True)
class Review:
    """Which hunks may land? Answered by a `ReviewDecision`.

    `base` gives the content that the proposal began with, by path (None: no such file); `message` is what a commit of
    it would say; `again` that files changed since it was answered and it is to be looked at anew.
    """

    proposal: Proposal
    base: Callable[[str], bytes | None] = lambda path: None
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class ApproveCommand:
    """May exactly these commands run, in this sandbox? Answered by an `Approval` (True: always).

    `origin` says who named them. `why` is not empty where more than a first approval is asked for: other commands
    were approved here, or there is no sandbox.
    """

    commands: tuple[tuple[str, ...], ...]
    origin: str
    sandbox: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ApproveSpending:
    """The next turn is forecast to cost this much. Answered by True or False."""

    forecast_usd: float
    limit_usd: float | None


Question = Review | ApproveCommand | ApproveSpending
Answer = ReviewDecision | Approval | bool

Ask = Callable[[Question], Awaitable[Answer]]
