"""What the provider would refuse, so that a test which passes has sent well-formed requests.

Each rule raises `Refused` with the error the provider would give (or, for the few rules of our own house, a plain
one): unknown fields, calls and outputs that do not match, schemas that are not strict, settings that exclude each
other, an earlier prefix of the session that changed.
"""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


RESPONSES_FIELDS = _words(
    "background context_management conversation include input instructions max_output_tokens max_tool_calls metadata "
    "model parallel_tool_calls previous_response_id prompt_cache_key reasoning safety_identifier service_tier store "
    "stream stream_options temperature text tool_choice tools top_logprobs top_p truncation"
)
CHAT_FIELDS = _words(
    "frequency_penalty logit_bias logprobs max_completion_tokens max_tokens messages metadata model n "
    "parallel_tool_calls presence_penalty prompt_cache_key reasoning_effort response_format seed service_tier stop "
    "store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity"
)
ITEM_FIELDS = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "compaction": {"type", "id", "encrypted_content"},
}
REQUIRED_ITEM_FIELDS = {
    "message": {"role", "content"},
    "function_call": {"call_id", "name", "arguments"},
    "function_call_output": {"call_id", "output"},
    "custom_tool_call": {"call_id", "name", "input"},
    "custom_tool_call_output": {"call_id", "output"},
    "reasoning": {"id", "summary"},
    "compaction": {"encrypted_content"},
}
EFFORTS = ("none", "low", "medium", "high", "xhigh")


def check_responses(body: Json) -> None:
    _known(body, RESPONSES_FIELDS)
    _model(body)
    effort = (body.get("reasoning") or {}).get("effort")
    if effort not in EFFORTS:
        raise Refused(f"reasoning.effort must always be sent, got {effort!r}", "invalid_value", "reasoning.effort")
    if effort != "none":
        for field in ("temperature", "top_p", "top_logprobs"):
            if field in body:
                raise Refused(f"Unsupported parameter: '{field}'", "unsupported_parameter", field)
    if body.get("store") is not False:
        raise Refused("store must be false", "invalid_value", "store")  # our own rule: nothing is kept
    _tools([_flat(tool) for tool in body.get("tools", ())])
    _schema_format((body.get("text") or {}).get("format"))
    _choice(body)
    items = body.get("input")
    if not items:
        raise Refused("One of input must be provided", "missing_required_parameter", "input")
    if isinstance(items, list):
        check_items(items)


def check_items(items: list[Json]) -> None:
    open_calls: dict[str, str] = {}
    seen: set[str] = set()
    for number, item in enumerate(items):
        kind, where = item.get("type", "message"), f"input[{number}]"
        if kind not in ITEM_FIELDS:
            raise Refused(f"Invalid value: '{kind}'", "invalid_value", f"{where}.type")
        if unknown := item.keys() - ITEM_FIELDS[kind]:
            raise Refused(
                f"Unknown parameter: '{where}.{min(unknown)}'.", "unknown_parameter", f"{where}.{min(unknown)}"
            )
        if missing := REQUIRED_ITEM_FIELDS[kind] - item.keys():
            raise Refused(f"Missing required parameter: '{where}.{min(missing)}'.", "missing_required_parameter", where)
        if nulls := [field for field, value in item.items() if value is None and field != "encrypted_content"]:
            raise Refused(f"Invalid type for '{where}.{nulls[0]}': null", "invalid_type", where)
        if kind == "message":
            _message(item, where)
        elif kind == "reasoning":
            _reasoning(item, items[number + 1 :], where)
        elif kind.endswith("_call"):
            if item["call_id"] in seen:
                raise Refused(f"Duplicate call_id {item['call_id']}", "invalid_value", where)
            seen.add(item["call_id"])
            open_calls[item["call_id"]] = f"{kind}_output"
        elif kind.endswith("_call_output"):
            if open_calls.pop(item["call_id"], "") != kind:
                raise Refused(f"No tool call found for {kind} with call_id {item['call_id']}.", None, "input")
            if not isinstance(item["output"], str | list):
                raise Refused(f"Invalid type for '{where}.output'", "invalid_type", where)
    if open_calls:
        raise Refused(f"No tool output found for function call {min(open_calls)}.", None, "input")


