"""What the tests said, in words: for the main model within a budget of tokens, for people in one sentence."""

import shlex
from collections.abc import Iterator, Sequence

from coder.context.tokens import count_tokens
from coder.text import redact
from coder.values import Evidence, TriageCard

MOST_TOKENS = 1_400  # of a report: whatever the log was, the main model reads no more of it
_NAMES = 20  # of one list
_LONGEST = 300  # characters of one line


def headline(evidence: Evidence) -> str:
    """The evidence in one sentence that cannot be misread: "pass" is said only where everything passed."""
    if evidence.status == "not_run":
        return f"Tests did not run: {evidence.note or 'no approved test command'}."
    failed, ran = (sum(getattr(report, name) for report in evidence.reports) for name in ("failed", "ran"))
    of = f"{failed:,} of {ran:,} fail"
    if evidence.status == "failed":
        if not failed:
            return f"Tests FAIL on the draft: {evidence.note or 'the command did not succeed'}."
        new = len(evidence.new_failures)
        return f"Tests FAIL on the draft: {of}" + (f", {new:,} of them new." if new else ".")
    if all(report.ok for report in evidence.reports):
        return "All tests pass on the draft."
    shares = [
        (len(evidence.preexisting), "as they did before the change"),
        (len(evidence.flaky), "by chance: they passed when they were run again"),
    ]
    told = " and ".join(f"{number:,} {words}" for number, words in shares if number)
    return f"No new failures on the draft: {of}, {told}."


def describe(evidence: Evidence, cards: Sequence[TriageCard]) -> str:
    """The evidence as the main model reads it, in `MOST_TOKENS` at most: the facts first, then the causes of what
    fails, as many as fit; what does not is counted."""
    report = _Report()
    report.tell(headline(evidence))
    if evidence.status == "not_run":
        return report.text
    for done in evidence.reports:
        end = "timed out" if done.timed_out else f"exit code {done.exit_code}"
        report.tell(f"$ {_short(shlex.join(done.command), 200)} -> {end}; {done.passed} passed, {done.failed} failed")
    for title, names in (
        ("new failures", evidence.new_failures),
        ("failed before the change too", evidence.preexisting),
        ("flaky", evidence.flaky),
        ("fixed by the change", evidence.fixed),
    ):
        if names and report.tell(f"{title}:"):
            report.tell_all([f"  {name}" for name in names[:_NAMES]], len(names), keep=MOST_TOKENS // 2)
    report.tell_all(["\n".join(_cause(card)) for card in cards], len(cards))
    return report.text


class _Report:
    """Text that grows until its tokens are used up."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = MOST_TOKENS - 30  # for saying how much is missing

    @property
    def text(self) -> str:
        return "\n".join(self._parts)

    def tell(self, part: str, keep: int = 0) -> bool:
        """Add a part, unless fewer than `keep` tokens would be left."""
        part = redact("\n".join(_short(line, _LONGEST) for line in part.split("\n")))
        cost = count_tokens(part) + 1
        if cost > self._left - keep:
            return False
        self._left -= cost
        self._parts.append(part)
        return True

    def tell_all(self, parts: Sequence[str], there: int, keep: int = 0) -> None:
        """As many of the parts as fit, then how many of what is `there` do not."""
        told = next((number for number, part in enumerate(parts) if not self.tell(part, keep)), len(parts))
        if there > told:
            self._parts.append(f"  and {there - told:,} more")


def _short(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _cause(card: TriageCard) -> Iterator[str]:
    yield f"\n## {card.title}"
    if card.source == "model":
        yield f"likely cause: {card.cause} ({card.confidence:.0%})"
    yield from (f"at {path}:{line}" for path, line in card.locations[:5])
    yield from (f"> {quote}" for quote in card.evidence[:4])
    if card.next_step:
        yield card.next_step
