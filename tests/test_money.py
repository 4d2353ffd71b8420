"""Money from outside: limits hold before the call, subagents included; the ledger never stops work; what it says."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.fake_openai import FakeOpenAI, forever, free_text_call, structured, text, tool_call
from tests.inside import inside as coder
from tests.work import FIX, UNITTEST, Ended, make_repository, state_of

JUDGED = {"cause": "change", "confidence": 0.5, "quotes": [], "places": [], "next_step": "x"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def ledger() -> Path:
    return Path(os.environ["HOME"]) / ".local" / "state" / "coder" / "ledger.sqlite"


def ask(root: Path, server: FakeOpenAI, *flags: str) -> Ended:
    return coder(root, "ask", "where?", *flags, "--output", "json", env=server.environ())


def test_a_limit_of_nothing_sends_nothing(root: Path) -> None:
    with FakeOpenAI([text("never asked")]) as server:
        ended = ask(root, server, "--max-cost", "0")
        assert server.requests == []
    assert (ended.code, ended.result["status"], ended.result["usage"]) == (5, "limit", [])


@pytest.mark.parametrize("limit", [0.05, 0.12])
def test_a_run_never_costs_more_than_its_limit(root: Path, limit: float) -> None:
    """Every answer takes all the output it may: the dearest that can happen within the rules."""

    def greedy(body: dict[str, Any]) -> Any:
        looked = tool_call("search", {"query": f"word {len(body['input'])}"})
        return looked.using(output_tokens=body["max_output_tokens"])

    with FakeOpenAI(greedy) as server:
        ended = coder(root, "run", "x", "--no-test", "--max-cost", str(limit), "--output", "json", env=server.environ())
        assert server.requests
    assert (ended.code, ended.result["status"]) == (5, "limit")
    assert 0 < ended.result["cost_usd"] <= limit
    assert "--max-cost" in ended.result["error"]["hint"]


def test_subagents_count_against_the_same_limit(root: Path) -> None:
    wrong = free_text_call("apply_patch", FIX.replace("a + b", "a * b"))
    judge = forever(structured(JUDGED).using(output_tokens=4_000))
    script = {"gpt-5.4-mini": [wrong, *[text("done")] * 9], "gpt-5.4-nano": judge}
    with FakeOpenAI(script) as server:
        flags = ["--test", UNITTEST, "--max-cost", "0.2", "--output", "json"]
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    roles = {usage["role"]: usage["usd"] for usage in ended.result["usage"]}
    assert set(roles) == {"coder", "triager"}
    assert ended.result["cost_usd"] == pytest.approx(sum(roles.values()))
    assert ended.result["cost_usd"] <= 0.2
    with FakeOpenAI(script) as server:
        triage = ["triage", "--max-cost", "0.0001", "--output", "json", "--", *UNITTEST.split()]
        ended = coder(root, *triage, env=server.environ())
        assert server.requests == []
    assert (ended.code, ended.result["cost_usd"]) == (0, 0)


def test_the_days_limit_counts_what_other_sessions_spent(root: Path) -> None:
    with FakeOpenAI(forever(text("In calc.py.").using(output_tokens=10_000))) as server:
        first = ask(root, server, "--set", "limits.max_cost_per_day=0.1")
        assert (first.code, len(server.requests)) == (0, 1), first.err
        second = ask(root, server, "--set", "limits.max_cost_per_day=0.05")
        assert (second.code, len(server.requests)) == (5, 1)
    assert "the day's limit" in second.result["error"]["message"]
    assert "limits.max_cost_per_day" in second.result["error"]["hint"]


def test_a_clock_that_was_set_back_does_not_free_the_days_limit(root: Path) -> None:
    with FakeOpenAI(forever(text("In calc.py.").using(output_tokens=10_000))) as server:
        assert ask(root, server).code == 0
        with sqlite3.connect(ledger()) as calls:
            calls.execute("UPDATE calls SET time = time + 864000")
        calls.close()
        ended = ask(root, server, "--set", "limits.max_cost_per_day=0.05")
        assert (ended.code, len(server.requests)) == (5, 1)


def test_an_unknown_price_is_said_and_is_no_zero(root: Path) -> None:
    with FakeOpenAI(forever(text("In calc.py."))) as server:
        ended = ask(root, server, "--model", "mystery")
        assert (ended.code, ended.result["cost_usd"]) == (0, None)
        assert any("not in the catalog" in text for text in [*ended.result["warnings"], ended.err])
        limited = ask(root, server, "--model", "mystery", "--max-cost", "1")
        assert (limited.code, len(server.requests)) == (2, 1)
    assert "the price of mystery is unknown" in limited.result["error"]["message"]
    told = coder(root, "cost")
    assert "1 call without a known price" in told.out and not told.err


def test_a_dear_turn_is_forecast(root: Path) -> None:
    with FakeOpenAI([text("In calc.py.")]) as server:
        ended = ask(root, server, "--set", "limits.ask_above=0")
    assert (ended.code, "this turn may cost up to" in ended.err) == (0, True)


def test_cost_adds_up_by_everything(root: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    answer = text("In calc.py.").using(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000)
    with FakeOpenAI(forever(answer)) as server:
        ended = [ask(place, server) for place in (root, root, other)]
        triaged = coder(root, "triage", "--", *UNITTEST.split(), env=server.environ())
    assert [each.code for each in [*ended, triaged]] == [0, 0, 0, 0]

    def by(group: str) -> dict[str, Any]:
        return {total["key"]: total for total in coder(root, "cost", "--by", group, "--output", "json").result}

    assert ended[0].result["cost_usd"] == pytest.approx(0.0093)
    assert by("role")["coder"]["usd"] == pytest.approx(3 * 0.0093)
    assert by("repository")[str(other)]["requests"] == 1
    assert by("session")[ended[0].result["session"]]["usd"] == pytest.approx(0.0093)
    assert set(by("model")) == {"gpt-5.4-mini", "gpt-5.4-nano"}
    (day,) = by("day").values()
    assert (day["requests"], day["estimated"], day["unpriced"]) == (4, 0, 0)
    assert day["main_usd"] == pytest.approx(4 * 0.0093)  # what all of it would have cost on the main model
    heading, row = coder(root, "cost").out.splitlines()[:2]
    assert "reasoning" in heading and "all on main" in heading
    assert len(row) == len(heading)


def test_cost_says_when_nothing_was_spent(root: Path) -> None:
    assert coder(root, "cost").out == "nothing was spent yet\n"
    assert json.loads(coder(root, "cost", "--output", "json").out) == []


def test_a_corrupt_ledger_is_set_aside(root: Path) -> None:
    ledger().parent.mkdir(parents=True)
    ledger().write_bytes(b"this is no database" * 100)
    with FakeOpenAI([text("In calc.py.")]) as server:
        assert ask(root, server).code == 0
    assert ledger().with_name("ledger.sqlite.set-aside").read_bytes().startswith(b"this is no database")
    assert "0.00" in coder(root, "cost").out


def test_a_days_limit_is_not_kept_by_guessing(root: Path) -> None:
    ledger().parent.mkdir(parents=True)
    ledger().write_bytes(b"this is no database" * 100)
    with FakeOpenAI([text("In calc.py."), text("In calc.py.")]) as server:
        refused = ask(root, server, "--set", "limits.max_cost_per_day=5")
        assert (refused.code, server.requests) == (2, [])
        assert "what was spent today can't be known" in refused.result["error"]["message"]
        assert "unknown_past=allow" in refused.result["error"]["hint"]
        assert ask(root, server).code == 0
        assert "the ledger was damaged before" in coder(root, "cost").err
        allowed = ask(root, server, "--set", "limits.max_cost_per_day=5", "--set", "limits.unknown_past=allow")
        assert allowed.code == 0


def test_a_ledger_that_cannot_be_opened_is_a_warning(root: Path) -> None:
    ledger().mkdir(parents=True)
    with FakeOpenAI([text("In calc.py.")]) as server:
        ended = ask(root, server, "--max-cost", "1")
    assert (ended.code, ended.result["cost_usd"] > 0) == (0, True)
    assert any("the ledger" in warning and "memory only" in warning for warning in ended.result["warnings"])
    assert coder(root, "cost").code == 0


def test_a_locked_ledger_is_a_warning_and_the_limit_still_holds(root: Path) -> None:
    with FakeOpenAI(forever(text("In calc.py."))) as server:
        assert ask(root, server).code == 0
        holder = sqlite3.connect(ledger(), isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        ended = ask(root, server)
        none = ask(root, server, "--max-cost", "0")
        holder.execute("COMMIT")
        holder.close()
        assert len(server.requests) == 2
    assert (ended.code, none.code) == (0, 5), ended.err
    assert any("the ledger" in warning for warning in ended.result["warnings"])


def test_money_is_never_negative_or_absurd(root: Path) -> None:
    for flag, value in (("--max-cost", "-1"), ("--max-cost", "1e99"), ("--max-cost", "inf"), ("--max-steps", "0"),
                        ("--retry-budget", "-1"), ("--timeout", "0"), ("--context-budget", "999")):  # fmt: skip
        ended = coder(root, "ask", "x", flag, value, "--output", "json", env={"OPENAI_API_KEY": "sk-none-0123456789"})
        assert (ended.code, ended.result["status"]) == (2, "usage"), (flag, value)


def test_what_was_spent_is_told_when_the_run_fails(root: Path) -> None:
    before = state_of(root)
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("half a reply").cut(4)]) as server:
        flags = ["--no-test", "--retry-budget", "0", "--output", "json"]
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert (ended.code, state_of(root)) == (75, before)
    (usage,) = ended.result["usage"]
    assert (usage["requests"], usage["estimated"]) == (2, True)  # the call that was cut is booked at its worst case
    assert "+    return a + b" in ended.result["patch"]
