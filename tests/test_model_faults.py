"""Every way a server can fail, within bounded time: what is retried, what is not, and what the user is told."""

import asyncio
import itertools
import json
import re
import time
from email.utils import formatdate
from typing import Any

import pytest

from coder.errors import ApiError, Exit, TemporaryApiError
from coder.events import RetryWaiting, StepAbandoned, UsageRecorded
from coder.model import TOO_LONG, Client, Reply
from tests.fake_openai import (
    Answer,
    Failure,
    empty,
    forbidden,
    forever,
    gzip_bomb,
    html,
    huge_json,
    not_found,
    quota,
    rate_limited,
    reasoning,
    redirect,
    server_error,
    status,
    text,
    too_large,
    too_long,
    tool_call,
    unauthorized,
)
from tests.model_kit import QUICK, request, settings, talk

KEY = "sk-test-0123456789abcdef"
NAMELESS = {"type": "response.output_item.done", "output_index": 9,
            "item": {"type": "function_call", "name": "search", "arguments": "{}"}}  # fmt: skip
FINAL = {
    "401": unauthorized(KEY),
    "403": forbidden(),
    "404": not_found(),
    "400": status(400, "Invalid 'input'", "invalid_prompt"),
    "quota": quota(),
    "quota in the type": status(429, "no credit", None, "insufficient_quota"),
    "too long": too_long(),
    "too large for the rate": too_large(),
    "redirect": redirect("http://127.0.0.1:1/elsewhere"),
    "a page instead of a stream": html(200),
    "one object instead of a stream": huge_json(200, megabytes=1),
    "compressed": gzip_bomb(200),
    "policy": text("").failed("invalid_prompt"),
    "quota in the stream": text("").error("insufficient_quota"),
    "too long in the stream": text("").error("context_length_exceeded", nested=False),
}
PASSING = {
    "408": status(408),
    "409": status(409),
    "429": rate_limited(),
    "429 at once": rate_limited("0"),
    "429 with nonsense": rate_limited("soon"),
    "429 with a date gone by": rate_limited(formatdate(0, usegmt=True)),
    "500": server_error(),
    "503": server_error(503),
    "html 502": html(502),
    "a bomb as an error": gzip_bomb(500),
    "50 MB as an error": huge_json(500),
    "an empty body": empty(),
    "cut before the first event": text("hi").cut(0),
    "cut in the middle": (text("hi") + tool_call("search", {"query": "x"})).cut(6),
    "reset in the middle": text("hi").cut(5, abrupt=True),
    "cut before the last event": (text("hi") + tool_call("search", {"query": "x"})).unfinished(),
    "malformed": text("hi").malformed(4),
    "nested without end": text("hi").inject(3, f"data: {'[' * 100_000}\n\n"),
    "not an object": text("hi").inject(3, "data: 7\n\n"),
    "only [DONE]": empty(200),
    "failed": text("hi").failed("server_error"),
    "failed for the rate": text("hi").failed("rate_limit_exceeded"),
    "error, flat": text("hi").error(nested=False),
    "error, nested": text("hi").error(nested=True),
    "a call without an id": text("hi").inject(2, NAMELESS),
    "a call twice": tool_call("search", {"query": "x"}, "call_a") + tool_call("search", {"query": "y"}, "call_a"),
}  # fmt: skip


