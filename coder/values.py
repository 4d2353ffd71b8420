"""The words of the design as values that cross rooms. Imports nothing of coder; holds no behaviour but arithmetic."""

from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct

# ── changes ──────────────────────────────────────────────────────────────────────────────────────

ChangeKind = Literal["added", "modified", "deleted", "renamed"]


class Hunk(Struct, frozen=True):
    """One hunk of a canonical patch. `lines` keep their prefix (space, `-`, `+`, `\\`) and their own line end."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    section: bytes
    lines: tuple[bytes, ...]

    @property
    def added(self) -> int:
        return sum(line.startswith(b"+") for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.startswith(b"-") for line in self.lines)


class FileDiff(Struct, frozen=True):
    """One file of a canonical patch. Paths are text with surrogate escapes; modes as git prints them, "" if absent.

    `header` holds git's own header lines, byte for byte. `protected` says why the path needs a separate yes
    (empty when it does not).
    """

    path: str
    kind: ChangeKind
    old_path: str
    old_mode: str
    new_mode: str
    header: tuple[bytes, ...]
    hunks: tuple[Hunk, ...]
    binary: bool = False
    protected: str = ""

    @property
    def added(self) -> int:
        return sum(hunk.added for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.removed for hunk in self.hunks)


# ── tests ────────────────────────────────────────────────────────────────────────────────────────


class TestFailure(Struct, frozen=True):
    """One failed test as its runner reported it. `name` identifies it across runs; `line` is 0 when unknown."""

    __test__ = False

    name: str
    file: str = ""
    line: int = 0
    kind: str = ""
    message: str = ""
    trace: str = ""


class TestReport(Struct, frozen=True):
    """One run of one command on one tree. `exit_code` is None when the run timed out or was killed."""

    __test__ = False

    command: tuple[str, ...]
    tree: str
    exit_code: int | None
    ran: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[TestFailure, ...] = ()
    duration_s: float = 0.0
    timed_out: bool = False
    log: str = ""
    log_sha256: str = ""
    sandbox: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


TestStatus = Literal["passed", "failed", "not_run"]


class Evidence(Struct, frozen=True):
    """What the tests say of a draft: the reports on it and on its base, and the difference by test name."""

    status: TestStatus = "not_run"
    tree: str = ""
    reports: tuple[TestReport, ...] = ()
    base: tuple[TestReport, ...] = ()
    new_failures: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    preexisting: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    note: str = ""


TriageCause = Literal["change", "wrong_test", "environment", "flaky", "timeout", "unrelated", "unknown"]


class TriageCard(Struct, frozen=True):
    """One cluster of failures and what is thought to be behind it. `source` is "model" or "rules"."""

    title: str
    tests: tuple[str, ...]
    cause: TriageCause = "unknown"
    confidence: float = 0.0
    locations: tuple[tuple[str, int], ...] = ()
    evidence: tuple[str, ...] = ()
    next_step: str = ""
    source: Literal["model", "rules"] = "rules"
    dropped: tuple[str, ...] = ()


# ── context ──────────────────────────────────────────────────────────────────────────────────────

ContextMode = Literal["full", "part", "outline", "summary", "name"]


class ContextEntry(Struct, frozen=True):
    """One file of the plan. `ranges` are 1-based inclusive lines (mode "part" only); `text` is what is shown."""

    path: str
    mode: ContextMode
    tokens: int
    reasons: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    text: str = ""
    blob: str = ""


class Withheld(Struct, frozen=True):
    """A file that never reaches a request, and why."""

    path: str
    why: str


class ContextPlan(Struct, frozen=True):
    """What the model sees of the repository. Prices in USD; None when the model's price is unknown.

    `unread` of `files` the index had not read yet: they were judged by their names alone. `notes` are for the user."""

    budget: int
    total_tokens: int
    entries: tuple[ContextEntry, ...]
    withheld: tuple[Withheld, ...] = ()
    cold_usd: float | None = None
    cached_usd: float | None = None
    unread: int = 0
    files: int = 0
    notes: tuple[str, ...] = ()

    def price(self, entry: ContextEntry) -> tuple[float | None, float | None]:
        """USD of one file cold and cached: its share of the whole."""
        share = entry.tokens / self.total_tokens if self.total_tokens else 0.0
        cold, cached = (None if usd is None else usd * share for usd in (self.cold_usd, self.cached_usd))
        return cold, cached

    def totals(self) -> dict[ContextMode, tuple[int, int]]:
        """Files and tokens of each form that occurs, the fullest first."""
        found = {mode: [entry.tokens for entry in self.entries if entry.mode == mode] for mode in get_args(ContextMode)}
        return {mode: (len(sizes), sum(sizes)) for mode, sizes in found.items() if sizes}


# ── money ────────────────────────────────────────────────────────────────────────────────────────


class Usage(Struct, frozen=True):
    """Tokens and price of one call, or of several added up. Cached tokens are part of the input,
    reasoning tokens part of the output. `usd` is None when the price is unknown; `estimated` marks a call whose
    usage never arrived and which is booked at its worst case. `predicted_tokens` were expected to be cached."""

    role: str
    model: str
    requests: int = 1
    input_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    estimated: bool = False
    predicted_tokens: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            self.role,
            self.model,
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.output_tokens + other.output_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
            self.estimated or other.estimated,
            self.predicted_tokens + other.predicted_tokens,
        )


# ── proposal and review ──────────────────────────────────────────────────────────────────────────


class Proposal(Struct, frozen=True):
    """The diff from snapshot to draft (both tree ids), by file and hunk, with what supports it."""

    snapshot: str
    draft: str
    files: tuple[FileDiff, ...]
    patch: bytes
    evidence: Evidence = Evidence()
    triage: tuple[TriageCard, ...] = ()
    cost_usd: float | None = 0.0
    summary: str = ""
    warnings: tuple[str, ...] = ()


class Comment(Struct, frozen=True):
    """A remark on one hunk (`hunk` is its position in the file, -1 for the whole file)."""

    path: str
    hunk: int
    text: str


class ReviewDecision(Struct, frozen=True):
    """The answer to a proposal: positions of the accepted hunks by path.

    A file without hunks (a pure rename, a mode change, an empty file) is accepted as position 0.
    `edited` maps (path, position) to a hunk the user rewrote by hand.
    """

    accepted: Mapping[str, frozenset[int]] = {}
    comments: tuple[Comment, ...] = ()
    edited: Mapping[tuple[str, int], bytes] = {}
    commit_message: str = ""

    def takes_nothing(self) -> bool:
        return not any(self.accepted.values())


class Approval(Struct, frozen=True):
    """The answer to "may this command run?": no, once, in this session, or always for exactly these words.

    `reason` is what the user says beside a no; the model is told.
    """

    scope: Literal["no", "once", "session", "always"] = "no"
    reason: str = ""

    def __bool__(self) -> bool:
        return self.scope != "no"

    @classmethod
    def of(cls, answer: object) -> "Approval":
        """An answer that may be a plain yes, which means always, or no."""
        return answer if isinstance(answer, Approval) else cls("always" if answer is True else "no")


class Checkpoint(Struct, frozen=True):
    """What an applied proposal replaced; `undo` restores it. `when` is seconds since the epoch.

    `warnings` are set only on the one that `apply` or `undo` returns.
    """

    id: str
    when: float
    label: str
    paths: tuple[str, ...]
    undone: bool = False
    warnings: tuple[str, ...] = ()
