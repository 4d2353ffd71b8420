"""Prices to the cent, and budgets that parallel calls never overshoot."""

import asyncio
import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coder.errors import Exit, LimitReached, UserError
from coder.model import Catalog, Client, Reply
from coder.store import Places
from coder.values import Usage
from tests.fake_openai import forever, text
from tests.model_kit import request, settings, talk

CATALOG = Catalog.load()
# model, tier, input, cached, output tokens, price in USD worked out by hand from the provider's price page
RECORDED = [
    ("gpt-5.4-mini", "default", 272_000, 0, 0, "0.204"),
    ("gpt-5.4-mini", "default", 272_000, 272_000, 0, "0.0204"),
    ("gpt-5.4-mini", "default", 12_345, 10_240, 1_987, "0.01128825"),
    ("gpt-5.4-mini", "flex", 12_345, 10_240, 1_987, "0.005644125"),
    ("gpt-5.4-mini", "priority", 12_345, 10_240, 1_987, "0.0225765"),
    ("gpt-5.4-mini-2026-03-17", "default", 1_000_000, 0, 1_000_000, "5.25"),
    ("gpt-5.4-nano", "default", 272_000, 0, 0, "0.0544"),
    ("gpt-5.4-nano", "auto", 8_001, 1_024, 333, "0.00183213"),
    ("gpt-5.4-nano", "flex", 8_001, 1_024, 333, "0.000916065"),
    ("gpt-6-luna", "default", 300_000, 0, 1_000, "0.06075"),
]


@pytest.mark.parametrize(("model", "tier", "given", "cached", "output", "usd"), RECORDED)
def test_prices_are_exact(model: str, tier: str, given: int, cached: int, output: int, usd: str) -> None:
    price = CATALOG.get(model).price(Usage("coder", model, 1, given, cached, 0, output), tier)
    assert price is not None
    assert abs(Decimal(price) - Decimal(usd)) < Decimal("1e-12")


def test_a_tier_that_is_not_offered_has_no_price() -> None:
    assert CATALOG.get("gpt-5.4-nano").price(Usage("coder", "n", 1, 1, 0, 0, 1), "priority") is None


def test_storing_in_the_cache_costs_where_the_model_charges_for_it() -> None:
    usage = Usage("coder", "gpt-6-luna", 1, 1_000, 0, 0, 0)
    assert CATALOG.get("gpt-6-luna").price(usage, "default", 1_000) == pytest.approx(1.25 * 0.0001)
    assert CATALOG.get("gpt-5.4-mini").price(usage, "default", 1_000) == pytest.approx(0.00075)


def test_the_bill_goes_by_the_tier_that_the_server_says_it_used() -> None:
    answer = text("ok").using(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000)
    for tier, usd in {"default": 0.0093, "flex": 0.00465, "priority": 0.0186}.items():
        reply, heard = talk([answer.tier(tier)])
        assert reply.usage.usd == pytest.approx(usd, abs=1e-12)
        assert heard.client.cost_usd == reply.usage.usd


def test_figures_that_contradict_each_other_are_bounded() -> None:
    reply, _ = talk([text("ok").using(input_tokens=10, cached_tokens=50, output_tokens=3, reasoning_tokens=9)])
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens) == (10, 10, 3, 3)


@pytest.mark.parametrize("figures", [{"input_tokens": 0}, {"output_tokens": -3}, {"input_tokens": 10**30}], ids=str)
def test_figures_that_cannot_be_true_are_booked_as_if_none_had_come(figures: dict[str, int]) -> None:
    reply, heard = talk([text("ok").using(**figures)])
    worst = CATALOG.get("gpt-5.4-mini").price(Usage("", "", 1, 0, 0, 0, reply.usage.output_tokens))
    assert reply.usage.estimated
    assert heard.client.cost_usd is not None and worst is not None
    assert heard.client.cost_usd > worst > 0.01


def test_a_user_overrides_and_adds_models(tmp_path: Path) -> None:
    own = """
        [models."gpt-5.4-mini"]
        prices.default = [1, 0.5, 2]
        [models."mine"]
        context = 8192
        max_input = 6000
        max_output = 2048
    """
    (tmp_path / "models.toml").write_text(own)
    catalog = Catalog.load(tmp_path)
    assert catalog.get("gpt-5.4-mini").price(Usage("", "", 1, 1_000_000, 0, 0, 0)) == 1
    assert catalog.get("gpt-5.4-mini").max_input == 272_000
    assert (catalog.get("mine").max_input, catalog.get("mine").known) == (6_000, True)


