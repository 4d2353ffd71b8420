"""The Responses dialect: a Request as the body of POST /responses, and the events of its stream as a Reply.

Pure: no connection, no SDK. Output items are taken whole from `response.output_item.done` and are never rewritten;
deltas are for the eye only; without a terminal event there is no reply.
"""

from collections.abc import Callable, Mapping
from typing import Any

from coder.model.faults import Fault, from_event
from coder.model.messages import Finish, Item, Reply, Request, ToolCall, ToolSpec, assistant_message
from coder.model.strict import strict_schema
from coder.values import Usage

PATH = "/responses"
# Fields that a server may refuse and that can be left out without changing what is asked.
OPTIONAL = frozenset(
    {"reasoning", "include", "prompt_cache_key", "stream_options", "service_tier", "tool_choice", "encrypted_content"}
)
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_TERMINAL = ("response.completed", "response.incomplete")


def body(request: Request, *, effort: str, tier: str = "", without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON to send. Fields of one session keep their order and content: the prompt cache wants the same bytes."""
    fields: dict[str, Any] = {
        "model": request.model,
        "instructions": request.instructions,
        "tools": [tool(each) for each in request.tools],
        "tool_choice": _choice(request),
        "input": [item for item in request.input if _can_be_replayed(item, without)],
        "reasoning": {"effort": effort},
        "text": _text_format(request),
        "max_output_tokens": request.max_output,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": request.cache_key,
        "service_tier": tier,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    return {name: value for name, value in fields.items() if value not in (None, "", []) and name not in without}


def tool(spec: ToolSpec) -> dict[str, Any]:
    if spec.parameters is None:
        return {"type": "custom", "name": spec.name, "description": spec.description, "format": {"type": "text"}}
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": strict_schema(spec.parameters),
        "strict": True,
    }


def _choice(request: Request) -> Any:
    if not isinstance(request.tool_choice, tuple):
        return request.tool_choice
    allowed = [
        {"type": "custom" if spec.parameters is None else "function", "name": spec.name}
        for spec in request.tools
        if spec.name in request.tool_choice
    ]
    return {"type": "allowed_tools", "mode": "auto", "tools": allowed} if allowed else "none"


def _text_format(request: Request) -> Any:
    if request.schema is None:
        return None
    name = request.schema_name or "reply"
    return {"format": {"type": "json_schema", "name": name, "schema": strict_schema(request.schema), "strict": True}}


def _can_be_replayed(item: Item, without: frozenset[str]) -> bool:
    """Reasoning that another dialect left as plain text has no id, and this API has no use for it; nor has a model
    for sealed reasoning that it cannot open, as of another account."""
    return item.get("type") != "reasoning" or ("id" in item and "encrypted_content" not in without)


class Assembly:
    """The reply as it grows. `take` each event; `finished` once the terminal one has come, `reply` then builds it."""

    def __init__(self, request: Request, on_text: Callable[[str], None] | None) -> None:
        self._request = request
        self._on_text = on_text
        self._items: dict[int, Item] = {}
        self._spoken: object = None  # the message whose text was streamed last
        self._end: Mapping[str, Any] = {}
        self._complete = False
        self.finished = False
        self.sent = False
        self.shown = False  # whether some text has been given away
        self.started = False  # whether the model has begun an item
        self.thinking = False  # whether the silence may be reasoning

    def take(self, event: Mapping[str, Any]) -> None:
        """Raises Fault when the event says that the reply failed, or makes no sense."""
        kind, item = event.get("type"), event.get("item")
        if kind == "response.output_item.added":
            self.started = True
            self.thinking = isinstance(item, dict) and item.get("type") == "reasoning"
        elif kind == "response.output_item.done" and isinstance(item, dict):
            self.started, self.thinking = True, False
            if not isinstance(item.get("type"), str):
                raise Fault("the reply has an item without a type", "retry", "malformed", billed=True)
            self._items[_position(event, len(self._items))] = item
        elif kind in ("response.output_text.delta", "response.refusal.delta"):
            self._show(event)
        elif kind in _TERMINAL:
            self._end = as_object(event.get("response"))
            self.finished, self._complete = True, kind == "response.completed"
        elif kind in ("response.failed", "error"):
            self._end = as_object(event.get("response"))
            raise from_event(event, billed=self.started)

    @property
    def complete(self) -> bool:
        """Whether the reply is whole."""
        return self.finished

    def _show(self, event: Mapping[str, Any]) -> None:
        text = event.get("delta")
        if self._on_text is None or not isinstance(text, str):
            return
        place = event.get("output_index")
        if self.shown and place != self._spoken:
            self._on_text("\n\n")
        self._spoken, self.shown = place, True
        self._on_text(text)

    def usage(self) -> tuple[Usage, int] | None:
        """Tokens without a price, and the tokens written to the cache; None when the figures never came."""
        figures = self._end.get("usage")
        if not isinstance(figures, dict):
            return None
        inside, outside = (as_object(figures.get(f"{way}_tokens_details")) for way in ("input", "output"))
        return tokens(
            self._request,
            figures.get("input_tokens"),
            inside.get("cached_tokens"),
            outside.get("reasoning_tokens"),
            figures.get("output_tokens"),
            inside.get("cache_write_tokens"),
        )

    @property
    def tier(self) -> str:
        return str(self._end.get("service_tier") or "default")

    def reply(self, usage: Usage) -> Reply:
        """Raises Fault when an item of the reply could not be answered or replayed."""
        items = _without_last_thoughts(tuple(self._items[place] for place in sorted(self._items)))
        messages = [item for item in items if item.get("type") == "message"]
        text = "\n\n".join(filter(None, map(_text, messages)))
        finish = _finish(self._end, self._complete, messages)
        calls = tuple(_call(item) for item in items if item.get("type") in _CALLS)
        if len({call.call_id for call in calls}) < len(calls):
            raise Fault("the reply has two calls of the same id", "retry", "malformed", billed=True)
        if finish != "completed":
            items, calls = ((assistant_message(text),) if text else ()), ()
        model = str(self._end.get("model") or self._request.model)
        return Reply(items, text, calls, usage, finish, model, self.tier)


def _position(event: Mapping[str, Any], default: int) -> int:
    place = event.get("output_index")
    return place if isinstance(place, int) else default


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object from outside; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def _without_last_thoughts(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Reasoning that nothing follows is refused when it is sent back."""
    while items and items[-1]["type"] == "reasoning":
        items = items[:-1]
    return items


def _parts(message: Item) -> list[Item]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text(message: Item) -> str:
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in _parts(message))


