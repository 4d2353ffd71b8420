"""The past as events, so that a face can show a resumed session. Built from the record; text comes whole."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from msgspec import ValidationError, convert

from coder.agents.tool import MalformedCall
from coder.agents.wrap import gist
from coder.events import (
    Applied,
    ContextPlanned,
    Event,
    EvidenceReady,
    Notice,
    ProposalReady,
    ReplyFinished,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    Undone,
    UsageRecorded,
)
from coder.model.ledger import Ledger, Total
from coder.model.messages import ToolCall, message_text
from coder.repo.diff import parse_patch
from coder.session.record import session_path
from coder.session.recorded import Json, live_records, plan_of, read_records
from coder.store import Places
from coder.tools import ALL
from coder.values import Checkpoint, Evidence, Proposal, TriageCard, Usage

Value = TypeVar("Value")

_TOOLS = {tool.name: tool for tool in ALL}
_ARGUMENTS = {"function_call": "arguments", "custom_tool_call": "input"}


def past_of(places: Places, session: str) -> tuple[Event, ...]:
    """The past of a recorded session and what it has cost, read without opening it. Blocking.

    Raises OSError where the record cannot be read.
    """
    events = tuple(replay(live_records(read_records(session_path(places, session)))))
    with contextlib.closing(Ledger(places.state / "ledger.sqlite")) as ledger:
        cost = spent(ledger.totals("role and model", session=session))
        said = (Notice(ledger.note, "warning"),) if ledger.note else ()  # who opens it next finds it whole
        return (*events, *cost, *said) if events else said


def replay(records: Iterable[Json]) -> Iterator[Event]:
    """The events of live records, in order. A turn that a kill ended is closed as interrupted."""
    told: list[Json] = []  # the conversation as it stands, to know what a compaction only moved
    names: dict[str, str] = {}
    turn, is_open, heard = 0, False, ""
    evidence: EvidenceReady | None = None
    for record in records:
        match record:
            case {"kind": "task", "text": str(text)}:
                if is_open:
                    yield from _broken_off(heard)
                turn, is_open, evidence, heard = turn + 1, True, None, ""
                yield TurnStarted(turn, text)
            case {"kind": "section", "plan": dict(plan)} if found := plan_of(plan):
                yield ContextPlanned(found)
            case {"kind": "items", "at": int(at), "items": list(items)}:
                moved = {repr(item) for item in told[at:]}
                told[at:], heard = items, ""
                for item in items:
                    if not moved or repr(item) not in moved:
                        yield from _item(item, names)
            case {"kind": "said", "at": int(at), "text": str(text)}:
                heard = heard[:at] + text
            case {"kind": "evidence"}:
                evidence = evidence_of(record)
                yield evidence
            case {"kind": "proposal", "patch": str(patch)} if found_proposal := proposal_of(record, patch, evidence):
                yield ProposalReady(found_proposal)
            case {"kind": "applied" | "undone" as kind}:
                yield from _landed(kind, record)
            case {"kind": "notice", "text": str(text)}:
                yield Notice(text)
            case {"kind": "outcome", "status": str(status)}:
                is_open = False
                if status == "interrupted":
                    yield from _broken_off(heard)
                else:
                    yield TurnFinished(status, str(record.get("summary", "")))
    if is_open:
        yield from _broken_off(heard)


def _broken_off(heard: str) -> Iterator[Event]:
    """A turn's end by an interrupt or a kill, with what was heard of its last reply: the model knows nothing of it."""
    if heard:
        yield ReplyFinished(f"{heard} […]")
    yield TurnFinished("interrupted", "")


def spent(totals: Iterable[Total]) -> Iterator[Event]:
    """What a session has cost so far, as events; from the ledger's totals by role and model."""
    usd = 0.0
    for total in totals:
        role, _, model = total.key.partition("\x1f")
        usd += total.usd
        counts = (total.requests, total.input_tokens, total.cached_tokens, total.reasoning_tokens, total.output_tokens)
        yield UsageRecorded(Usage(role, model, *counts, total.usd, bool(total.estimated), total.predicted_tokens), usd)


def _item(item: Json, names: dict[str, str]) -> Iterator[Event]:
    """What was shown of one item of the conversation; `names` collects the tools' names by call."""
    match item:
        case {"type": "message", "role": "assistant"} if text := message_text(item):
            yield ReplyFinished(text)
        case {"type": "function_call" | "custom_tool_call" as kind, "call_id": str(call_id), "name": str(name)}:
            names[call_id] = name
            arguments = str(item.get(_ARGUMENTS[kind], ""))
            yield ToolStarted(call_id, name, _summary(ToolCall(call_id, name, arguments, kind != "function_call")))
        case {"type": "function_call_output" | "custom_tool_call_output", "call_id": str(call_id), "output": output}:
            first = gist(str(output))
            yield ToolFinished(call_id, names.get(call_id, ""), not first.startswith("error: "), first)


def _summary(call: ToolCall) -> str:
    tool = _TOOLS.get(call.name)
    try:
        return tool.describe(tool.parse(call)) if tool else call.name
    except MalformedCall:
        return "malformed call"


def evidence_of(record: Json) -> EvidenceReady:
    """What a record says of the tests."""
    evidence = _read(Evidence, record.get("evidence"), Evidence())
    return EvidenceReady(evidence, _read(tuple[TriageCard, ...], record.get("triage"), ()))


def proposal_of(record: Json, patch: str, evidence: EvidenceReady | None) -> Proposal | None:
    """The proposal of a record; None where its patch is damaged."""
    raw = patch.encode("utf-8", "surrogateescape")
    cost = record.get("cost_usd")
    try:
        files = parse_patch(raw)
    except (ValueError, KeyError, IndexError):
        return None
    return Proposal(
        str(record.get("snapshot", "")),
        str(record.get("draft", "")),
        files,
        raw,
        evidence.evidence if evidence else Evidence(),
        evidence.triage if evidence else (),
        float(cost) if isinstance(cost, int | float) else None,
        str(record.get("summary", "")),
        tuple(str(warning) for warning in record.get("warnings") or ()),
    )


def _landed(kind: str, record: Json) -> Iterator[Event]:
    checkpoint: Checkpoint | None = _read(Checkpoint, record.get("checkpoint"), None)
    paths = tuple(str(path) for path in record.get("paths") or ())
    if kind == "applied":
        yield Applied(checkpoint, paths, str(record.get("commit", "")))
    elif checkpoint:
        yield Undone(checkpoint, paths)


def _read(kind: Any, found: object, otherwise: Value) -> Value:
    """A recorded value of type `kind`; `otherwise` where the record does not hold one."""
    try:
        value: Value = convert(found, kind)
        return value
    except ValidationError:
        return otherwise
