"""An answer as the events of its stream, in both dialects (order and fields as the provider sends them)."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fake_openai.answers import Answer

Json = dict[str, Any]


def pieces(content: str, size: int) -> Iterator[str]:
    return (content[start : start + size] for start in range(0, len(content), size))


# ── Responses ────────────────────────────────────────────────────────────────────────────────────


def responses_usage(figures: Mapping[str, int]) -> Json:
    return {
        "input_tokens": figures["input_tokens"],
        "input_tokens_details": {"cached_tokens": figures["cached_tokens"]},
        "output_tokens": figures["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": figures["reasoning_tokens"]},
        "total_tokens": figures["input_tokens"] + figures["output_tokens"],
    }


def response_object(answer: Answer, request: Json, figures: Mapping[str, int] | None, status: str) -> Json:
    body: Json = {
        "id": "resp_0001",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": request["model"],
        "output": list(answer.items) if status in ("completed", "incomplete") else [],
        "service_tier": answer.service_tier,
        "store": False,
        "usage": responses_usage(figures) if figures else None,
    }
    if status == "incomplete":
        body["incomplete_details"] = {"reason": answer.reason}
    if status == "failed":
        body["error"] = {"code": answer.reason, "message": answer.message}
    return body


def responses_events(answer: Answer, request: Json, figures: Mapping[str, int] | None) -> list[Json]:
    started = response_object(answer, request, None, "in_progress")
    events: list[Json] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for index, item in enumerate(answer.items):
        events += _item_events(item, index, answer.delta_size)
    match answer.ending:
        case "error":
            fault = {"code": answer.reason, "message": answer.message, "param": None}
            events.append({"type": "error", "error": {"type": answer.reason, **fault}} if answer.nested
                          else {"type": "error", **fault})  # fmt: skip
        case "none":
            pass
        case status:
            events.append({"type": f"response.{status}", "response": response_object(answer, request, figures, status)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(item: Json, index: int, size: int) -> Iterator[Json]:
    place = {"item_id": item.get("id", ""), "output_index": index}
    blank = {"function_call": {"arguments": ""}, "custom_tool_call": {"input": ""}, "message": {"content": []},
             "reasoning": {"summary": [], "encrypted_content": "partial"}}  # fmt: skip
    opened = {**item, **blank.get(item["type"], {})}
    yield {"type": "response.output_item.added", "output_index": index, "item": {**opened, "status": "in_progress"}}
    match item["type"]:
        case "message":
            yield from _content_events(item, place, size)
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                at = {**place, "summary_index": number}
                yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
                for piece in pieces(part["text"], size):
                    yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
                yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        case "function_call":
            for piece in pieces(item["arguments"], size):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        case "custom_tool_call":
            for piece in pieces(item["input"], size):
                yield {"type": "response.custom_tool_call_input.delta", **place, "delta": piece}
            yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _content_events(item: Json, place: Json, size: int) -> Iterator[Json]:
    for number, part in enumerate(item["content"]):
        at = {**place, "content_index": number}
        field, name = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
        yield {"type": "response.content_part.added", **at, "part": {**part, field: ""}}
        for piece in pieces(part[field], size):
            yield {"type": f"response.{name}.delta", **at, "delta": piece}
        yield {"type": f"response.{name}.done", **at, field: part[field]}
        yield {"type": "response.content_part.done", **at, "part": part}


# ── Chat Completions ─────────────────────────────────────────────────────────────────────────────


def chat_usage(figures: Mapping[str, int]) -> Json:
    return {
        "prompt_tokens": figures["input_tokens"],
        "completion_tokens": figures["output_tokens"],
        "total_tokens": figures["input_tokens"] + figures["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": figures["cached_tokens"]},
        "completion_tokens_details": {"reasoning_tokens": figures["reasoning_tokens"]},
    }


def finish_reason(answer: Answer) -> str:
    if answer.ending == "incomplete":
        return "length" if answer.reason == "max_output_tokens" else "content_filter"
    return "tool_calls" if any(item["type"].endswith("_call") for item in answer.items) else "stop"


def chat_calls(answer: Answer) -> list[Json]:
    calls = []
    for item in answer.items:
        if item["type"] == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
        elif item["type"] == "custom_tool_call":  # on this dialect a function with one string argument
            function = {"name": item["name"], "arguments": json.dumps({"input": item["input"]})}
        else:
            continue
        calls.append({"id": item["call_id"], "type": "function", "function": function})
    return calls


def chat_message(answer: Answer) -> Json:
    parts = [part for item in answer.items if item["type"] == "message" for part in item["content"]]
    message: Json = {"role": "assistant", "content": "".join(part.get("text", "") for part in parts) or None}
    if refusals := [part["refusal"] for part in parts if part["type"] == "refusal"]:
        message["refusal"] = "".join(refusals)
    if thoughts := _thoughts(answer):
        message[_thought_field(answer)] = thoughts
    if calls := chat_calls(answer):
        message["tool_calls"] = calls
    return message


def _thoughts(answer: Answer) -> str:
    reasonings = (item for item in answer.items if item["type"] == "reasoning")
    return "".join(part["text"] for item in reasonings for part in item["summary"])


def _thought_field(answer: Answer) -> str:
    return "reasoning" if "reasoning" in answer.quirks else "reasoning_content"


def chat_object(answer: Answer, request: Json, figures: Mapping[str, int] | None) -> Json:
    choice = {"index": 0, "message": chat_message(answer), "finish_reason": finish_reason(answer)}
    return {**_chunk_head(answer, request, "chat.completion"), "choices": [choice],
            "usage": chat_usage(figures) if figures else None}  # fmt: skip


def _chunk_head(answer: Answer, request: Json, kind: str) -> Json:
    head = {"id": "chatcmpl-0001", "object": kind, "created": int(time.time()), "model": request["model"]}
    return {**head, "service_tier": answer.service_tier}


def chat_events(answer: Answer, request: Json, figures: Mapping[str, int] | None) -> list[Json | str]:
    """Chunks, then "[DONE]"."""
    head = _chunk_head(answer, request, "chat.completion.chunk")
    message = chat_message(answer)
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for field in (_thought_field(answer), "content", "refusal"):
        deltas += [{field: piece} for piece in pieces(message.get(field) or "", answer.delta_size)]
    for index, call in enumerate(message.get("tool_calls", ())):
        deltas += [{"tool_calls": [delta]} for delta in _call_deltas(call, index, answer)]
    if "role_everywhere" in answer.quirks:
        deltas = [{"role": "assistant", **delta} for delta in deltas]
    chunks: list[Json | str] = [{**head, "choices": [_choice(delta, None)]} for delta in deltas]
    if answer.ending in ("error", "failed"):
        return [*chunks, {"error": {"code": answer.reason, "message": answer.message, "type": answer.reason}}]
    if answer.ending == "none":
        return chunks
    chunks.append({**head, "choices": [_choice({}, finish_reason(answer))]})
    if figures and "usage_everywhere" in answer.quirks:
        chunks = [{**chunk, "usage": chat_usage(figures)} for chunk in chunks if isinstance(chunk, dict)]
    elif figures and request.get("stream_options", {}).get("include_usage") and "no_usage" not in answer.quirks:
        chunks.append({**head, "choices": [], "usage": chat_usage(figures)})
    return chunks if "no_done" in answer.quirks else [*chunks, "[DONE]"]


def _choice(delta: Json, finish: str | None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}


def _call_deltas(call: Json, index: int, answer: Answer) -> Iterator[Json]:
    arguments = call["function"]["arguments"]
    place = {} if "no_index" in answer.quirks else {"index": 0 if "zero_index" in answer.quirks else index}
    opening = place | ({} if "no_ids" in answer.quirks else {"id": call["id"]}) | {"type": "function"}
    if "whole_calls" in answer.quirks:
        yield {**opening, "function": call["function"]}
        return
    yield {**opening, "function": {"name": call["function"]["name"], "arguments": ""}}
    for piece in pieces(arguments, answer.delta_size):
        yield {**place, "function": {"arguments": piece}}
