"""What stands around the diff: how big the change is and what was decided, the evidence, the keys at the foot."""

from coder.amounts import count, money
from coder.text import visible
from coder.tui.blocks.results import card_rows, evidence_words
from coder.tui.lines import Line, Span, wrap, wrap_text
from coder.tui.markdown import Markdown
from coder.tui.panels.pages import blank, evidence_rows, verdict_rows
from coder.tui.review.decisions import Decisions
from coder.tui.row import Row
from coder.tui.status import Part, fit, join
from coder.values import Proposal

HINTS = (
    (("review.accept",), "accept"),
    (("review.reject",), "reject"),
    (("review.apply",), "apply"),
    (("review.leave",), "leave"),
    (("review.help",), "all keys"),
    (("review.next", "review.previous"), "hunk"),
    (("review.next_file", "review.previous_file"), "file"),
    (("review.accept_file", "review.reject_file"), "whole file"),
    (("review.comment",), "comment"),
    (("review.split",), "split"),
    (("review.edit",), "edit"),
    (("review.commit",), "apply and commit"),
    (("review.accept_all",), "accept all"),
    (("review.undecided",), "undecided"),
    (("review.take_back",), "take back"),
    (("review.more", "review.fewer"), "lines around"),
    (("review.beside",), "side by side"),
    (("review.search",), "search"),
)
READ_HINTS = (
    (("review.next", "review.previous"), "hunk"),
    (("review.next_file", "review.previous_file"), "file"),
    (("review.search",), "search"),
    (("review.beside",), "side by side"),
    (("review.whole",), "long lines"),
    (("review.leave",), "close"),
)


class Title(Row):
    """How big the change is, what was decided so far, and what supports it."""

    def __init__(self, decisions: Decisions) -> None:
        super().__init__(id="title")
        self._decisions = decisions
        self.undecided_only = False
        files = decisions.proposal.files
        self._lines_changed = (sum(file.added for file in files), sum(file.removed for file in files))

    def line(self, width: int) -> Line:
        proposal, tally = self._decisions.proposal, self._decisions.tally()
        size: list[Span] = [
            (count(len(proposal.files), "file"), "text"),
            (f" +{self._lines_changed[0]}", "good"),
            (f" −{self._lines_changed[1]}", "bad"),
        ]
        state: list[Span] = [
            (f"✓{tally.accepted}", "good" if tally.accepted else "faint"),
            (f" ✗{tally.rejected}", "bad" if tally.rejected else "faint"),
            (f" ·{tally.undecided}", "text" if tally.undecided else "faint"),
        ]
        parts: list[Part] = [
            (2, [("Review", "bold accent")]),
            (1, size),
            (0, state),
            (3, evidence_words(proposal.evidence)),
            (4, [(money(proposal.cost_usd), "muted")]),
        ]
        if self.undecided_only:
            parts.insert(3, (0, [("only undecided", "accent")]))
        return ((" ", ""), *join(fit(parts, width - 2, "   "), "   "))


def evidence(proposal: Proposal, width: int) -> list[Line]:
    """Warnings, what the tests prove, the triage of what fails, and the price."""
    rows: list[Line] = [(("─" * width, "faint"),), blank()]
    for warning in proposal.warnings:
        rows += [*wrap_text(visible(warning), "warn", width, ("! ", "warn")), blank()]
    rows += verdict_rows(proposal.evidence, width)
    for number, card in enumerate(proposal.triage, 1):
        rows += [blank(), *card_rows(card, width, number)]
    if proposal.summary:
        rows += [blank(), *Markdown(visible(proposal.summary)).rows(width)]
    rows += evidence_rows(proposal.evidence, width)
    return [*rows, blank(), *wrap(((f"price so far {money(proposal.cost_usd)}", "faint"),), width)]