@pytest.mark.parametrize(
    "table",
    [
        "context = -1",
        "context = 1.5",
        "contxt = 3",
        "max_input = true",
        "prices = 7",
        "prices.default = [1, 2]",
        "prices.default = [1, 2, inf]",
        'shutdown_date = "soon"',
        "efforts = 3",
        "long_factors = [1]",
    ],
)
def test_a_bad_models_file_names_the_model(table: str, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(f'[models."mine"]\n{table}\n')
    with pytest.raises(UserError, match="mine"):
        Catalog.load(tmp_path)


def test_the_end_of_a_model_is_announced() -> None:
    nano = CATALOG.get("gpt-5.4-nano")
    said = {
        day: nano.notices(datetime.date.fromisoformat(day))
        for day in ("2026-06-01", "2026-11-25", "2027-03-20", "2027-04-01")
    }
    assert [[notice.level for notice in notices] for notices in said.values()] == [
        [],
        ["info"],
        ["warning"],
        ["warning"],
    ]
    assert "2027-04-01" in said["2027-03-20"][0].text


def test_a_call_that_could_cost_too_much_is_not_sent() -> None:
    _, heard = talk([text("never")], chosen=settings(limits={"max_cost": 0.01}))
    assert isinstance(heard.error, LimitReached)
    assert heard.error.exit == Exit.LIMIT
    assert heard.server.requests == []
    assert heard.client.cost_usd == 0


def test_a_limit_lowers_the_output_before_it_stops_the_work() -> None:
    reply, heard = talk([text("ok")], chosen=settings(limits={"max_cost": 0.1}))
    assert reply.text == "ok"
    body = heard.server.bodies()[0]
    assert 8_000 <= body["max_output_tokens"] < 22_222
    assert body["service_tier"] == "default"  # a project's default tier could cost double


@pytest.mark.parametrize(("tokens", "fits"), [(73_333, True), (73_334, False)])
def test_the_exact_count_of_the_caller_decides(tokens: int, fits: bool) -> None:
    """73,333 tokens in at 0.75 and 10,000 out at 4.50 a million are just below ten cents."""

    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(max_output=10_000, input_tokens=tokens))

    _, heard = talk([text("ok")], ask, chosen=settings(limits={"max_cost": 0.1}))
    assert (heard.server.bodies()[0]["max_output_tokens"] == 10_000) == fits


def test_a_counter_is_asked_once_for_each_piece() -> None:
    counted: list[str] = []

    def count(piece: str) -> int:
        counted.append(piece)
        return len(piece) // 4

    async def ask(client: Client, show: Any) -> None:
        await client.reply(request())
        await client.reply(request())

    talk([text("a"), text("b")], ask, count=count)
    assert counted == []  # without a limit nothing waits for a count
    talk([text("a"), text("b")], ask, count=count, chosen=settings(limits={"max_cost": 1.0}))
    assert len(counted) == len(set(counted)) == 4  # instructions, tools, no schema, one message


def test_parallel_calls_never_overshoot_and_wait_for_each_other() -> None:
    answer = text("ok").using(input_tokens=1_000, output_tokens=9_000)  # 0.04125 each; at worst 0.0458

    async def ask(client: Client, show: Any) -> list[Any]:
        calls = (client.reply(request(cache_key=f"k{n}", max_output=10_000, input_tokens=1_000)) for n in range(12))
        return await asyncio.gather(*calls, return_exceptions=True)

    replies, heard = talk(forever(answer), ask, chosen=settings(limits={"max_cost": 0.2}))
    done = [reply for reply in replies if isinstance(reply, Reply)]
    assert {type(reply) for reply in replies} == {Reply, LimitReached}
    assert len(done) == len(heard.server.requests) == 4
    assert heard.client.cost_usd == pytest.approx(4 * 0.04125)
    assert heard.client.cost_usd <= 0.2


def test_failed_tries_count_before_the_next_one() -> None:
    """A cut stream may have been charged: it is booked at its worst, and the next try must fit beside it."""
    cut = text("half").cut(5)
    _, heard = talk(forever(cut), chosen=settings(retry_budget=5.0, limits={"max_cost": 0.35}))
    assert isinstance(heard.error, LimitReached)
    assert len(heard.server.requests) <= 3
    assert heard.client.cost_usd <= 0.35


def test_a_resumed_session_and_the_whole_day_count(tmp_path: Path) -> None:
    places = Places(tmp_path / "c", tmp_path / "s", tmp_path / "k")
    dear = text("ok").using(input_tokens=100_000, output_tokens=10_000)  # 0.12
    for session, limits, fits in (
        ("a", {"max_cost": 0.3}, True),
        ("a", {"max_cost": 0.15}, False),
        ("b", {"max_cost": 0.15}, True),
        ("c", {"max_cost_per_day": 0.25}, False),
    ):
        reply, heard = talk([dear], chosen=settings(limits=limits), places=places, session=session)
        assert (reply is not None) == fits, (session, heard.error)


def test_a_limit_needs_a_price() -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(model="local-model"))

    _, heard = talk([text("never")], ask, chosen=settings(limits={"max_cost": 1.0}))
    assert isinstance(heard.error, UserError)
    assert "models.toml" in heard.error.hint
    assert heard.server.requests == []
