"""The Chat Completions dialect: the canonical history as messages, and the chunks of a stream as a Reply.

For servers that are compatible, each in its own way; departures are named quirks (`providers.toml`). Pure: no
connection, no SDK. A free-text tool is a function with one string argument, `input`.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from coder.model.faults import from_event
from coder.model.messages import Finish, Item, Reply, Request, ToolCall, ToolSpec, assistant_message, message_text
from coder.model.responses import as_object, tokens
from coder.model.strict import strict_schema
from coder.values import Usage

PATH = "/chat/completions"
OPTIONAL = frozenset(
    {"stream_options", "reasoning_effort", "max_completion_tokens", "max_tokens", "response_format", "strict", "tools",
     "tool_choice", "service_tier"}
)  # fmt: skip
_LIMITS = frozenset({"max_completion_tokens", "max_tokens"})
_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole text."}},
    "required": ["input"],
    "additionalProperties": False,
}
_FINISHES: Mapping[str, Finish] = {
    "stop": "completed",
    "tool_calls": "completed",
    "function_call": "completed",
    "length": "max_output",
    "content_filter": "content_filter",
}


def body(request: Request, *, effort: str, quirks: frozenset[str], tier: str = "",
         without: frozenset[str] = frozenset()) -> dict[str, Any]:  # fmt: skip
    """The JSON to send; `without` names optional fields that this server has refused."""
    offered = _offered(request) if "no_tools" not in quirks and "tools" not in without else []
    if offered and "effort_none_with_tools" in quirks:
        effort = "none"
    strict = "no_strict" not in quirks and "strict" not in without
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": messages(request, quirks, with_tools=bool(offered)),
        "tools": [tool(spec, strict) for spec in offered],
        "tool_choice": request.tool_choice if offered and not isinstance(request.tool_choice, tuple) else None,
        "response_format": _response_format(request) if "no_schema" not in quirks else None,
        "reasoning_effort": effort if "no_effort" not in quirks else None,
        "service_tier": tier,
        "stream": True,
        "stream_options": {"include_usage": True} if "no_stream_usage" not in quirks else None,
        _limit_name(quirks, without): request.max_output,
    }
    return {name: value for name, value in fields.items() if value not in (None, "", []) and name not in without}


def optional(quirks: frozenset[str], without: frozenset[str]) -> frozenset[str]:
    """The fields that may still be left out. Of the two names of the output limit one must stay: it bounds the bill."""
    gone = without & _LIMITS
    return OPTIONAL - without - (_LIMITS if gone else _LIMITS - {_limit_name(quirks, without)})


def _limit_name(quirks: frozenset[str], without: frozenset[str]) -> str:
    first, second = sorted(_LIMITS, reverse="max_tokens" in quirks)
    return second if first in without else first


def _offered(request: Request) -> list[ToolSpec]:
    allowed = request.tool_choice if isinstance(request.tool_choice, tuple) else None
    return [spec for spec in request.tools if allowed is None or spec.name in allowed]


def tool(spec: ToolSpec, strict: bool) -> dict[str, Any]:
    schema = _INPUT if spec.parameters is None else strict_schema(spec.parameters)
    function = {"name": spec.name, "description": spec.description, "parameters": schema}
    return {"type": "function", "function": {**function, "strict": True} if strict else function}


def _response_format(request: Request) -> Any:
    if request.schema is None:
        return None
    named = {"name": request.schema_name or "reply", "schema": strict_schema(request.schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


# ── history → messages ───────────────────────────────────────────────────────────────────────────


def messages(request: Request, quirks: frozenset[str], *, with_tools: bool) -> list[dict[str, Any]]:
    """The instructions and the history as chat messages.

    Items of one reply (text and calls) become one assistant message. Where no tools are offered, calls and their
    results are told as text, so that a model without tool calls can go on with a history that has them.
    """
    said: list[dict[str, Any]] = []
    if request.instructions:
        said.append({"role": "developer" if "developer" in quirks else "system", "content": request.instructions})
    thoughts = ""
    for item in request.input:
        kind = item.get("type", "message")
        if kind == "reasoning":
            thoughts = _thoughts(item) if "return_reasoning" in quirks else ""
            continue
        if kind == "message" and item["role"] != "assistant":
            said.append({"role": item["role"], "content": message_text(item)})
        elif kind == "message":
            _say(_assistant(said, thoughts), message_text(item))
        elif kind in ("function_call", "custom_tool_call") and with_tools:
            _assistant(said, thoughts).setdefault("tool_calls", []).append(_wire_call(item))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            answer = {"role": "tool", "tool_call_id": item["call_id"], "content": _output_text(item["output"])}
            said.append(answer if with_tools else {"role": "user", "content": f"Result:\n{answer['content']}"})
        elif kind in ("function_call", "custom_tool_call"):
            _say(_assistant(said, thoughts), f"[{item['name']}]\n{item.get('arguments', item.get('input', ''))}")
        thoughts = ""
    return said


def _assistant(said: list[dict[str, Any]], thoughts: str) -> dict[str, Any]:
    """The assistant message that the next piece of a reply belongs to."""
    if not said or said[-1]["role"] != "assistant":
        said.append({"role": "assistant", "content": ""})
    if thoughts:
        said[-1]["reasoning_content"] = thoughts
    return said[-1]


def _say(message: dict[str, Any], text: str) -> None:
    message["content"] = f"{message['content']}\n\n{text}" if message["content"] else text


def _thoughts(item: Item) -> str:
    return "".join(str(part.get("text", "")) for part in item.get("content") or () if isinstance(part, dict))


def _output_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    return "".join(str(part.get("text", "")) for part in output if isinstance(part, dict))


def _wire_call(item: Item) -> dict[str, Any]:
    """A call as it goes back. Arguments are always a JSON object: templates of many servers fail on anything else,
    and a history that cannot be sent again would end the session."""
    if item["type"] == "custom_tool_call":
        arguments = json.dumps({"input": item["input"]}, ensure_ascii=False)
    else:
        arguments = item["arguments"]
        if not isinstance(_json(arguments), dict):
            arguments = json.dumps({"input": arguments}, ensure_ascii=False)
    return {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": arguments}}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# ── chunks → reply ───────────────────────────────────────────────────────────────────────────────


class Assembly:
    """The reply as it grows; the same face as that of the Responses dialect."""

    def __init__(self, request: Request, on_text: Callable[[str], None] | None) -> None:
        self._request = request
        self._on_text = on_text
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[dict[str, Any]] = []  # index, id, name, arguments (pieces)
        self._reason = ""
        self._usage: Mapping[str, Any] | None = None
        self._head: dict[str, str] = {}
        self.finished = False
        self.sent = False
        self.shown = False
        self.started = False
        self.thinking = False

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Raises Fault when a chunk reports an error. `finished` waits for the usage, which comes last."""
        if chunk.get("type") == "[DONE]":
            self.finished = bool(self._reason)
            return
        if chunk.get("error"):
            raise from_event(chunk, billed=self.started)
        for name in ("model", "service_tier"):
            if isinstance(chunk.get(name), str):
                self._head[name] = chunk[name]
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
        self._take_delta(as_object(choice.get("delta") or choice.get("message")))
        self._reason = str(choice.get("finish_reason") or self._reason)

    @property
    def complete(self) -> bool:
        """Whether the reply is whole even if the stream ends here, without usage or `[DONE]`."""
        return bool(self._reason)

    def _take_delta(self, delta: dict[str, Any]) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str):
            self.started = self.thinking = True
            self._thoughts.append(thought)
        for field, kept in (("content", self._text), ("refusal", self._refusal)):
            if isinstance(piece := delta.get(field), str) and piece:
                self.started, self.thinking = True, False
                kept.append(piece)
                if self._on_text is not None:
                    self.shown = True
                    self._on_text(piece)
        calls = delta.get("tool_calls")
        for piece in calls if isinstance(calls, list) else ():
            if isinstance(piece, dict):
                self.started, self.thinking = True, False
                self._take_call(piece)

    def _take_call(self, piece: dict[str, Any]) -> None:
        function = as_object(piece.get("function"))
        index, id_, name = piece.get("index"), piece.get("id") or "", function.get("name") or ""
        call = self._open_call(index, id_, name)
        if call is None:
            call = {"index": index, "id": "", "name": "", "arguments": []}
            self._calls.append(call)
        call["id"] = call["id"] or id_
        call["name"] = call["name"] or name
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some servers give the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str):
            call["arguments"].append(arguments)

    def _open_call(self, index: Any, id_: str, name: str) -> dict[str, Any] | None:
        """The call that a piece continues. Indexes may be missing or all 0, ids too: another id, or a name while the
        call already has arguments, begins a new one."""
        same = [call for call in self._calls if call["index"] == index] if index is not None else self._calls
        if not same:
            return None
        last = same[-1]
        if id_ and last["id"] and id_ != last["id"]:
            return None
        return None if name and last["name"] and any(last["arguments"]) and not (id_ and id_ == last["id"]) else last

    def usage(self) -> tuple[Usage, int] | None:
        """Tokens without a price; None when the figures never came."""
        figures = self._usage
        if figures is None:
            return None
        inside, outside = (as_object(figures.get(f"{each}_tokens_details")) for each in ("prompt", "completion"))
        cached = inside.get("cached_tokens") or figures.get("prompt_cache_hit_tokens")
        reasoning = outside.get("reasoning_tokens")
        given, written = figures.get("prompt_tokens"), figures.get("completion_tokens")
        return tokens(self._request, given, cached, reasoning, written, inside.get("cache_write_tokens"))

    @property
    def tier(self) -> str:
        return self._head.get("service_tier", "default")

    def reply(self, usage: Usage) -> Reply:
        text = "".join(self._text)
        finish = _FINISHES.get(self._reason, "completed")
        if self._refusal and finish == "completed":
            finish, text = "refusal", text or "".join(self._refusal)
        calls = self._named_calls() if finish == "completed" else ()
        items: list[Item] = []
        if self._thoughts and calls:  # only a turn with calls is asked to give them back
            items.append({"type": "reasoning", "summary": [], "content": [_thought("".join(self._thoughts))]})
        if text:
            items.append(assistant_message(text))
        items += [_item(call) for call in calls]
        return Reply(tuple(items), text, calls, usage, finish, self._head.get("model", self._request.model), self.tier)

    def _named_calls(self) -> tuple[ToolCall, ...]:
        free = {spec.name for spec in self._request.tools if spec.parameters is None}
        taken = {item["call_id"] for item in self._request.input if "call_id" in item}
        calls = []
        for call in self._calls:
            call_id = call["id"] if call["id"] and call["id"] not in taken else secrets.token_hex(5)[:9]
            taken.add(call_id)
            arguments = "".join(call["arguments"])
            is_free = call["name"] in free
            calls.append(
                ToolCall(call_id, call["name"], free_text(arguments) if is_free else arguments or "{}", is_free)
            )
        return tuple(calls)


def free_text(arguments: str) -> str:
    """The text out of a free-text tool's arguments: `input`, else the only string, else the arguments as they are."""
    value = _json(arguments)
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        texts = [each for each in value.values() if isinstance(each, str)]
        if isinstance(value.get("input"), str):
            return str(value["input"])
        if len(texts) == 1:
            return texts[0]
    return arguments


def _thought(text: str) -> Item:
    return {"type": "reasoning_text", "text": text}


def _item(call: ToolCall) -> Item:
    if call.free_text:
        return {"type": "custom_tool_call", "call_id": call.call_id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
