"""The words between coder and a model, whatever the wire: requests, replies, tools and their calls.

The canonical form of the history is that of Responses input items (plain JSON values); the Chat dialect converts.
Nothing here may know a server or the SDK.
"""

from typing import Any, Literal

from msgspec import Struct

from coder.values import Usage

Item = dict[str, Any]
Finish = Literal["completed", "max_output", "content_filter", "refusal"]

# ApiError codes that a shorter input can mend: more than the window, or more than the account's tokens a minute.
TOO_LONG = frozenset({"context_length_exceeded", "request_too_large"})


class ToolSpec(Struct, frozen=True):
    """What a model may call. `parameters` is the JSON Schema of the arguments; None: the tool takes free text."""

    name: str
    description: str
    parameters: dict[str, Any] | None = None


class Request(Struct, frozen=True):
    """One question to a model.

    `input` is the whole history. `schema` makes the reply a JSON object of that (strict) schema. `tool_choice` is
    "auto", "none", "required", or the names of the tools allowed now (the list of tools stays, so the cached prefix
    holds). `input_tokens` is the exact count where the caller knows it, else 0.
    """

    role: str
    model: str
    instructions: str
    input: tuple[Item, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: dict[str, Any] | None = None
    schema_name: str = ""
    effort: str = "medium"
    max_output: int = 32_000
    cache_key: str = ""
    tool_choice: str | tuple[str, ...] | None = None
    input_tokens: int = 0


class ToolCall(Struct, frozen=True):
    """A call the model wants answered. `arguments` is JSON text as the model wrote it, or the free text itself."""

    call_id: str
    name: str
    arguments: str
    free_text: bool = False


class Reply(Struct, frozen=True):
    """A whole reply. `items` are appended to the history untouched, together with the answers to all `calls`.

    A reply that did not finish (`finish` is not "completed") has no calls, and its items are only its text.
    `model` and `tier` are what the server says it used.
    """

    items: tuple[Item, ...]
    text: str
    calls: tuple[ToolCall, ...]
    usage: Usage
    finish: Finish
    model: str
    tier: str


def user_message(text: str) -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant_message(text: str) -> Item:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def tool_output(call: ToolCall, text: str) -> Item:
    """The item that answers `call`; every call needs exactly one."""
    kind = "custom_tool_call_output" if call.free_text else "function_call_output"
    return {"type": kind, "call_id": call.call_id, "output": text}


def message_text(item: Item) -> str:
    """The text of a message item: its parts joined, refusals included; "" for any other item."""
    if item.get("type", "message") != "message":
        return ""
    content = item.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content if isinstance(part, dict))
