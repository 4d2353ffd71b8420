"""Events as lines on stderr for whoever watches a run: one line each, sanitised, nothing that a pipe would garble."""

import sys

from coder import events
from coder.amounts import count
from coder.session.disclosure import WHAT_LEAVES
from coder.session.spoken import spoken
from coder.text import inert, redact, visible, visible_line
from coder.values import FileDiff

WIDTH = 160


def progress_line(event: events.Event, *, verbose: bool) -> str:
    """The line to show for `event`, or "" for none."""
    match event:
        case events.StepAbandoned():
            return f"step abandoned: {event.reason}"
        case events.ProposalReady(proposal):
            return f"proposal: {_counts(proposal.files)}"
        case events.UsageRecorded(usage) if verbose:
            return (
                f"{usage.role}: {usage.input_tokens:,} in ({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
            )
        case events.ReplyFinished() if verbose:
            return event.text
        case events.StepStarted() if verbose:
            return f"step {event.step}: {event.input_tokens:,} tokens"
        case _:
            return spoken(event)


def _counts(files: tuple[FileDiff, ...]) -> str:
    added, removed = sum(file.added for file in files), sum(file.removed for file in files)
    return f"{count(len(files), 'file')}, +{added} -{removed}"


def _always_told(event: events.Event) -> bool:
    """What leaves the machine, which is told only once."""
    return isinstance(event, events.Notice) and event.text.startswith(WHAT_LEAVES)


class Progress:
    """A sink for `emit` that writes progress lines to stderr; gone quiet once stderr is closed."""

    def __init__(self, *, quiet: bool, verbose: bool, secrets: tuple[str, ...]) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._secrets = secrets

    def __call__(self, event: events.Event) -> None:
        if self._quiet and not _always_told(event):
            return
        text = redact(progress_line(event, verbose=self._verbose), self._secrets)
        if not text:
            return
        whole = self._verbose or isinstance(event, events.Notice)  # coder's own words are bounded, and all meant
        line = inert(visible(text) if whole else visible_line(text, WIDTH))
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            self._quiet = True
