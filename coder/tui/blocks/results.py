"""The blocks of outcome: test runs, what they prove, the proposal, and what was applied or undone."""

import shlex
from collections.abc import Sequence

from coder.amounts import count, duration, money
from coder.events import Applied, TestFinished, TestStarted, Undone
from coder.text import visible, visible_line
from coder.tui.blocks.block import Block
from coder.tui.blocks.work import marked
from coder.tui.lines import Line, Span, clip, wrap, wrap_text
from coder.values import Evidence, Proposal, TestReport, TriageCard

TAIL_ROWS = 4
MAX_FAILURES = 6
MAX_OUTPUT = 16_000


def report_words(report: TestReport) -> list[Span]:
    """The figures of one test run in a few words."""
    if report.timed_out:
        return [("timed out", "bad"), (f"  {duration(report.duration_s)}", "faint")]
    parts: list[Span] = []
    if report.failed:
        parts.append((f"{report.failed} failed", "bad"))
    if report.passed or not report.failed:
        comma = ", " if report.failed else ""
        parts += [(comma, "faint"), (f"{report.passed} passed", "good" if report.passed else "muted")]
    if report.skipped:
        parts.append((f", {report.skipped} skipped", "muted"))
    ending = "killed" if report.exit_code is None else f"exit {report.exit_code}"
    return [*parts, (f"  {ending} · {duration(report.duration_s)}", "faint")]


class TestRun(Block):
    """One run of the tests: its last lines while it runs, then the figures and the failures."""

    __test__ = False
    foldable = True

    def __init__(self, event: TestStarted) -> None:
        super().__init__()
        self._command = visible_line(shlex.join(event.command))
        self.on = event.on
        self._output = ""
        self._dropped = 0
        self.report: TestReport | None = None
        self._interrupted = False

    def feed(self, text: str) -> None:
        self._output += visible(text)
        if len(self._output) > 2 * MAX_OUTPUT:
            self._dropped += self._output.count("\n", 0, len(self._output) - MAX_OUTPUT)
            self._output = self._output[-MAX_OUTPUT:]

    def finish(self, event: TestFinished) -> None:
        self.report = event.report

    def interrupt(self) -> None:
        self._interrupted = self.report is None

    def rows(self, width: int) -> list[Line]:
        title: list[Span] = [(self._command, "text"), (f"  on the {self.on}  ", "muted")]
        if self.report is None:
            sign: Span = ("–", "warn") if self._interrupted else ("○", "accent")
            return [marked(sign, title, width), *self._tail(width)]
        sign = ("✓", "good") if self.report.ok else ("✗", "bad")
        rows = [marked(sign, title + report_words(self.report), width)]
        if not self.folded:
            rows += wrap_text(self._output.rstrip("\n"), "muted", width, ("  ", ""))
        return rows + self._failures(width)

    def _tail(self, width: int) -> list[Line]:
        lines = [line for line in self._output.split("\n") if line.strip()]
        hidden = max(0, len(lines) - TAIL_ROWS) + self._dropped
        shown: list[Line] = [
            ((f"  {clip(line.replace(chr(9), ' '), width - 2)}", "faint"),) for line in lines[-TAIL_ROWS:]
        ]
        return [*([((f"  +{hidden} lines", "faint"),)] if hidden else []), *shown]

    def _failures(self, width: int) -> list[Line]:
        assert self.report is not None
        rows: list[Line] = []
        failures = self.report.failures if not self.folded else self.report.failures[:MAX_FAILURES]
        for failure in failures:
            words: list[Span] = [(visible_line(failure.name), "text")]
            if failure.message:
                words.append((f"  {visible_line(failure.message)}", "muted"))
            rows.append((("  ", ""), *marked(("✗", "bad"), words, width - 2)))
        if len(self.report.failures) > len(failures):
            rows.append(((f"  +{len(self.report.failures) - len(failures)} failures", "muted"),))
        return rows


