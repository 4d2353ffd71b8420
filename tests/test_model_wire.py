"""The pure parts under the client: events out of bytes, waits, schemas, and a history on the Chat dialect."""

import asyncio
import itertools
import json
import math
import random
from email.utils import formatdate
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from msgspec import Struct

from coder.config import Settings
from coder.model import schema_of, strict_schema
from coder.model.chat import Assembly as ChatAssembly
from coder.model.faults import Fault, find_error, from_status
from coder.model.lanes import Lanes
from coder.model.providers import choose_provider, profiles
from coder.model.responses import Assembly
from coder.model.retry import RetryBudget, jitter, parse_retry_after, room_in
from coder.model.sse import BadStream, Decoder
from coder.values import Usage
from tests.fake_openai import text
from tests.model_kit import request, talk

STREAM = (
    ': hello\n\nevent: a\ndata: {"type": "a", "text": "é\u2028\u2029\x85 🎉"}\n\n'
    'data: {"type": "b",\r\ndata:  "n": 1}\r\n\r\nid: 3\nretry: 5\nfoo\n\ndata:{"type":"c"}\n\ndata: [DONE]\n\n'
).encode()
EVENTS = [{"type": "a", "text": "é\u2028\u2029\x85 🎉"}, {"type": "b", "n": 1}, {"type": "c"}, {"type": "[DONE]"}]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_events_survive_a_cut_at_every_byte(cut: int) -> None:
    decoder = Decoder()
    assert decoder.feed(STREAM[:cut]) + decoder.feed(STREAM[cut:]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
@bounded(max_examples=60, deadline=None)
def test_events_survive_any_cutting(cuts: list[int]) -> None:
    decoder, edges = Decoder(), sorted({0, *cuts, len(STREAM)})
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == EVENTS


@given(st.binary(max_size=300))
@bounded(max_examples=100, deadline=None)
def test_any_bytes_are_events_or_a_bad_stream(noise: bytes) -> None:
    decoder = Decoder(max_event_bytes=100)
    try:
        decoder.feed(b"data: " + noise)
        decoder.feed(noise)
    except BadStream:
        pass
    decoder.finish()


def test_a_line_or_a_stream_without_end_is_cut_off() -> None:
    decoder = Decoder(max_event_bytes=1_000)
    with pytest.raises(BadStream):
        for _ in range(20):
            decoder.feed(b"data: " + b"A" * 90)
    decoder = Decoder(max_event_bytes=1_000)
    with pytest.raises(BadStream):
        for _ in range(20):
            decoder.feed(b"data: " + b"A" * 90 + b"\n")
    decoder = Decoder(max_stream_bytes=1_000)
    with pytest.raises(BadStream):
        for _ in range(100):
            decoder.feed(b'data: {"a": 1}\n\n')


def test_the_event_that_a_stream_without_a_last_blank_line_held_counts_if_it_is_whole() -> None:
    whole, half = Decoder(), Decoder()
    assert whole.feed(b'data: {"a": 1}') + whole.finish() == [{"a": 1}]
    assert half.feed(b'data: {"a": 1') + half.finish() == []


WORDS = """item response type id call_id name arguments content text choices delta usage code tool_calls function error
message output_index status input_tokens_details incomplete_details finish_reason refusal index""".split()
KINDS = """response.output_item.done response.completed response.incomplete response.failed error message [DONE]
response.output_text.delta function_call custom_tool_call reasoning stop length""".split()


def noise(draw: random.Random, depth: int = 0) -> Any:
    """Any JSON value, made of the words that events are made of."""
    match draw.randrange(8 if depth < 4 else 4):
        case 0 | 1:
            return draw.choice(KINDS)
        case 2 | 3:
            return draw.choice([None, True, 0, -1, 7, 1.5, "", "{}", '{"a": 1}'])
        case 4:
            return [noise(draw, depth + 1) for _ in range(draw.randrange(3))]
        case _:
            return {draw.choice(WORDS): noise(draw, depth + 1) for _ in range(draw.randrange(6))}


@pytest.mark.parametrize("make", [Assembly, ChatAssembly])
def test_any_events_make_a_reply_or_a_fault(make: Any) -> None:
    draw = random.Random(20261125)
    outcomes = {"reply": 0, "fault": 0}
    for _ in range(4_000):
        assembly = make(request(), lambda _: None)
        try:
            for _ in range(4):
                event = {"type": draw.choice(KINDS), **{word: noise(draw) for word in draw.sample(WORDS, 6)}}
                assembly.take({**event, "item": {"type": draw.choice(KINDS), **_object(noise(draw))}})
            usage = assembly.usage()
            assembly.reply(usage[0] if usage else Usage("coder", "m"))
            outcomes["reply"] += 1
        except Fault:
            outcomes["fault"] += 1
    assert min(outcomes.values()) > 100


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"content": value}