STALLING = {
    "no first event": text("hi").stall(0, 30),
    "no headers": text("hi").late(30),
    "stalled in the middle": text("hi").stall(5, 30),
    "one byte at a time": text("hi" * 200).drip(0.02),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_waiting_cannot_mend_is_asked_once(name: str) -> None:
    reply, heard = talk([FINAL[name], text("never")])
    assert reply is None
    assert len(heard.server.requests) == 1
    assert isinstance(heard.error, ApiError)
    assert heard.error.exit == (Exit.LIMIT if "too long" in name else Exit.API)
    assert heard.error.hint
    assert heard.kinds(RetryWaiting) == []
    assert KEY not in f"{heard.error.message} {heard.error.hint}"
    assert heard.seconds < 10


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_again_and_then_works(name: str) -> None:
    reply, heard = talk([PASSING[name], text("in the end")], chosen=settings(retry_budget=5.0))
    assert isinstance(reply, Reply), heard.error
    assert reply.text == "in the end"
    assert len(heard.server.requests) == 2
    assert [waiting.attempt for waiting in heard.kinds(RetryWaiting)] == [1]


@pytest.mark.parametrize("name", STALLING)
def test_silence_is_cut_off_and_the_call_tried_again(name: str) -> None:
    script = itertools.chain([STALLING[name]], forever(text("in the end")))
    reply, heard = talk(script, chosen=settings(retry_budget=5.0), timeouts=QUICK)
    assert reply.text == "in the end"
    assert len(heard.server.requests) >= 2
    assert heard.seconds < 10


@pytest.mark.parametrize("name", ["429", "500", "html 502", "cut in the middle", "an empty body", "malformed"])
def test_what_never_passes_ends_within_the_retry_budget(name: str) -> None:
    _, heard = talk(forever(PASSING[name]), chosen=settings(retry_budget=0.3))
    assert isinstance(heard.error, TemporaryApiError)
    assert heard.error.exit == Exit.TEMPORARY
    assert sum(waiting.seconds for waiting in heard.kinds(RetryWaiting)) <= 0.3 + 1e-9
    assert 1 < len(heard.server.requests) <= 12
    assert heard.seconds < 10


def test_no_retry_budget_means_one_try() -> None:
    _, heard = talk(forever(server_error()), chosen=settings(retry_budget=0))
    assert heard.error.exit == Exit.TEMPORARY
    assert len(heard.server.requests) == 1


def test_retry_after_is_honoured_and_shown() -> None:
    reply, heard = talk([rate_limited("0.4"), text("ok")], chosen=settings(retry_budget=2.0))
    assert reply.text == "ok"
    first, second = heard.server.requests
    assert 0.4 <= second.at - first.at < 2
    assert heard.kinds(RetryWaiting)[0].seconds >= 0.4


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_beyond_the_budget_is_not_begun(form: str) -> None:
    wish = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    _, heard = talk([rate_limited(wish), text("never")], chosen=settings(retry_budget=1.0))
    assert isinstance(heard.error, TemporaryApiError)
    assert re.search(r"asks to wait 3[56]\d\d s", heard.error.message)
    assert heard.seconds < 10


def test_a_429_holds_back_every_call_of_the_session() -> None:
    async def ask(client: Client, show: Any) -> None:
        await client.reply(request())
        first = asyncio.create_task(client.reply(request(cache_key="a")))
        await asyncio.sleep(0.2)
        await asyncio.gather(first, client.reply(request(cache_key="b")))

    _, heard = talk([text("ok"), rate_limited("0.6"), text("ok"), text("ok")], ask, chosen=settings(retry_budget=3.0))
    at = [seen.at for seen in heard.server.requests]
    assert min(at[2:]) - at[1] >= 0.6


def test_a_used_up_rate_limit_is_waited_for_without_meeting_it() -> None:
    async def ask(client: Client, show: Any) -> None:
        await client.reply(request())
        await client.reply(request())

    full = text("ok").with_headers(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="400ms")
    _, heard = talk([full, text("ok")], ask, chosen=settings(retry_budget=3.0))
    first, second = heard.server.requests
    assert second.at - first.at >= 0.4
    assert heard.kinds(RetryWaiting)[0].attempt == 0


def test_text_already_shown_is_taken_back() -> None:
    answer = text("this will not stand at all")
    reply, heard = talk([answer.cut(6), text("this will")], chosen=settings(retry_budget=2.0))
    assert reply.text == "this will"
    assert len(heard.kinds(StepAbandoned)) == 1
    kinds = [type(event) for event in heard.events]
    assert kinds.index(StepAbandoned) < kinds.index(RetryWaiting)


def test_nothing_of_a_cut_reply_comes_back() -> None:
    answer = reasoning() + tool_call("search", {"query": "half"}) + text("half")
    reply, _ = talk([answer.unfinished(), tool_call("search", {"query": "whole"})], chosen=settings(retry_budget=2.0))
    assert [call.arguments for call in reply.calls] == ['{"query": "whole"}']
    assert len(reply.items) == 1


def test_events_out_of_order_twice_or_unknown_do_not_matter() -> None:
    answer = (reasoning() + text("hello") + tool_call("search", {"query": "x"})).inject(
        1, {"type": "response.new_thing", "x": 1}
    )
    again = {"type": "response.output_item.done", "output_index": 0, "item": answer.items[0], "sequence_number": 1}
    reply, heard = talk([answer.inject(8, again).inject(2, ": a comment\n\n").inject(3, "event: lonely\n\n")])
    assert reply.items == answer.items
    assert heard.kinds(RetryWaiting) == []


def test_a_completed_reply_without_items_is_an_empty_reply() -> None:
    reply, _ = talk([text("")])
    assert (reply.text, reply.calls) == ("", ())
    reply, _ = talk([Answer()])
    assert (reply.text, reply.calls, reply.items) == ("", (), ())


@pytest.mark.parametrize("at", [0, 280])
def test_a_key_of_any_form_that_the_server_repeats_is_not_shown(at: int) -> None:
    key = "my-own-gateway-password"
    for answer in (status(401, "x" * at + f" wrong key {key}"), text("").error("invalid_prompt", f"wrong key {key}")):
        _, heard = talk([answer], environ={"OPENAI_API_KEY": key})
        assert "gateway" not in f"{heard.error.message}{heard.error.hint}{heard.events}"


def test_too_long_has_a_code_to_shrink_by() -> None:
    said = "request (97227 tokens) exceeds the available context size (8192 tokens), try increasing it"
    llamacpp = json.dumps({"error": {"code": 400, "message": said, "type": "exceed_context_size_error"}}).encode()
    for answer in (too_long(), too_large(), text("").error("context_length_exceeded"), Failure(400, llamacpp)):
        _, heard = talk([answer])
        assert heard.error.code in TOO_LONG


def test_errors_of_other_makers_are_understood() -> None:
    bodies = {
        b'{"error": "model \\"x\\" not found"}': "not found",
        b'[{"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}]': "no such model",
        b'{"object": "error", "message": "This is gone", "code": 404}': "This is gone",
        b'{"detail": [{"loc": ["body"], "msg": "bad"}]}': "bad",
        b"[" * 10_000: "HTTP 404",
    }
    for body, said in bodies.items():
        _, heard = talk([Failure(404, body)])
        assert said in heard.error.message


def test_cancelling_is_immediate_and_books_the_worst_case() -> None:
    async def ask(client: Client, show: Any) -> float:
        speaking = asyncio.Event()
        call = asyncio.create_task(client.reply(request(max_output=1000), lambda _: speaking.set()))
        await speaking.wait()
        begun = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return time.monotonic() - begun

    seconds, heard = talk([text("hello world").stall(5, 5)], ask)
    assert seconds < 1
    usage = heard.kinds(UsageRecorded)[0].usage
    assert (usage.estimated, usage.output_tokens) == (True, 1000)
    assert heard.kinds(StepAbandoned)
    assert heard.client.cost_usd == usage.usd > 0


def test_cancelling_a_wait_between_tries_is_immediate_and_costs_nothing() -> None:
    waiting = asyncio.Event()

    async def ask(client: Client, show: Any) -> float:
        call = asyncio.create_task(client.reply(request()))
        await waiting.wait()
        begun = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return time.monotonic() - begun

    seconds, heard = talk(
        [rate_limited("30")],
        ask,
        chosen=settings(retry_budget=60),
        on_event=lambda event: waiting.set() if isinstance(event, RetryWaiting) else None,
    )
    assert seconds < 1
    assert heard.client.cost_usd == 0
