"""The Chat Completions dialect and the servers that speak it, each in its own way."""

import itertools
import json
from typing import Any

import pytest

from coder.config import Settings
from coder.events import RetryWaiting
from coder.model import Client, Reply, assistant_message, user_message
from coder.model.chat import body, free_text, messages
from tests.fake_openai import Answer, FakeOpenAI, free_text_call, reasoning, status, text, tool_call, unsupported
from tests.model_kit import QUICK, answer_calls, request, settings, talk

CHAT = settings(api="chat", retry_budget=5.0)
NONE: frozenset[str] = frozenset()
TWO = text("Two at once.") + tool_call("search", {"query": "a"}) + free_text_call("apply_patch", "*** Begin\n+ü\n")
QUIRKS = ["no_ids", "no_index", "zero_index", "whole_calls", "usage_everywhere", "no_usage", "role_everywhere"]
QUIRKS += ["no_done", "reasoning", "reasoning_content"]
PLAIN = frozenset({"max_tokens", "no_effort", "no_strict", "no_stream_usage"})
HISTORY = (
    user_message("go"),
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    assistant_message("I look."),
    {"type": "function_call", "call_id": "c1", "name": "search", "arguments": '{"query": "x"}'},
    {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** é"},
    {"type": "function_call_output", "call_id": "c1", "output": "found"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "applied"},
    user_message("more"),
)


def ask(script: Any, chosen: Settings = CHAT, turns: int = 1, **kit: Any) -> tuple[list[Reply], Any]:
    async def converse(client: Client, show: Any) -> list[Reply]:
        history, replies = (user_message("go"),), []
        for _ in range(turns):
            replies.append(await client.reply(request(*history, model="local-model"), show))
            history += answer_calls(replies[-1])
        return replies

    return talk(script, converse, chosen=chosen, **kit)


def test_the_history_becomes_messages_and_one_reply_one_message() -> None:
    assert messages(request(*HISTORY), NONE, with_tools=True) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}},
                {
                    "id": "c2",
                    "type": "function",
                    "function": {"name": "apply_patch", "arguments": '{"input": "*** é"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "tool", "tool_call_id": "c2", "content": "applied"},
        {"role": "user", "content": "more"},
    ]


def test_reasoning_goes_back_only_where_it_is_wanted() -> None:
    wanted = messages(request(*HISTORY), frozenset({"return_reasoning"}), with_tools=True)
    assert wanted[2]["reasoning_content"] == "hm"
    assert "reasoning_content" not in messages(request(*HISTORY), NONE, with_tools=True)[2]


def test_a_model_without_tools_reads_the_calls_as_text() -> None:
    told = body(request(*HISTORY), effort="low", quirks=frozenset({"no_tools"}))
    assert "tools" not in told
    assert [message["role"] for message in told["messages"]] == ["system", "user", "assistant", "user", "user", "user"]
    assert "*** é" in told["messages"][2]["content"]


def test_foreign_servers_never_get_what_only_one_provider_knows() -> None:
    sent = body(request(), effort="low", quirks=NONE)
    assert not sent.keys() & {"store", "include", "prompt_cache_key", "service_tier", "text", "reasoning", "input"}
    assert body(request(), effort="low", quirks=PLAIN) == {
        "model": "gpt-5.4-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "tools": [{"type": "function", "function": {k: v for k, v in tool["function"].items() if k != "strict"}}
                  for tool in sent["tools"]],
        "stream": True,
        "max_tokens": 32_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    "quirks", [*((quirk,) for quirk in QUIRKS), *itertools.combinations(QUIRKS[:4], 2), tuple(QUIRKS[:4])]
)
def test_calls_are_put_together_whatever_the_server_leaves_out(quirks: tuple[str, ...]) -> None:
    replies, heard = ask([(reasoning("thinking") + TWO).with_quirks(*quirks), text("done")], turns=2)
    first = replies[0]
    assert [(call.name, call.arguments) for call in first.calls] == [
        ("search", '{"query": "a"}'),
        ("apply_patch", "*** Begin\n+ü\n"),
    ]
    assert len({call.call_id for call in first.calls}) == 2
    assert all(call.call_id for call in first.calls)
    assert first.text == "Two at once."
    assert heard.server.refusals == []
    assert first.usage.estimated == ("no_usage" in quirks)


