"""Events as lines on stderr for whoever watches a run: one line each, sanitised, nothing that a pipe would garble."""

import sys

from coder import events
from coder.text import inert, redact, visible, visible_line
from coder.values import FileDiff

WIDTH = 160


def progress_line(event: events.Event, *, verbose: bool) -> str:
    """The line to show for `event`, or "" for none."""
    match event:
        case events.SessionStarted():
            return f"model {event.model} · session {event.session}"
        case events.Notice():
            return f"{'warning: ' if event.level == 'warning' else ''}{event.text}"
        case events.ContextPlanned(plan):
            price = f" · ${plan.cold_usd:.4f} cold" if plan.cold_usd is not None else ""
            return f"context: {len(plan.entries)} files, {plan.total_tokens:,} of {plan.budget:,} tokens{price}"
        case events.StepAbandoned():
            return f"step abandoned: {event.reason}"
        case events.RetryWaiting():
            return f"waiting {event.seconds:.1f} s (try {event.attempt}): {event.reason}"
        case events.ToolStarted():
            return f"{event.name}: {event.summary}"
        case events.ToolFinished() if not event.ok:
            return f"{event.name} refused: {event.summary}"
        case events.TestStarted():
            return f"testing {'the base' if event.on == 'base' else 'the draft'}: {' '.join(event.command)}"
        case events.TestFinished(report):
            end = "timed out" if report.timed_out else f"exit {report.exit_code}"
            return f"  {end} · {report.passed} passed, {report.failed} failed · {report.duration_s:.2f} s"
        case events.SubagentStarted():
            return f"{event.role} ({event.model}): {event.summary}"
        case events.ProposalReady(proposal):
            return f"proposal: {_counts(proposal.files)}"
        case events.Applied():
            return f"applied: {', '.join(event.paths)}"
        case events.UsageRecorded(usage) if verbose:
            return (
                f"{usage.role}: {usage.input_tokens:,} in ({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
            )
        case events.ReplyFinished() if verbose:
            return event.text
        case events.StepStarted() if verbose:
            return f"step {event.step}: {event.input_tokens:,} tokens"
        case _:
            return ""


def _counts(files: tuple[FileDiff, ...]) -> str:
    added, removed = sum(file.added for file in files), sum(file.removed for file in files)
    return f"{len(files)} file{'s' if len(files) != 1 else ''}, +{added} -{removed}"


class Progress:
    """A sink for `emit` that writes progress lines to stderr; gone quiet once stderr is closed."""

    def __init__(self, *, quiet: bool, verbose: bool, secrets: tuple[str, ...]) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._secrets = secrets

    def __call__(self, event: events.Event) -> None:
        if self._quiet:
            return
        text = redact(progress_line(event, verbose=self._verbose), self._secrets)
        if not text:
            return
        line = inert(visible(text) if self._verbose else visible_line(text, WIDTH))
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            self._quiet = True