def evidence_words(evidence: Evidence) -> list[Span]:
    """What the tests prove, in a few words, worst first."""
    words = [_verdict(evidence)]
    failing = "fails" if len(evidence.preexisting) == 1 else "fail"
    for names, noun, style in (
        (evidence.new_failures, "new failures" if len(evidence.new_failures) > 1 else "new failure", "bad"),
        (evidence.preexisting, f"{failing} as before", "warn"),
        (evidence.flaky, "flaky", "warn"),
        (evidence.fixed, "fixed", "good"),
    ):
        if names:
            words += [(" · ", "faint"), (f"{len(names)} {noun}", style)]
    return words


def all_passed(evidence: Evidence) -> bool:
    """Whether every command that ran ended well; a draft "passed" also where it only fails as its base does."""
    return evidence.status == "passed" and all(report.ok for report in evidence.reports)


def _verdict(evidence: Evidence) -> Span:
    match evidence.status:
        case "not_run":
            return ("tests not run", "warn")
        case "failed":
            return ("tests failed", "bad")
        case "passed":
            return ("tests passed", "good") if all_passed(evidence) else ("no new failures", "warn")


class Verdict(Block):
    """The tests of the draft against its base, and the triage of what fails."""

    foldable = True

    def __init__(self, evidence: Evidence, cards: Sequence[TriageCard]) -> None:
        super().__init__()
        self._evidence, self._cards = evidence, tuple(cards)

    def rows(self, width: int) -> list[Line]:
        sign: Span = ("✓", "good") if all_passed(self._evidence) else ("!", "warn")
        rows = [marked(sign, evidence_words(self._evidence), width)]
        if self._evidence.note:
            rows += wrap_text(visible(self._evidence.note), "muted", width, ("  ", ""))
        for number, card in enumerate(self._cards, 1):
            rows += card_rows(card, width, number)
        return rows


def card_rows(card: TriageCard, width: int, number: int) -> list[Line]:
    """One cause of failures: what it is thought to be, where, and what to do next. /open NUMBER goes there."""
    cause = card.cause.replace("_", " ")
    head: list[Span] = [
        (visible_line(card.title), "bold text"),
        (f"  {cause}", "warn"),
        (f"  {count(len(card.tests), 'test')}  by {card.source}", "faint"),
    ]
    rows: list[Line] = wrap(head, width, (f"  {number} ", "warn"))
    for path, line in card.locations:
        rows += wrap(((f"{visible_line(path)}:{line}", "name"),), width, ("    ", ""))
    if card.next_step:
        rows += wrap_text(visible(card.next_step), "muted", width, ("    ", ""))
    return rows


class Offer(Block):
    """The proposal as it was put to the user."""

    gap = 1

    def __init__(self, proposal: Proposal) -> None:
        super().__init__()
        self._proposal = proposal

    def rows(self, width: int) -> list[Line]:
        files = self._proposal.files
        head: list[Span] = [
            ("proposal", "bold text"),
            (f"  {count(len(files), 'file')}", "muted"),
            (f"  +{sum(file.added for file in files)}", "good"),
            (f" −{sum(file.removed for file in files)}", "bad"),
            ("  ", ""),
            *evidence_words(self._proposal.evidence),
            (f"  {money(self._proposal.cost_usd)}", "faint"),
        ]
        return [marked(("◆", "accent"), head, width)]


class Landed(Block):
    """What was written into the working tree, or taken back."""

    foldable = True

    def __init__(self, event: Applied | Undone) -> None:
        super().__init__()
        self._paths = tuple(visible_line(path) for path in event.paths)
        self._commit = event.commit if isinstance(event, Applied) else ""
        self._undone = isinstance(event, Undone)

    def rows(self, width: int) -> list[Line]:
        verb = "undone" if self._undone else "applied"
        head: list[Span] = [(verb, "bold text"), (f"  {count(len(self._paths), 'file')}", "muted")]
        if self._commit:
            head.append((f"  commit {visible_line(self._commit)[:12]}", "muted"))
        elif not self._undone and self._paths:
            head.append(("  /commit commits it, /undo takes it back", "faint"))
        shown = self._paths if not self.folded else self._paths[:5]
        rows = [marked(("✓", "good"), head, width)]
        rows += [((f"  {clip(path, width - 2)}", "muted"),) for path in shown]
        hidden = len(self._paths) - len(shown)
        return [*rows, ((f"  +{hidden} files", "faint"),)] if hidden else rows