def test_usage_and_cached_tokens_are_read() -> None:
    replies, _ = ask([text("ok").using(input_tokens=100, cached_tokens=60, output_tokens=20, reasoning_tokens=5)])
    usage = replies[0].usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens) == (100, 60, 20, 5)


def test_the_same_id_in_two_turns_is_made_another() -> None:
    call = tool_call("search", {"query": "x"}, "call_0")
    replies, heard = ask([call, call, text("done")], turns=3)
    assert replies[0].calls[0].call_id != replies[1].calls[0].call_id
    assert heard.server.refusals == []


def test_broken_arguments_do_not_poison_the_history() -> None:
    replies, heard = ask([tool_call("search", '{"query": '), text("done")], turns=2)
    assert replies[0].calls[0].arguments == '{"query": '
    sent = heard.server.bodies()[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"input": '{"query": '}
    assert heard.server.refusals == []


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ('{"input": "a"}', "a"),
        ('{"patch": "a"}', "a"),
        ('"a"', "a"),
        ("*** Begin", "*** Begin"),
        ('{"input": 3}', '{"input": 3}'),
        ("", ""),
    ],
)
def test_free_text_is_found_in_whatever_the_model_wrote(arguments: str, meant: str) -> None:
    assert free_text(arguments) == meant


@pytest.mark.parametrize(
    "answer",
    [
        TWO.cut(4),
        TWO.cut(4, abrupt=True),
        TWO.unfinished(),
        TWO.malformed(3),
        TWO.error("server_error"),
        TWO.error("503"),
        TWO.inject(2, {"error": {"code": 502, "message": "upstream"}}),
    ],
)
def test_a_broken_stream_is_tried_again_and_nothing_of_it_stays(answer: Answer) -> None:
    replies, heard = ask([answer, text("whole")])
    assert (replies[0].text, replies[0].calls) == ("whole", ())
    assert len(heard.kinds(RetryWaiting)) == 1


def test_a_whole_reply_is_kept_when_only_its_figures_are_missing() -> None:
    answer = TWO.with_quirks("no_done").stall(len("xxxxxxxxxx"), 0)
    replies, _ = ask([answer])
    assert len(replies[0].calls) == 2
    stalled = text("hi").with_quirks("no_usage").stall(3, 30)  # after the finish reason, before [DONE]
    replies, heard = ask([stalled], timeouts=QUICK)
    assert replies[0].text == "hi"
    assert heard.seconds < 10


@pytest.mark.parametrize("field", ["stream_options", "reasoning_effort", "response_format", "max_completion_tokens"])
def test_a_field_the_server_does_not_know_is_left_out(field: str) -> None:
    async def converse(client: Client, show: Any) -> Reply:
        schema = {"type": "object", "properties": {}}
        return await client.reply(request(model="local-model", tools=(), schema=schema))

    reply, heard = talk([unsupported(field), text("{}")], converse, chosen=CHAT)
    assert reply.text == "{}"
    before, after = heard.server.bodies()
    assert (field in before, field in after) == (True, False)
    assert "max_tokens" in after or "max_completion_tokens" in after  # one of them bounds the bill


def test_a_model_that_cannot_call_tools_works_by_text() -> None:
    replies, heard = ask([status(400, "registry.ollama.ai/library/gemma does not support tools"), text("```diff\n```")])
    assert replies[0].text.startswith("```diff")
    assert "tools" not in heard.server.bodies()[1]


def test_a_named_provider_of_the_user_is_used_with_its_key_and_quirks() -> None:
    with FakeOpenAI([text("ok")], key="secret-key-123") as server:
        own = {"base_url": server.base_url, "api_key_env": "MINE", "api": "chat", "quirks": ("max_tokens",)}
        chosen = settings(provider="mine", providers={"mine": own})
        replies, _ = ask([], chosen, environ={"MINE": "secret-key-123"})
        assert replies[0].text == "ok"
        assert "max_tokens" in server.bodies()[0]


def test_a_session_can_go_on_in_the_other_dialect() -> None:
    async def converse(client: Client, show: Any) -> Reply:
        return await client.reply(request(*HISTORY))

    reply, heard = talk([text("ok")], converse)
    assert reply.text == "ok"
    assert heard.server.refusals == []
