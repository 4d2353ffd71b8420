"""Every call in the ledger, totals by everything, and a ledger that never stops work."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coder.errors import LimitReached
from coder.events import Notice, UsageRecorded
from coder.model import Catalog, Client, Ledger, Reply
from coder.model.budget import Budget
from coder.model.ledger import Call, start_of_day
from coder.store import Places
from coder.values import Usage
from tests.fake_openai import FakeOpenAI, forever, server_error, text
from tests.model_kit import request, settings, talk

CATALOG = Catalog.load()


def test_every_try_is_in_the_ledger(tmp_path: Path) -> None:
    places = Places(tmp_path / "c", tmp_path / "s", tmp_path / "k")
    answer = text("ok").using(input_tokens=1_000, cached_tokens=500, output_tokens=100)
    talk([server_error(), text("x").cut(4), answer], chosen=settings(retry_budget=5.0), places=places, repository="/r")
    rows = (
        sqlite3.connect(places.state / "ledger.sqlite")
        .execute(
            "SELECT role, model, repository, tier, status, attempt, estimated, round(usd, 9) FROM calls ORDER BY id"
        )
        .fetchall()
    )
    refused, cut, done = rows
    assert refused == ("coder", "gpt-5.4-mini", "/r", "default", "500", 1, 0, 0)
    assert cut[4:7] == ("cut", 2, 1)
    assert cut[7] > 0.144
    assert done == ("coder", "gpt-5.4-mini", "/r", "default", "ok", 3, 0, 0.0008625)


def test_totals_by_everything_and_what_the_main_model_would_have_cost(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    now = time.time()
    for number, (session, role, model, usd) in enumerate(
        [("a", "coder", "gpt-5.4-mini", 0.75), ("a", "triager", "gpt-5.4-nano", 0.2), ("b", "coder", "unknown", None)]
    ):
        call = Call(now - number, session, "/r", role, model, "default", 1_000_000, 0, 0, 0, usd, latency_s=1)
        ledger.finish(ledger.begin(call), call)
    by_session = {total.key: total for total in ledger.totals("session", main=CATALOG.get("gpt-5.4-mini"))}
    assert (by_session["a"].usd, by_session["a"].main_usd, by_session["a"].requests) == (0.95, 1.5, 2)
    assert (by_session["b"].usd, by_session["b"].unpriced) == (0, 1)
    assert [total.key for total in ledger.totals("role")] == ["coder", "triager"]
    assert [total.key for total in ledger.totals("model", session="a")] == ["gpt-5.4-mini", "gpt-5.4-nano"]
    assert len(ledger.totals("day", since=start_of_day(now))) >= 1
    assert ledger.totals("repository")[0].input_tokens == 3_000_000
    assert ledger.spent(session="a") == (0.95, 0)
    assert ledger.spent(session="b") == (0.0, 1)


def test_totals_need_nothing_but_the_path(tmp_path: Path) -> None:
    call = Call(time.time(), "a", "/r", "coder", "gpt-5.4-mini", input_tokens=10, usd=0.5)
    _ledger(tmp_path).begin(call)
    assert Ledger(tmp_path / "ledger.sqlite").totals("role")[0].usd == 0.5


def test_a_killed_process_leaves_its_call_at_the_worst_case(tmp_path: Path) -> None:
    call = Call(time.time(), "a", "/r", "coder", "gpt-5.4-mini", usd=0.5, estimated=True, status="open")
    _ledger(tmp_path).begin(call)  # and never finished
    assert _ledger(tmp_path).spent(session="a") == (0.5, 0)


def _ledger(place: Path) -> Ledger:
    ledger = Ledger(place / "ledger.sqlite")
    ledger.open()
    return ledger


def _damage(state: Path, how: str) -> Any:
    state.mkdir(parents=True, mode=0o700)
    path = state / "ledger.sqlite"
    if how == "garbage":
        path.write_bytes(b"not a database at all" * 400)
    elif how == "foreign":
        sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()
    elif how == "a directory":
        path.mkdir()
    elif how == "torn":
        _ledger(state).close()
        path.write_bytes(path.read_bytes()[:5_000])
    elif how == "locked":
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("CREATE TABLE IF NOT EXISTS x (y)")
        holder.execute("BEGIN EXCLUSIVE")
        return holder
    return None


@pytest.mark.parametrize("how", ["garbage", "foreign", "a directory", "torn", "locked"])
def test_a_bad_ledger_never_stops_the_work(how: str, tmp_path: Path) -> None:
    places = Places(tmp_path / "c", tmp_path / "s", tmp_path / "k")
    holder = _damage(places.state, how)
    reply, heard = talk([text("ok")], places=places, chosen=settings(limits={"max_cost": 1.0}))
    assert reply.text == "ok"
    assert heard.client.cost_usd > 0
    if how in ("a directory", "locked"):
        assert [warning for warning in heard.client.warnings if "ledger" in warning]
        assert [notice for notice in heard.kinds(Notice) if notice.level == "warning"]
    if holder:
        holder.close()


def a_day_of_calls(place: Path, calls: int = 400) -> Path:
    ledger = _ledger(place)
    for _ in range(calls):
        ledger.begin(Call(time.time(), "a", "/r", "coder", "gpt-5.4-mini", usd=0.25))
    ledger.close()
    return place / "ledger.sqlite"


def break_index(path: Path) -> None:
    """So that what is lost is nothing but the order of the rows."""
    with contextlib.closing(sqlite3.connect(path)) as found:
        (page,) = found.execute("SELECT rootpage FROM sqlite_master WHERE name = 'calls_by_time'").fetchone()
    break_page(path, page)


def break_page(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


def test_a_ledger_damaged_within_is_saved_and_the_day_is_known(tmp_path: Path) -> None:
    path = a_day_of_calls(tmp_path, 40)
    break_index(path)
    ledger = _ledger(tmp_path)
    assert ledger.spent(since=start_of_day(time.time())) == (10.0, 0)
    assert ledger.note == f"the ledger was damaged: it is now {path}.set-aside; 40 calls saved"
    assert ledger.ignorance(start_of_day(time.time())) == ""


def test_what_cannot_be_read_of_a_day_is_a_gap_of_that_day(tmp_path: Path) -> None:
    path = a_day_of_calls(tmp_path)
    content = path.read_bytes()
    leaves = [at // 4096 + 1 for at in range(0, len(content), 4096) if content[at] == 13]  # pages of rows
    break_page(path, leaves[len(leaves) // 2])
    ledger = _ledger(tmp_path)
    usd, _ = ledger.spent()
    assert 25 < usd < 100 and ledger.note.endswith(" calls saved, others may be missing")
    assert "was damaged before" in ledger.ignorance(start_of_day(time.time()))
    ledger.close()
    assert _ledger(tmp_path).ignorance(time.time()) == ""  # as of tomorrow
    assert _ledger(tmp_path).spent() == (usd, 0)


def test_who_holds_a_damaged_ledger_goes_on_with_the_new_one(tmp_path: Path) -> None:
    path = a_day_of_calls(tmp_path, 40)
    first, second = _ledger(tmp_path), _ledger(tmp_path)
    break_index(path)
    call = Call(time.time(), "a", "/r", "coder", "gpt-5.4-mini", usd=0.25)
    for ledger in (first, second, first):
        ledger.finish(ledger.begin(call), call)
    assert first.spent() == second.spent() == (43 * 0.25, 0)


def test_without_a_ledger_the_session_limit_still_holds(tmp_path: Path) -> None:
    places = Places(tmp_path / "c", tmp_path / "s", tmp_path / "k")
    _damage(places.state, "a directory")

    async def ask(client: Client, show: Any) -> None:
        for _ in range(9):
            await client.reply(request(input_tokens=1_000, max_output=10_000))

    dear = text("ok").using(input_tokens=1_000, output_tokens=9_000)
    _, heard = talk(forever(dear), ask, places=places, chosen=settings(limits={"max_cost": 0.2}))
    assert isinstance(heard.error, LimitReached)
    assert heard.client.cost_usd <= 0.2


def test_a_ledger_that_becomes_free_again_gets_what_it_missed(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    call = Call(time.time(), "a", "/r", "coder", "gpt-5.4-mini", usd=0.5)
    ledger.finish(ledger.begin(call), call)
    assert "ledger" in ledger.complaint
    assert ledger.spent(session="a") == (0.5, 0)
    holder.execute("ROLLBACK")
    holder.close()
    ledger.finish(ledger.begin(call), call)
    ledger.close()
    assert _ledger(tmp_path).spent(session="a") == (1.0, 0)


def test_usage_that_never_comes_is_booked_at_its_worst() -> None:
    async def ask(client: Client, show: Any) -> Reply:
        return await client.reply(request(input_tokens=1_000, max_output=2_000))

    reply, heard = talk([text("ok").without_usage()], ask)
    assert reply.usage == Usage("coder", "gpt-5.4-mini", 1, 1_000, 0, 0, 2_000, pytest.approx(0.00975), True)
    assert heard.kinds(UsageRecorded)[0].usage.estimated


def test_two_processes_of_one_day_see_each_other(tmp_path: Path) -> None:
    """Both hold the same ledger; together they may commit no more than the day's limit."""
    places = Places(tmp_path / "c", tmp_path / "s", tmp_path / "k")
    answer = text("ok").using(input_tokens=1_000, output_tokens=9_000)

    async def both() -> float:
        with FakeOpenAI(forever(answer)) as server:
            chosen = settings(limits={"max_cost_per_day": 0.2})
            clients = [Client(chosen, places, f"s{n}", lambda _: None, server.environ()) for n in range(2)]
            asks = [
                client.reply(request(cache_key=f"k{n}", max_output=10_000, input_tokens=1_000))
                for client in clients
                for n in range(4)
            ]
            await asyncio.gather(*asks, return_exceptions=True)
            for client in clients:
                await client.aclose()
            return sum(client.cost_usd or 0 for client in clients)

    assert 0.12 < asyncio.run(both()) <= 0.2


def test_two_processes_never_look_at_the_rest_of_a_day_at_once(tmp_path: Path) -> None:
    """One looks at what is left and books it before another may look."""
    both, looking, together = threading.Barrier(2), [], []

    def worst(output: int) -> float:
        looking.append(output)
        time.sleep(0.05)
        together.append(len(looking))
        looking.pop()
        return 0.6

    def process(session: str) -> str:
        ledger = _ledger(tmp_path)
        call = Call(time.time(), session, "/r", "coder", "gpt-5.4-mini", "default", 1, 0, 0, 0, None)
        both.wait(60)
        try:
            asyncio.run(Budget(ledger, session, None, 1.0).reserve(call, 2_000, worst))
        except LimitReached:
            return "limit"
        return "booked"

    with ThreadPoolExecutor() as threads:
        assert sorted(threads.map(process, "ab")) == ["booked", "limit"]
    assert set(together) == {1}


def test_a_repository_of_any_name_has_its_calls_in_the_ledger(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    ledger.begin(Call(time.time(), "s", "/re\udcffpo", "coder", "gpt-5.4-mini"))
    assert [total.key for total in ledger.totals("repository")] == ["/re\\udcffpo"]