# ── waits ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": formatdate(1_000_030, usegmt=True)}, 30),
        ({"retry-after": "Thu, 99 Foo 2026 00:00:00 GMT"}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, 1_000_000) == seconds


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"), [("0", "6m0s", 360), ("0", "120ms", 0.12), ("0", "soon", 0), ("3", "1h", 0)]
)
def test_rate_limit_headers_say_when_there_is_room(remaining: str, reset: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": reset}
    assert room_in(headers) == pytest.approx(seconds)


def test_jitter_grows_to_a_ceiling_and_no_further() -> None:
    assert [jitter(attempt, lambda _, high: high) for attempt in (1, 2, 3, 6, 7, 99)] == [0.5, 1, 2, 16, 20, 20]
    assert all(0 <= jitter(attempt) <= 20 for attempt in range(1, 30))


def test_the_waits_of_a_run_never_exceed_its_budget() -> None:
    draw, now = random.Random(1), 0.0
    budget = RetryBudget(10, clock=lambda: now)
    waited = 0.0
    while (wait := budget.take(draw.uniform(0, 4))) is not None:
        now += wait
        waited += wait
    assert math.isclose(waited, 10)
    budget.renew()
    assert budget.take(3) == 3


def test_waits_at_the_same_time_count_once() -> None:
    budget = RetryBudget(10, clock=lambda: 0.0)
    assert [budget.take(4), budget.take(3), budget.take(4)] == [4, 4 - 1, 4]
    assert budget.left == 6


def test_a_wish_that_does_not_fit_is_not_begun() -> None:
    budget = RetryBudget(10, clock=lambda: 0.0)
    assert budget.take(11, at_least=11) is None
    assert budget.take(12, at_least=9) == 10


# ── schemas and errors ───────────────────────────────────────────────────────────────────────────


def test_the_schema_of_a_type_is_strict() -> None:
    class Inner(Struct):
        path: str
        line: int = 0

    class Outer(Struct, kw_only=True):
        """A card."""

        kind: Literal["a", "b"] = "a"
        inner: list[Inner]
        note: str | None = None
        one: Inner | None = None

    schema = schema_of(Outer)

    async def ask(client: Any, show: Any) -> None:
        await client.reply(request(tools=(), schema=schema, schema_name="card"))

    _, heard = talk([text("{}")], ask)
    assert heard.server.refusals == []
    assert schema["required"] == ["kind", "inner", "note", "one"]
    assert strict_schema(schema) == schema


def test_messages_of_errors_are_one_safe_line() -> None:
    body = json.dumps({"error": {"message": "bad\x1b[31m\nkey sk-abcdefghijklmnopqrstuvwx \u202e" + "x" * 5_000}})
    message = from_status(400, {}, body, 0).message
    assert "sk-abc" not in message
    assert message.isprintable()
    assert len(message) < 400


def test_an_error_without_words_still_has_its_status() -> None:
    assert from_status(400, {}, b"", 0).message == "HTTP 400"
    assert find_error({"response": {"error": None, "status": "failed"}})["code"] == ""


# ── providers ────────────────────────────────────────────────────────────────────────────────────


def test_every_listed_provider_is_usable() -> None:
    for name, profile in profiles().items():
        provider = choose_provider(Settings(provider=name), {profile["api_key_env"]: "k" * 20})
        assert provider.api in ("responses", "chat")
        assert provider.needs_key is False
        assert "kkkk" not in repr(provider)


def test_a_listed_host_brings_its_quirks_along() -> None:
    provider = choose_provider(Settings(), {"OPENAI_BASE_URL": "https://api.mistral.ai/v1/", "OPENAI_API_KEY": "k"})
    assert (provider.name, provider.api) == ("mistral", "chat")
    assert "max_tokens" in provider.quirks


def test_settings_win_over_the_environment() -> None:
    environ = {"OPENAI_BASE_URL": "https://a.example/v1", "MY_KEY": "secret-key"}
    provider = choose_provider(Settings(base_url="https://b.example/v1", api_key_env="MY_KEY", api="chat"), environ)
    assert (provider.host, provider.key, provider.api) == ("b.example", "secret-key", "chat")


def test_regional_endpoints_cost_a_tenth_more() -> None:
    provider = choose_provider(Settings(), {"OPENAI_BASE_URL": "https://eu.api.openai.com/v1"})
    assert provider.price_factor == 1.1
    assert provider.needs_key


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.7", "ollama", "box.local"])
def test_ones_own_servers_need_no_key(host: str) -> None:
    assert not choose_provider(Settings(base_url=f"http://{host}:8000/v1"), {}).needs_key


# ── lanes ────────────────────────────────────────────────────────────────────────────────────────


async def most_at_once(lanes: Lanes, calls: int = 20) -> int:
    """How many of `calls` were under way at the same time."""
    under_way, most = 0, 0

    async def call() -> None:
        nonlocal under_way, most
        async with lanes:
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(call() for _ in range(calls)))
    return most


def test_a_refusal_halves_the_calls_under_way_and_answers_bring_them_back() -> None:
    async def live() -> list[int]:
        lanes, seen = Lanes(8), []
        for refusals, answers in ((0, 0), (2, 0), (0, 5), (9, 0)):
            for _ in range(refusals):
                lanes.refused()
            for _ in range(answers):
                lanes.answered({})
            seen.append(await most_at_once(lanes))
        return seen

    assert asyncio.run(live()) == [8, 2, 3, 1]


@pytest.mark.parametrize(("left", "most"), [("3", 3), ("0", 1), ("5000", 8), ("many", 8)])
def test_no_more_calls_are_under_way_than_the_rate_limit_has_left(left: str, most: int) -> None:
    lanes = Lanes(8)
    lanes.answered({"x-ratelimit-remaining-requests": left})
    assert asyncio.run(most_at_once(lanes)) == most
