"""The fake server refuses what the provider would refuse; without that, a green test would prove little."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.fake_openai import FakeOpenAI, forever, reasoning, text, tool_call

BODY: dict[str, Any] = {
    "model": "gpt-5.4-mini",
    "instructions": "x",
    "input": [{"role": "user", "content": "hi"}],
    "reasoning": {"effort": "low"},
    "store": False,
}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "ok"}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}


def post(server: FakeOpenAI, body: Any, path: str = "/responses", key: str = "Bearer k") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(server.base_url + path, data, {"Authorization": key})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def history(*items: Any) -> dict[str, Any]:
    return {**BODY, "input": [*BODY["input"], *items]}


def test_a_well_formed_request_is_answered_without_streaming_too() -> None:
    with FakeOpenAI([tool_call("f", {}), text("hi")]) as server:
        code, answer = post(server, history(CALL, OUTPUT))
        assert (code, answer["output"][0]["name"]) == (200, "f")
        messages = [{"role": "user", "content": "x"}]
        code, answer = post(server, {"model": "m", "messages": messages}, "/chat/completions")
        assert (code, answer["choices"][0]["message"]["content"]) == (200, "hi")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        {**BODY, "input": []},
        {**BODY, "reasoning": {}},
        {**BODY, "store": True},
        {**BODY, "surprise": 1},
        {**BODY, "temperature": 0.5},
        {**BODY, "prompt_cache_key": None},
        {**BODY, "tools": [{"type": "function", "name": "f", "parameters": LOOSE, "strict": True}]},
        {**BODY, "tools": [{"type": "custom", "name": "f", "parameters": {}}]},
        {**BODY, "text": {"format": {"type": "json_schema", "name": "n", "schema": LOOSE, "strict": True}}},
        {
            **BODY,
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        },
        history(CALL),
        history(OUTPUT),
        history(OUTPUT, CALL),
        history(CALL, OUTPUT, OUTPUT),
        history(CALL, OUTPUT, CALL, OUTPUT),
        history({**CALL, "surprise": 1}, OUTPUT),
        history(CALL, {**OUTPUT, "type": "custom_tool_call_output"}),
        history({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}),
        history({"type": "reasoning", "id": "rs", "summary": []}, CALL, OUTPUT),
        history({"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
    ],
)
def test_what_the_provider_would_refuse_is_refused(body: Any) -> None:
    with FakeOpenAI(forever(text("never"))) as server:
        assert post(server, body)[0] == 400


def test_a_changed_prefix_is_refused_unless_permitted() -> None:
    first = {**history(), "prompt_cache_key": "s"}
    with FakeOpenAI(forever(text("ok"))) as server:
        assert post(server, first)[0] == 200
        assert post(server, {**first, "input": [*first["input"], {"role": "user", "content": "more"}]})[0] == 200
        assert post(server, first)[1]["error"]["code"] == "changed_prefix"
        assert post(server, {**first, "instructions": "y"})[1]["error"]["code"] == "changed_prefix"
        server.permit_rebuild()
        assert post(server, first)[0] == 200
        assert len(server.refusals) == 2


def test_items_of_the_model_must_come_back_untouched() -> None:
    answer = reasoning("a") + text("b")
    with FakeOpenAI(forever(answer)) as server:
        post(server, BODY)
        assert post(server, history(*answer.items))[0] == 200
        changed = {**answer.items[1], "status": "in_progress"}
        assert post(server, history(answer.items[0], changed))[1]["error"]["code"] == "changed_item"


def test_usage_counts_the_common_prefix_as_cached() -> None:
    body = {**BODY, "prompt_cache_key": "s"}
    with FakeOpenAI(forever(text("ok"))) as server:
        first, second = (post(server, body)[1]["usage"] for _ in range(2))
        assert first["input_tokens_details"]["cached_tokens"] == 0
        assert second["input_tokens_details"]["cached_tokens"] == second["input_tokens"]


def test_a_request_without_a_key_or_to_nowhere_is_refused() -> None:
    with FakeOpenAI(forever(text("never"))) as server:
        assert post(server, BODY, key="")[0] == 401
        assert post(server, BODY, "/nowhere")[0] == 404
