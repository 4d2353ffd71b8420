"""What the status line and the panels show, gathered from the events. Knows nothing of the screen."""

from dataclasses import dataclass, field

from coder.events import (
    ContextPlanned,
    Event,
    EvidenceReady,
    SessionStarted,
    StepStarted,
    SubagentFinished,
    SubagentStarted,
    TestFinished,
    TestStarted,
    TurnFinished,
    TurnStarted,
    UsageRecorded,
)
from coder.values import ContextPlan, Evidence, TestReport, TriageCard, Usage

MAX_AGENTS = 500  # calls listed one by one; older ones stay in the sums


@dataclass
class AgentCall:
    """One call of a small model. `usage` arrives with its end."""

    role: str
    model: str
    summary: str
    state: str = "running"
    usage: Usage | None = None


@dataclass
class Facts:
    root: str = ""
    branch: str = ""
    model: str = ""
    sandbox: str = ""
    mode: str = "edit"
    running: bool = False
    asking: bool = False  # a question of the session is on the screen
    step: int = 0
    context_tokens: int = 0
    context_cap: int = 0  # tokens of input that the model really takes; 0: not known yet
    session_usd: float | None = 0.0
    usages: dict[tuple[str, str], Usage] = field(default_factory=dict)
    plan: ContextPlan | None = None
    agents: dict[str, AgentCall] = field(default_factory=dict)
    reports: list[tuple[str, TestReport]] = field(default_factory=list)
    testing: tuple[str, ...] = ()
    evidence: Evidence | None = None
    triage: tuple[TriageCard, ...] = ()
    plan_text: str = ""  # of plan mode

    def forget(self) -> None:
        """As at the beginning, but for the model: another session is told."""
        model = self.model
        self.__init__()  # type: ignore[misc]
        self.model = model

    def take(self, event: Event) -> None:
        match event:
            case SessionStarted(_, root, branch, model, sandbox):
                self.root, self.branch, self.model, self.sandbox = root, branch, model, sandbox
            case TurnStarted():
                self.running, self.step, self.reports, self.evidence, self.triage = True, 0, [], None, ()
            case TurnFinished():
                self.running, self.testing = False, ()
                for call in self.agents.values():
                    call.state = "interrupted" if call.state == "running" else call.state
            case ContextPlanned(plan):
                self.plan = plan
                self.context_tokens = self.context_tokens or plan.total_tokens
            case StepStarted(step, input_tokens):
                self.step, self.context_tokens = step, input_tokens
            case UsageRecorded(usage, session_usd):
                self._book(usage, session_usd)
            case SubagentStarted(identity, role, model, summary):
                self.agents[identity] = AgentCall(role, model, summary)
                while len(self.agents) > MAX_AGENTS:
                    del self.agents[next(iter(self.agents))]
            case SubagentFinished(identity, _, ok, usage) if identity in self.agents:
                self.agents[identity].state = "done" if ok else "failed"
                self.agents[identity].usage = usage
            case TestStarted(command, _):
                self.testing = command
            case TestFinished(report, on):
                self.testing = ()
                self.sandbox = report.sandbox or self.sandbox
                self.reports.append((on, report))
            case EvidenceReady(evidence, triage):
                self.evidence, self.triage = evidence, triage
            case _:
                pass

    def _book(self, usage: Usage, session_usd: float | None) -> None:
        key = (usage.role, usage.model)
        booked = self.usages.get(key)
        self.usages[key] = usage if booked is None else booked.plus(usage)
        self.session_usd = session_usd
        if usage.role != "coder":
            return
        if usage.requests > 1:
            self.context_tokens = 0  # the sum of a session that goes on; its next step tells
        elif usage.input_tokens and not usage.estimated:  # a worst case says nothing of the window
            self.context_tokens = usage.input_tokens + usage.output_tokens

    @property
    def input_tokens(self) -> int:
        return sum(usage.input_tokens for usage in self.usages.values())

    @property
    def cached_tokens(self) -> int:
        return sum(usage.cached_tokens for usage in self.usages.values())

    @property
    def predicted_tokens(self) -> int:
        """Of the input, that were expected to be cached."""
        return sum(usage.predicted_tokens for usage in self.usages.values())
