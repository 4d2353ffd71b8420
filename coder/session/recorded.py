"""A session's file read back: the records that count, and the state to go on from."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from coder.session.record import Items
from coder.values import ContextEntry, ContextPlan

Json = dict[str, Any]


# ── the records ──────────────────────────────────────────────────────────────────────────────────


def read_records(path: Path, *, without: bytes = b"") -> Iterator[Json]:
    """The records of a session file, oldest first. Lines that a crash tore or that are foreign are skipped.

    Records of the kind `without` are passed over unread, which spares the time for long ones.
    """
    passed = b'{"kind": "%s"' % without
    with path.open("rb") as file:
        for line in file:
            if without and line.startswith(passed):
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(record.get("kind"), str):
                yield record


def live_records(records: Iterable[Json]) -> list[Json]:
    """The records that count: what a rewind made void is left out, all but titles."""
    kept: list[Json] = []
    starts: list[int] = []  # where each turn begins in `kept`
    for record in records:
        if record["kind"] == "rewind":
            turn = record.get("turn")
            if isinstance(turn, int) and 1 <= turn <= len(starts):
                at = starts[turn - 1]
                kept[at:] = [lost for lost in kept[at:] if lost["kind"] == "title"]
                del starts[turn - 1 :]
            continue
        if record["kind"] == "task":
            starts.append(len(kept))
        kept.append(record)
    return kept


def records_before(records: Sequence[Json], turn: int) -> list[Json]:
    """Of live records those before turn `turn` (from 1); all if there is no such turn."""
    starts = [at for at, record in enumerate(records) if record["kind"] == "task"]
    return list(records[: starts[turn - 1]] if 1 <= turn <= len(starts) else records)


# ── the state to go on from ──────────────────────────────────────────────────────────────────────


class RecordedTurn(Struct, frozen=True):
    """One turn as the record has it. `checkpoints` are those of what it applied, taken back since or not."""

    number: int
    task: str
    status: str = "interrupted"
    checkpoints: tuple[str, ...] = ()


@dataclass(slots=True)
class Recorded:
    """Where a session stands. `seen_tree` is the draft that the model knew last, `edits` the patches that landed."""

    cache_key: str = ""
    model: str = ""
    effort: str = ""
    title: str = ""
    history: Items = field(default_factory=list)
    renewals: int = 0
    section: ContextPlan | None = None
    seen_tree: str = ""
    remarks: list[str] = field(default_factory=list)
    pinned: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    plan: str = ""
    edits: dict[str, str] = field(default_factory=dict)  # by checkpoint
    applied: dict[str, tuple[str, str]] = field(default_factory=dict)  # trees, of what is in no commit yet
    turns: list[RecordedTurn] = field(default_factory=list)


def recorded(records: Iterable[Json]) -> Recorded:
    """The state that live records leave. A field of an unexpected type is as good as missing."""
    state = Recorded()
    for record in records:
        _take(state, record)
    state.history = whole_steps(state.history)
    return state


def whole_steps(items: Sequence[Json]) -> Items:
    """A conversation without calls that have no result and results without a call, which every provider refuses.

    Only a damaged file has such.
    """
    called = {item["call_id"] for item in items if _kind(item).endswith("_call") and "call_id" in item}
    answered = {item["call_id"] for item in items if _kind(item).endswith("_call_output") and "call_id" in item}
    whole = called & answered
    return [item for item in items if item.get("call_id") in whole or "_call" not in _kind(item)]


def _kind(item: Json) -> str:
    return str(item.get("type", "message"))


def _take(state: Recorded, record: Json) -> None:
    last = state.turns[-1] if state.turns else None
    match record:
        case {"kind": "session"}:
            state.model, state.effort = str(record.get("model", "")), str(record.get("effort", ""))
            state.cache_key = str(record.get("cache_key", ""))
        case {"kind": "title", "text": str(text)}:
            state.title = text
        case {"kind": "task", "text": str(text)}:
            state.turns.append(RecordedTurn(len(state.turns) + 1, text))
            state.remarks = []
        case {"kind": "section", "plan": dict(plan)}:
            state.section = plan_of(plan)
        case {"kind": "items", "at": int(at), "items": list(items)}:
            state.renewals += at < len(state.history)
            state.history[at:] = items
            state.seen_tree = str(record.get("tree") or state.seen_tree)
        case {"kind": "pins"}:
            state.pinned, state.dropped = _words(record.get("pinned")), _words(record.get("dropped"))
        case {"kind": "setting", "key": str(key), "value": str(value)}:
            state.settings[key] = value
        case {"kind": "applied", "checkpoint": {"id": str(checkpoint)}} if last:
            ids = (checkpoint,) if checkpoint else ()  # "": the files held the change already
            state.turns[-1] = replace(last, checkpoints=(*last.checkpoints, *ids))
            state.edits[checkpoint] = str(record.get("patch", ""))
            match record:
                case {"commit": "", "trees": [str(old), str(new)]}:
                    state.applied[checkpoint] = (old, new)
        case {"kind": "committed", "checkpoints": list(checkpoints)}:
            for checkpoint in checkpoints:
                state.applied.pop(checkpoint, None)
        case {"kind": "undone", "undoes": list(checkpoints)}:
            for checkpoint in checkpoints:
                state.edits.pop(checkpoint, None)
                state.applied.pop(checkpoint, None)
        case {"kind": "plan", "text": str(text)}:
            state.plan = text
        case {"kind": "remark", "text": str(text)}:
            state.remarks.append(text)
        case {"kind": "outcome", "status": str(status)} if last:
            state.remarks = list(_words(record.get("remarks")))
            state.plan = str(record.get("plan") or state.plan)
            state.turns[-1] = replace(last, status=status)


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def plan_object(plan: ContextPlan) -> Json:
    """A plan as JSON, without the texts: they stand in the conversation."""
    entries = [{**to_builtins(entry), "text": ""} for entry in plan.entries]
    return {"budget": plan.budget, "total_tokens": plan.total_tokens, "entries": entries}


def plan_of(found: Json) -> ContextPlan | None:
    """The inverse; None for what is no plan."""
    try:
        entries = tuple(
            ContextEntry(
                entry["path"],
                entry["mode"],
                entry["tokens"],
                tuple(entry["reasons"]),
                tuple((first, last) for first, last in entry["ranges"]),
                blob=entry["blob"],
            )
            for entry in found["entries"]
        )
        return ContextPlan(int(found["budget"]), int(found["total_tokens"]), entries)
    except (KeyError, TypeError, ValueError):
        return None


def load_history(path: Path) -> Items:
    """The conversation as the last complete record left it."""
    return recorded(live_records(read_records(path))).history
