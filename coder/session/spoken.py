"""Facts as one line of words each, for the faces that speak line by line. Pure; what to show is theirs to decide."""

from coder import events
from coder.amounts import count
from coder.values import ContextPlan


def spoken(event: events.Event) -> str:
    """The line for `event`, or "" for none: the reply, the proposal and the end of a turn are shown elsewhere."""
    match event:
        case events.SessionStarted():
            where = f" ({event.branch})" if event.branch else ""
            return f"session {event.session} in {event.root}{where}, model {event.model}"
        case events.Notice():
            return f"{'warning: ' if event.level == 'warning' else ''}{event.text}"
        case events.ContextPlanned(plan):
            return f"context: {plan_words(plan)}"
        case events.StepAbandoned():
            return f"the reply above does not count: {event.reason}"
        case events.RetryWaiting():
            return f"waiting {event.seconds:.1f} s (try {event.attempt}): {event.reason}"
        case events.ToolStarted():
            return f"{event.name}: {event.summary}"
        case events.ToolFinished() if not event.ok:
            return f"{event.name} refused: {event.summary.removeprefix('error: ')}"
        case events.TestStarted():
            return f"testing {'the base' if event.on == 'base' else 'the draft'}: {' '.join(event.command)}"
        case events.TestFinished(report):
            end = "timed out" if report.timed_out else f"exit code {report.exit_code}"
            return f"tests: {end}, {report.passed} passed, {report.failed} failed, {report.duration_s:.1f} s"
        case events.SubagentStarted():
            return f"{event.role} ({event.model}): {event.summary}"
        case events.Applied():
            commit = f", commit {event.commit}" if event.commit else ""
            return f"applied: {', '.join(event.paths)}{commit}"
        case events.Undone():
            return f"restored: {', '.join(event.paths)}"
        case _:
            return ""


def plan_words(plan: ContextPlan) -> str:
    price = "" if plan.cold_usd is None else f", ${plan.cold_usd:.4f} cold"
    return f"{count(len(plan.entries), 'file')}, {plan.total_tokens:,} of {plan.budget:,} tokens{price}"
