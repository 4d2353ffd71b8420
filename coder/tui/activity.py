"""What the activity line says after an event: the words for what runs now."""

import shlex

from coder.amounts import count, duration
from coder.events import (
    ContextPlanned,
    Event,
    RetryWaiting,
    StepStarted,
    SubagentFinished,
    SubagentStarted,
    TestFinished,
    TestStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnStarted,
)
from coder.text import visible_line
from coder.tui.facts import Facts

ASKING = "waiting for your answer"


def activity_of(event: Event, facts: Facts) -> str | None:
    """The words, or None where the event changes nothing about them."""
    match event:
        case TurnStarted():
            return "reading the repository"
        case ContextPlanned():
            return "asking the model"
        case StepStarted(step, _):
            return f"step {step} · waiting for {visible_line(facts.model, 40)}"
        case TextDelta():
            return f"step {facts.step} · {visible_line(facts.model, 40)} is writing"
        case ToolStarted(_, name, summary):
            return f"step {facts.step} · {visible_line(name, 40)} {visible_line(summary, 120)}".rstrip()
        case ToolFinished():
            return f"step {facts.step} · going on"
        case TestStarted(command, on):
            return f"testing the {on} · {visible_line(shlex.join(command), 120)}"
        case TestFinished():
            return "comparing the tests"
        case SubagentStarted() | SubagentFinished():
            running = [call for call in facts.agents.values() if call.state == "running"]
            return f"{visible_line(running[-1].role, 40)} · {count(len(running), 'call')}" if running else "going on"
        case RetryWaiting(seconds, attempt, reason):
            return f"waiting {duration(seconds)} before try {attempt + 1} · {visible_line(reason, 120)}"
        case _:
            return None