def _message(item: Json, where: str) -> None:
    role, content = item["role"], item["content"]
    if role not in ("user", "assistant", "system", "developer"):
        raise Refused(f"Invalid value: '{role}'", "invalid_value", f"{where}.role")
    if "phase" in item and role != "assistant":
        raise Refused("phase is only for the assistant", "unknown_parameter", f"{where}.phase")
    parts = [{"type": "output_text" if role == "assistant" else "input_text"}] if isinstance(content, str) else content
    allowed = ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image", "input_file")
    for part in parts:
        if part.get("type") not in allowed:
            raise Refused(f"Invalid value: '{part.get('type')}'", "invalid_value", f"{where}.content")


def _reasoning(item: Json, following: list[Json], where: str) -> None:
    if not item.get("encrypted_content"):
        raise Refused(
            f"Item with id '{item['id']}' not found. Items are not persisted when `store` is false.", None, where
        )
    if not following or following[0].get("type", "message") not in (
        "message",
        "function_call",
        "custom_tool_call",
        "reasoning",
    ):
        raise Refused(
            f"Item '{item['id']}' of type 'reasoning' was provided without its required following item.", None, where
        )


def check_chat(body: Json) -> None:
    _known(body, CHAT_FIELDS)
    _model(body)
    if body["model"].startswith("gpt-5"):
        if "max_tokens" in body:
            raise Refused("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                          "'max_completion_tokens' instead.", "unsupported_parameter", "max_tokens")  # fmt: skip
        if body.get("tools") and body.get("reasoning_effort", "none") != "none":
            raise Refused("Function tools with reasoning_effort are not supported for this model in "
                          "/v1/chat/completions. Use /v1/responses instead.", None, "reasoning_effort")  # fmt: skip
    for tool in body.get("tools", ()):
        if tool.get("type") != "function" or "function" not in tool:
            raise Refused("Invalid tool", "invalid_value", "tools")
    _tools([tool["function"] for tool in body.get("tools", ())])
    form = body.get("response_format") or {}
    _schema_format({"type": "json_schema", **form["json_schema"]} if form.get("type") == "json_schema" else None)
    if not body.get("messages"):
        raise Refused("messages must not be empty", "invalid_value", "messages")
    _chat_messages(body["messages"])


def _chat_messages(messages: list[Json]) -> None:
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise Refused(f"Invalid role {role!r}", "invalid_value", where)
        known = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning"}
        if unknown := message.keys() - known:
            raise Refused(f"Unknown parameter: '{where}.{min(unknown)}'", "unknown_parameter", where)
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'", None, where
                )
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            raise Refused(f"tool_call_ids did not have response messages: {', '.join(sorted(waiting))}", None, where)
        calls = message.get("tool_calls", ())
        if role != "assistant" and message.get("content") in (None, "", []):
            raise Refused("content must not be empty", "invalid_value", where)
        if role == "assistant" and not calls and not isinstance(message.get("content"), str):
            raise Refused("an assistant message needs content or tool_calls", "invalid_value", where)
        for call in calls:
            if call["id"] in waiting:
                raise Refused(f"Duplicate tool call id {call['id']}", "invalid_value", where)
            if not isinstance(json.loads(call["function"]["arguments"]), dict):  # templates of many servers need this
                raise Refused("tool call arguments must be a JSON object", "invalid_value", where)
            waiting.add(call["id"])
    if waiting:
        raise Refused(f"tool_call_ids did not have response messages: {', '.join(sorted(waiting))}", None, "messages")


# ── shared ───────────────────────────────────────────────────────────────────────────────────────


def _known(body: Json, fields: frozenset[str]) -> None:
    if unknown := body.keys() - fields:
        raise Refused(f"Unknown parameter: '{min(unknown)}'.", "unknown_parameter", min(unknown))
    if nulls := [field for field, value in body.items() if value is None]:
        raise Refused(f"Invalid type for '{nulls[0]}': null", "invalid_type", nulls[0])


def _model(body: Json) -> None:
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("you must provide a model parameter", "missing_required_parameter", "model")


