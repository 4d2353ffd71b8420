"""Events as the JSON lines that outsiders read: a small stable schema, apart from the internal events."""

from typing import Any

from coder import events
from coder.headless.result import files_list, tests_object, triage_list, usage_list

MAX_TEXT = 4_000  # characters of untrusted output in one event


def event_object(event: events.Event) -> dict[str, Any] | None:
    """`event` as a JSON object with a `type`, or None for those that only a screen needs."""
    match event:
        case events.SessionStarted():
            return {"type": "session", "session": event.session, "model": event.model, "sandbox": event.sandbox}
        case events.Notice():
            return {"type": "notice", "level": event.level, "text": event.text}
        case events.TurnStarted():
            return {"type": "turn", "turn": event.turn, "task": event.task[:MAX_TEXT]}
        case events.ContextPlanned(plan):
            return {"type": "context", "budget": plan.budget, "total_tokens": plan.total_tokens,
                    "entries": len(plan.entries), "withheld": len(plan.withheld)}  # fmt: skip
        case events.StepStarted():
            return {"type": "step", "step": event.step, "input_tokens": event.input_tokens}
        case events.StepAbandoned():
            return {"type": "step_abandoned", "reason": event.reason}
        case events.ReplyFinished():
            return {"type": "reply", "text": event.text}
        case events.ToolStarted():
            return {"type": "tool_started", "id": event.call_id, "name": event.name, "summary": event.summary}
        case events.ToolFinished():
            return {"type": "tool_finished", "id": event.call_id, "name": event.name, "ok": event.ok,
                    "summary": event.summary[:MAX_TEXT]}  # fmt: skip
        case events.DraftChanged():
            return {"type": "draft", "tree": event.tree, "paths": list(event.paths)}
        case events.TestStarted():
            return {"type": "test_started", "command": list(event.command), "on": event.on}
        case events.TestFinished():
            report = event.report
            return {"type": "test_finished", "command": list(report.command), "on": event.on,
                    "exit_code": report.exit_code, "ran": report.ran, "passed": report.passed,
                    "failed": report.failed, "duration_s": round(report.duration_s, 3)}  # fmt: skip
        case events.EvidenceReady():
            return {"type": "tests", **tests_object(event.evidence), "triage": triage_list(event.triage)}
        case events.SubagentStarted():
            return {"type": "subagent_started", "id": event.id, "role": event.role, "model": event.model}
        case events.SubagentFinished():
            return {"type": "subagent_finished", "id": event.id, "role": event.role, "ok": event.ok}
        case events.UsageRecorded():
            return {"type": "usage", **usage_list([event.usage])[0], "session_usd": event.session_usd}
        case events.RetryWaiting():
            return {"type": "retry", "seconds": event.seconds, "attempt": event.attempt, "reason": event.reason}
        case events.ProposalReady(proposal):
            return {"type": "proposal", "files": files_list(proposal.files)}
        case events.Applied():
            return {"type": "applied", "paths": list(event.paths), "commit": event.commit,
                    "checkpoint": (event.checkpoint.id or None) if event.checkpoint else None}  # fmt: skip
        case events.Undone():
            return {"type": "undone", "paths": list(event.paths), "checkpoint": event.checkpoint.id}
        case events.TextDelta() | events.TestOutput() | events.TurnFinished() | events.CallFinished():
            return None  # the whole comes with `reply`, `tests`, `usage` and `result`