def _call(item: Item) -> ToolCall:
    kind = item["type"]
    fields = (item.get("call_id"), item.get("name"), item.get(_CALLS[kind]))
    if not all(isinstance(each, str) for each in fields) or not fields[0]:
        raise Fault("the reply has a tool call without id, name or arguments", "retry", "malformed", billed=True)
    call_id, name, arguments = map(str, fields)
    return ToolCall(call_id, name, arguments, free_text=kind == "custom_tool_call")


def _finish(end: Mapping[str, Any], complete: bool, messages: list[Item]) -> Finish:
    if not complete:
        reason = as_object(end.get("incomplete_details")).get("reason")
        return "content_filter" if reason == "content_filter" else "max_output"
    refused = any(part.get("type") == "refusal" for message in messages for part in _parts(message))
    return "refusal" if refused else "completed"


_MOST = 1_000_000_000  # tokens of one call that can be believed


def _count(value: Any) -> int | None:
    """A number of tokens from outside; None when it is none."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return whole if type(whole) is int and 0 <= whole <= _MOST else None


def tokens(
    request: Request, given: Any, cached: Any, reasoning: Any, written: Any, stored: Any
) -> tuple[Usage, int] | None:
    """Figures from outside as a Usage that holds together, its parts never more than their whole, and the tokens
    written to the cache. None when they can't be true, as without input: then nobody knows what the call cost."""
    total, output = _count(given), _count(written)
    if not total or output is None:
        return None
    parts = (min(_count(cached) or 0, total), min(_count(reasoning) or 0, output))
    return Usage(request.role, request.model, 1, total, *parts, output), min(_count(stored) or 0, total)
