"""A session as a document for people (Markdown) or programs (JSON)."""

import json
from pathlib import Path
from typing import Any

from coder.agents.wrap import clip
from coder.errors import UserError
from coder.model.messages import message_text
from coder.session.recorded import load_history
from coder.session.sessions import SessionInfo, find_session
from coder.store import Places
from coder.text import redact, redact_within, visible

WHOLE = 1_000_000  # characters of one part: more than any has


def to_markdown(info: SessionInfo, history: list[dict[str, Any]], *, most: int = WHOLE) -> str:
    """The conversation as Markdown, each part cut after `most` characters."""
    parts = [f"# {info.title or f'Session {info.id}'}", f"{info.id} · {info.root} · {info.model} · {info.status}"]
    for item in history:
        match item.get("type", "message"):
            case "message":
                parts.append(f"## {item.get('role', '')}\n\n{clip(message_text(item), most)}")
            case "function_call" | "custom_tool_call":
                text = clip(str(item.get("arguments") or item.get("input") or ""), most)
                parts.append(f"### {item.get('name')}\n\n```\n{text}\n```")
            case "function_call_output" | "custom_tool_call_output":
                parts.append(f"```\n{clip(str(item.get('output', '')), most)}\n```")
    return "\n\n".join(parts)


def to_object(info: SessionInfo) -> dict[str, Any]:
    """What lists show of a session, as JSON."""
    return {
        "id": info.id,
        "root": info.root,
        "model": info.model,
        "started": info.started,
        "turns": info.turns,
        "task": info.task,
        "status": info.status,
        "title": info.title,
        "updated": info.updated,
        "parent": info.parent,
    }


def export_session(places: Places, id: str, name: str) -> str:
    """Write a session, redacted, to a new file (0600), whose name is given back: JSON where it ends in .json, else
    Markdown.

    Nothing is overwritten. Blocking.
    """
    name = name or f"session-{id}.md"
    path = Path(name).expanduser()
    info = find_session(places, id)
    history = load_history(info.path)
    if path.suffix == ".json":
        text = json.dumps(redact_within({**to_object(info), "history": history}), indent=2, ensure_ascii=True)
    else:
        text = visible(redact(to_markdown(info, history)))
    try:
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            path.chmod(0o600)
            file.write(f"{text}\n")
    except FileExistsError:
        raise UserError(f"{path} is there already", "name another file: /export FILE") from None
    return name
