"""The client on its way through: both dialects, histories of whole steps, what is shown, said and remembered."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from coder.errors import ApiError
from coder.events import Notice, UsageRecorded
from coder.model import Client, Reply, user_message
from tests.fake_openai import (
    forbidden,
    free_text_call,
    item,
    not_found,
    quota,
    reasoning,
    refusal,
    status,
    structured,
    text,
    tool_call,
    unsupported,
)
from tests.model_kit import answer_calls, request, settings, talk

BOTH = pytest.mark.parametrize(("api", "model"), [("responses", "gpt-5.4-mini"), ("chat", "local-model")])
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}


@BOTH
def test_a_reply_is_streamed_and_comes_back_whole(api: str, model: str) -> None:
    long = "hello world, this is long enough for two deltas"

    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model=model), show)

    reply, heard = talk([reasoning("hm") + text(long)], ask, chosen=settings(api=api))
    assert reply.text == "".join(heard.shown) == long
    assert len(heard.shown) > 1
    assert (reply.finish, reply.calls, reply.model, reply.tier) == ("completed", (), model, "default")


@BOTH
def test_calls_and_their_outputs_make_a_history_that_the_provider_takes(api: str, model: str) -> None:
    first = reasoning("so") + text("I look.") + tool_call("search", {"query": "é"})
    script = [first + free_text_call("apply_patch", "*** x\n"), tool_call("search", "{broken"), text("done")]

    async def converse(client: Client, show: Any) -> list[Reply]:
        history, replies = (user_message("go"),), []
        for _ in script:
            replies.append(await client.reply(request(*history, model=model), show))
            history += answer_calls(replies[-1])
        return replies

    replies, heard = talk(script, converse, chosen=settings(api=api))
    assert heard.server.refusals == []
    assert [(call.name, call.arguments, call.free_text) for call in replies[0].calls] == [
        ("search", '{"query": "\\u00e9"}', False),
        ("apply_patch", "*** x\n", True),
    ]
    assert replies[1].calls[0].arguments == "{broken"  # the model gets to see its own mistake
    assert replies[2].text == "done"


def test_output_items_go_back_untouched_and_the_prefix_stays() -> None:
    odd = {"type": "message", "id": "msg_odd", "role": "assistant", "status": "completed", "phase": "commentary",
           "content": [{"type": "output_text", "text": "hm", "annotations": [], "logprobs": []}]}  # fmt: skip
    script = [reasoning() + item(odd) + tool_call("search", {"query": "x"}), text("done")]

    async def converse(client: Client, show: Any) -> Reply:
        reply = await client.reply(request())
        return await client.reply(request(user_message("hello"), *answer_calls(reply)))

    reply, heard = talk(script, converse)
    before, after = heard.server.bodies()
    assert after["input"][1 : 1 + 3] == [*script[0].items]
    assert {**after, "input": after["input"][:1]} == before
    assert list(after) == list(before)
    assert reply.usage.cached_tokens > 0


def test_every_request_says_what_the_provider_keeps_and_how_hard_to_think() -> None:
    _, heard = talk([text("ok")])
    body = heard.server.bodies()[0]
    assert body["store"] is False
    assert body["reasoning"] == {"effort": "low"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["stream_options"] == {"include_obfuscation": False}
    assert body["prompt_cache_key"] == "coder:test"
    assert body["tools"][1] == {
        "type": "custom",
        "name": "apply_patch",
        "description": "Change files.",
        "format": {"type": "text"},
    }
    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["parameters"]["properties"]["limit"] == {"type": ["integer", "null"]}


def test_headers_tell_nothing_about_the_machine_and_carry_the_key() -> None:
    _, heard = talk([text("ok")], environ={"OPENAI_ORG_ID": "org-secret"})
    headers = heard.server.requests[0].headers
    assert headers["authorization"] == "Bearer sk-test-0123456789abcdef"
    assert headers["user-agent"].startswith("coder/")
    assert not [name for name in headers if name.startswith("x-stainless")]
    assert "openai-organization" not in headers  # only for OpenAI itself


def test_allowed_tools_narrow_the_choice_without_touching_the_tools() -> None:
    async def ask(client: Client, show: Any) -> None:
        await client.reply(request())
        await client.reply(request(tool_choice=("search",)))

    _, heard = talk([text("a"), text("b")], ask)
    free, narrow = heard.server.bodies()
    assert free["tools"] == narrow["tools"]
    assert narrow["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "search"}],
    }


@BOTH
def test_a_structured_reply_is_asked_for_with_a_strict_schema(api: str, model: str) -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model=model, tools=(), schema=SCHEMA, schema_name="label"))

    reply, heard = talk([structured({"label": "flaky"})], ask, chosen=settings(api=api))
    assert reply.text == '{"label": "flaky"}'
    body = heard.server.bodies()[0]
    form = body["text"]["format"] if api == "responses" else body["response_format"]["json_schema"]
    assert form["schema"] == {**SCHEMA, "additionalProperties": False}
    assert form["strict"] is True


@BOTH
def test_a_cut_short_reply_has_text_but_no_calls(api: str, model: str) -> None:
    answer = reasoning() + text("half a diff") + tool_call("search", {"query": "x"})

    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model=model))

    reply, _ = talk([answer.incomplete()], ask, chosen=settings(api=api))
    assert (reply.finish, reply.text, reply.calls) == ("max_output", "half a diff", ())
    assert [item["type"] for item in reply.items] == ["message"]
    filtered, _ = talk([answer.incomplete("content_filter")], ask, chosen=settings(api=api))
    assert filtered.finish == "content_filter"


@BOTH
def test_a_refusal_is_told_apart_from_an_answer(api: str, model: str) -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model=model))

    reply, _ = talk([refusal("I can't help with that.")], ask, chosen=settings(api=api))
    assert (reply.finish, reply.text) == ("refusal", "I can't help with that.")


def test_an_optional_field_that_the_server_refuses_is_left_out_once_and_for_all() -> None:
    async def ask(client: Client, show: Any) -> None:
        await client.reply(request())
        await client.reply(request())

    _, heard = talk([unsupported("prompt_cache_key"), text("a"), text("b")], ask)
    assert ["prompt_cache_key" in body for body in heard.server.bodies()] == [True, False, False]
    assert "prompt_cache_key" in heard.client.warnings[0]
    assert heard.kinds(UsageRecorded)[0].usage.requests == 1


def test_reasoning_that_the_model_cannot_open_is_left_out() -> None:
    async def ask(client: Client, show: Any) -> Reply:
        reply = await client.reply(request())
        return await client.reply(request(user_message("hello"), *reply.items, user_message("more")))

    sealed = status(400, "The encrypted content could not be verified.", "invalid_encrypted_content")
    reply, heard = talk([reasoning() + text("a"), sealed, text("b")], ask)
    assert reply.text == "b"
    assert [len(body["input"]) for body in heard.server.bodies()] == [1, 4, 3]


def test_reasoning_that_nothing_follows_is_not_kept() -> None:
    reply, _ = talk([reasoning()])
    assert (reply.items, reply.text) == ((), "")


def test_a_required_field_is_never_left_out() -> None:
    _, heard = talk([unsupported("store"), text("never")])
    assert isinstance(heard.error, ApiError)
    assert len(heard.server.requests) == 1


def test_a_fault_in_one_tool_does_not_take_all_tools_away() -> None:
    message = "Invalid schema for function 'search': 'default' is not permitted."
    bad = status(400, message, "invalid_function_parameters", param="tools[0].parameters")

    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model="local-model"))

    _, heard = talk([bad], ask, chosen=settings(api="chat"))
    assert isinstance(heard.error, ApiError)
    assert len(heard.server.requests) == 1


def test_the_next_model_of_the_chain_takes_over_and_that_is_said() -> None:
    chosen = settings(roles={"coder": {"fallback": ("gpt-5.4-nano",)}})
    reply, heard = talk({"gpt-5.4-mini": [not_found("gpt-5.4-mini")], "gpt-5.4-nano": [text("hi")]}, chosen=chosen)
    assert (reply.text, reply.model) == ("hi", "gpt-5.4-nano")
    assert any("going on with gpt-5.4-nano" in warning for warning in heard.client.warnings)


def test_a_structured_reply_that_is_no_json_goes_to_the_next_model() -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(role="triager", model="gpt-5.4-nano", tools=(), schema=SCHEMA))

    chosen = settings(roles={"triager": {"fallback": ("gpt-5.4-mini",)}})
    script = {"gpt-5.4-nano": [text("sure!")], "gpt-5.4-mini": [structured({"label": "x"})]}
    reply, heard = talk(script, ask, chosen=chosen)
    assert reply.text == '{"label": "x"}'
    assert [(usage.role, usage.model) for usage in heard.client.usages] == [
        ("triager", "gpt-5.4-nano"),
        ("triager", "gpt-5.4-mini"),
    ]


@pytest.mark.parametrize("answer", [quota(), status(401, "no", "invalid_api_key")])
def test_no_other_model_is_tried_when_key_or_credit_is_the_problem(answer: Any) -> None:
    _, heard = talk([answer], chosen=settings(roles={"coder": {"fallback": ("gpt-5.4-nano",)}}))
    assert isinstance(heard.error, ApiError)
    assert len(heard.server.requests) == 1


def test_forbidden_is_final() -> None:
    _, heard = talk([forbidden()])
    assert heard.error.code == "unsupported_country_region_territory"


def test_flex_falls_back_to_the_standard_tier_when_it_has_no_room() -> None:
    chosen = settings(roles={"coder": {"tier": "flex"}})
    reply, heard = talk([status(429, "Resource unavailable", "resource_unavailable"), text("ok")], chosen=chosen)
    assert [body.get("service_tier") for body in heard.server.bodies()] == ["flex", None]
    assert reply.tier == "default"


def test_another_tier_than_asked_for_is_said() -> None:
    _, heard = talk([text("ok").tier("default")], chosen=settings(roles={"coder": {"tier": "priority"}}))
    assert any("tier 'default'" in warning for warning in heard.client.warnings)


def test_an_unknown_model_works_without_a_price_and_that_is_said() -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model="gpt-5.4-minni"))

    reply, heard = talk([text("ok")], ask)
    assert reply.usage.usd is None
    assert heard.client.cost_usd is None
    assert heard.kinds(UsageRecorded)[0].session_usd is None
    assert any("did you mean gpt-5.4-mini" in notice.text for notice in heard.kinds(Notice))


def test_an_effort_the_model_does_not_have_becomes_the_nearest() -> None:
    async def ask(client: Client, show: Any) -> None:
        await client.reply(request(effort="max"))

    _, heard = talk([text("ok")], ask)
    assert heard.server.bodies()[0]["reasoning"] == {"effort": "xhigh"}


def test_many_calls_at_once_share_one_client() -> None:
    async def ask(client: Client, show: Any) -> list[Reply]:
        return await asyncio.gather(*(client.reply(request(cache_key=f"k{n}", tools=())) for n in range(20)))

    replies, heard = talk(lambda body: text(body["prompt_cache_key"]), ask)
    assert [reply.text for reply in replies] == [f"k{n}" for n in range(20)]
    assert heard.client.usages[0].requests == 20


def test_importing_the_room_does_not_import_the_sdk() -> None:
    code = "import sys, coder.model; print(sorted({'openai', 'httpx2', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
