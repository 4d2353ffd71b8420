"""Facts as lines of words. Pure: what may be shown of them is the console's to decide."""

from collections.abc import Sequence

from coder import events
from coder.amounts import count
from coder.model.ledger import Total
from coder.session.findings import headline
from coder.session.spoken import plan_words, spoken
from coder.values import ContextPlan, Evidence, TriageCard

MAX_ENTRIES = 30  # files of a plan that are listed one by one
MAX_NAMES = 10


def event_line(event: events.Event) -> str:
    """The line for an event, or "" for none. The reply, the proposal and the end of a turn are shown elsewhere."""
    line = spoken(event)
    return f"{line}; /undo takes it back" if isinstance(event, events.Applied) else line


def plan_lines(plan: ContextPlan) -> list[str]:
    """The first files of a plan with their form and reasons, then what is withheld."""
    lines = [plan_words(plan)]
    lines += [
        f"  {entry.mode} {entry.path}, {entry.tokens:,} tokens: {'; '.join(entry.reasons)}"
        for entry in plan.entries[:MAX_ENTRIES]
    ]
    lines += _more(len(plan.entries), MAX_ENTRIES, "files")
    lines += [f"  withheld {item.path}: {item.why}" for item in plan.withheld[:MAX_NAMES]]
    return lines + _more(len(plan.withheld), MAX_NAMES, "withheld")


def evidence_lines(evidence: Evidence, triage: Sequence[TriageCard]) -> list[str]:
    """What the tests say, by name where they fail, with the triage of each failure."""
    lines = [headline(evidence)]
    for report in evidence.reports:
        end = "timed out" if report.timed_out else f"exit code {report.exit_code}"
        lines.append(f"  {' '.join(report.command)}: {end}, {report.passed} passed, {report.failed} failed")
        lines += [f"  the log is {report.log}"] if report.log and not report.ok else []
    for words, names in (("new failure", evidence.new_failures), ("fixed", evidence.fixed), ("flaky", evidence.flaky)):
        lines += [f"  {words}: {name}" for name in names[:MAX_NAMES]] + _more(len(names), MAX_NAMES, words)
    return lines + triage_lines(triage)


def triage_lines(triage: Sequence[TriageCard]) -> list[str]:
    """The causes of failures, with where they are and what to do next."""
    lines = []
    for number, card in enumerate(triage[:MAX_NAMES], 1):
        cause = f", probably {card.cause.replace('_', ' ')}" if card.cause != "unknown" else ""
        lines.append(f"  cause {number}: {card.title}{cause}")
        lines += [f"    at {path}:{line}" for path, line in card.locations[:3]]
        lines += [f"    {card.next_step}"] if card.next_step else []
    return lines


def cost_lines(totals: Sequence[Total]) -> list[str]:
    """The session's calls by role and model, and their sum."""
    lines = []
    for total in totals:
        role, _, model = total.key.partition("\x1f")
        cached = f"{total.cached_tokens:,} cached, {total.predicted_tokens:,} predicted"
        counts = f"{total.input_tokens:,} in ({cached}), {total.output_tokens:,} out"
        unknown = f", {total.unpriced} without a known price" if total.unpriced else ""
        lines.append(f"{role} ({model}): {count(total.requests, 'request')}, {counts}, ${total.usd:.4f}{unknown}")
    return [*lines, f"together ${sum(total.usd for total in totals):.4f}"] if lines else ["nothing was spent yet"]


def price_words(usd: float | None) -> str:
    return "price so far: unknown" if usd is None else f"price so far: ${usd:.4f}"


def _more(count: int, shown: int, what: str) -> list[str]:
    return [f"  and {count - shown:,} more {what}"] if count > shown else []