def _flat(tool: Json) -> Json:
    if tool.get("type") == "custom":
        form = tool.get("format", {"type": "text"})
        if tool.keys() - {"type", "name", "description", "format"} or form.get("type") not in ("text", "grammar"):
            raise Refused("Unknown parameter in a custom tool", "unknown_parameter", "tools")
        return {"name": tool.get("name"), "description": tool.get("description", "")}
    if tool.get("type") != "function" or tool.keys() - {"type", "name", "description", "parameters", "strict"}:
        raise Refused(f"Unknown tool {tool.get('type')!r} or field", "invalid_value", "tools")
    return {key: value for key, value in tool.items() if key != "type"}


def _tools(tools: list[Json]) -> None:
    names = [tool.get("name") for tool in tools]
    if len(set(names)) < len(names) or not all(names):
        raise Refused("Tool names must be given and unique", "invalid_value", "tools")
    for tool in tools:
        if tool.get("strict"):
            _strict(tool["parameters"], f"tools.{tool['name']}")
        elif "parameters" in tool and "strict" in tool:
            raise Refused("strict must be true", "invalid_value", "tools")  # our own rule: the choice is said


def _schema_format(form: Json | None) -> None:
    if form and form.get("type") == "json_schema":
        if not form.get("name") or form.get("strict") is not True:
            raise Refused("json_schema needs a name and strict", "invalid_value", "text.format")
        if form["schema"].get("type") != "object":
            raise Refused(
                "schema must be a JSON Schema of 'type: \"object\"'", "invalid_json_schema", "text.format.schema"
            )
        _strict(form["schema"], "text.format.schema")


def _strict(schema: Any, where: str) -> None:
    for node in _nodes(schema):
        if banned := node.keys() & {"allOf", "not", "if", "then", "else", "oneOf", "default", "dependentRequired"}:
            raise Refused(f"Invalid schema: '{min(banned)}' is not permitted.", "invalid_json_schema", where)
        if node.get("type") == "object" or "properties" in node:
            if node.get("additionalProperties") is not False:
                raise Refused("'additionalProperties' is required to be false.", "invalid_json_schema", where)
            if set(node.get("required", ())) != set(node.get("properties", {})):
                raise Refused("'required' must include every key in properties.", "invalid_json_schema", where)


def _nodes(schema: Any) -> Iterator[Json]:
    if isinstance(schema, dict):
        yield schema
        children = [schema.get("items"), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
        for child in (*children, *schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
            yield from _nodes(child)


def _choice(body: Json) -> None:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        known = {(tool["type"], tool["name"]) for tool in body.get("tools", ())}
        if not choice.get("tools") or {(tool["type"], tool["name"]) for tool in choice["tools"]} - known:
            raise Refused("allowed_tools names a tool that is not offered", "invalid_value", "tool_choice")
    elif choice not in (None, "auto", "none", "required") and not isinstance(choice, dict):
        raise Refused(f"Invalid tool_choice {choice!r}", "invalid_value", "tool_choice")


def check_prefix(body: Json, before: Json | None) -> None:
    """Within one session everything sent before must come first again, byte for byte."""
    if before is None:
        return
    for field in ("instructions", "tools"):
        if json.dumps(body.get(field)) != json.dumps(before.get(field)):
            raise Refused(f"{field} changed inside the session", "changed_prefix", field)
    if (body.get("text") or {}).get("format"):
        return  # single questions may share a key: only what is fixed must stay
    old, new = before["input"], body["input"]
    for number, item in enumerate(old if isinstance(old, list) else ()):
        if number >= len(new) or json.dumps(item) != json.dumps(new[number]):
            raise Refused(f"input[{number}] changed inside the session", "changed_prefix", f"input[{number}]")


def check_replay(body: Json, emitted: dict[str, Json]) -> None:
    """Items of the model go back untouched."""
    for number, item in enumerate(body["input"] if isinstance(body["input"], list) else ()):
        own = emitted.get(item.get("id", ""))
        if own is not None and own != item:
            raise Refused(f"input[{number}] is not what the model wrote", "changed_item", f"input[{number}]")
