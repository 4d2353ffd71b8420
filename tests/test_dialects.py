"""The other dialect and other models through the whole program: Chat Completions, text edits, fallback chains."""

import json
from pathlib import Path

import pytest

from tests.fake_openai import (
    Failure,
    FakeOpenAI,
    forever,
    free_text_call,
    not_found,
    quota,
    server_error,
    structured,
    text,
    tool_call,
    unauthorized,
)
from tests.inside import inside as coder
from tests.work import FIX, FIXED, UNITTEST, make_repository

CHAT = ["--set", "api=chat"]
JSON = ["--output", "json"]
JUDGED = {"cause": "change", "confidence": 0.5, "quotes": [], "places": [], "next_step": "Look at add()."}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def test_a_task_is_done_over_chat_completions(root: Path) -> None:
    script = [
        text("Looking.") + tool_call("read_files", {"paths": ["calc.py"]}),
        tool_call("apply_patch", {"input": FIX}),
        text("add() now adds."),
    ]
    with FakeOpenAI(script) as server:
        ended = coder(root, "run", "mend", "--test", UNITTEST, *CHAT, *JSON, env=server.environ())
        (refusal,) = server.refusals  # this model takes no effort beside tools here: left out from then on, and said
        assert {request.path for request in server.requests} == {"/v1/chat/completions"}
    assert (ended.code, ended.result["tests"]["status"]) == (0, "passed"), ended.err
    assert (root / "calc.py").read_text() == FIXED
    assert "reasoning_effort" in refusal
    assert any("going on without it" in warning for warning in ended.result["warnings"])
    assert ended.result["usage"][0]["requests"] == 3
    assert ended.result["cost_usd"] > 0


@pytest.mark.parametrize(
    "quirks", [("no_ids",), ("no_index",), ("whole_calls", "no_done"), ("usage_everywhere",)], ids=str
)
def test_servers_with_quirks_of_their_own_work(root: Path, quirks: tuple[str, ...]) -> None:
    script = [tool_call("apply_patch", {"input": FIX}).with_quirks(*quirks), text("done").with_quirks(*quirks)]
    with FakeOpenAI(script) as server:
        ended = coder(root, "run", "mend", "--no-test", *CHAT, *JSON, env=server.environ())
    assert (ended.code, (root / "calc.py").read_text()) == (0, FIXED), ended.err


def test_a_model_without_tool_calls_edits_by_text(root: Path) -> None:
    with FakeOpenAI([text(f"Here:\n\n{FIX}")]) as server:
        ended = coder(root, "run", "mend", "--test", UNITTEST, *CHAT, *JSON, env=server.environ())
    assert (ended.code, (root / "calc.py").read_text()) == (0, FIXED), ended.err


def test_no_usage_figures_are_booked_at_the_worst_and_said(root: Path) -> None:
    with FakeOpenAI([text("In calc.py.").with_quirks("no_usage")]) as server:
        ended = coder(root, "ask", "where?", *CHAT, *JSON, env=server.environ())
    (usage,) = ended.result["usage"]
    assert (ended.code, usage["estimated"], usage["usd"] > 0) == (0, True, True)


def test_a_local_server_needs_no_key(root: Path) -> None:
    with FakeOpenAI([text("In calc.py.")]) as server:
        env = {"OPENAI_BASE_URL": server.base_url}
        ended = coder(root, "ask", "where?", *CHAT, "--model", "llama", *JSON, env=env)
        assert server.requests[0].body["model"] == "llama"
    assert (ended.code, ended.result["summary"]) == (0, "In calc.py.")


def test_a_model_that_is_gone_is_replaced_by_the_next_of_its_chain(root: Path) -> None:
    script = {"gpt-5.4-mini": forever(not_found()), "gpt-5.4-nano": [free_text_call("apply_patch", FIX), text("done")]}
    flags = ["--no-test", "--set", "roles.coder.fallback=gpt-5.4-nano", *JSON]
    with FakeOpenAI(script) as server:
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert (ended.code, (root / "calc.py").read_text()) == (0, FIXED), ended.err
    assert {usage["model"] for usage in ended.result["usage"]} == {"gpt-5.4-nano"}
    assert any("going on with gpt-5.4-nano" in warning for warning in ended.result["warnings"])


def test_a_chain_that_is_at_its_end_ends_the_run(root: Path) -> None:
    flags = ["--no-test", "--retry-budget", "0", "--set", "roles.coder.fallback=gpt-5.4-nano", *JSON]
    with FakeOpenAI({"gpt-5.4-mini": forever(not_found()), "gpt-5.4-nano": forever(server_error())}) as server:
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert (ended.code, ended.result["status"]) == (75, "temporary")


@pytest.mark.parametrize("failure", [unauthorized(), quota()], ids=["401", "quota"])
def test_no_other_model_is_asked_where_none_can_help(root: Path, failure: object) -> None:
    flags = ["--no-test", "--set", "roles.coder.fallback=gpt-5.4-nano", *JSON]
    with FakeOpenAI(forever(failure)) as server:
        ended = coder(root, "run", "mend", *flags, env=server.environ())
        assert len(server.requests) == 1
    assert ended.code == 4


def test_a_structured_reply_out_of_form_goes_to_the_next_model(root: Path) -> None:
    script = {"gpt-5.4-nano": forever(text("no JSON at all")), "gpt-5.4-mini": forever(structured(JUDGED))}
    flags = ["--set", "roles.triager.fallback=gpt-5.4-mini", *JSON]
    with FakeOpenAI(script) as server:
        ended = coder(root, "triage", *flags, "--", *UNITTEST.split(), env=server.environ())
    assert (ended.code, ended.result["triage"][0]["source"]) == (0, "model"), ended.err
    assert {usage["model"] for usage in ended.result["usage"]} == {"gpt-5.4-nano", "gpt-5.4-mini"}


def test_a_schema_that_the_server_rejects_leaves_the_rules_to_judge(root: Path) -> None:
    body = {"error": {"message": "Invalid schema for response_format 'x': 'required' is missing", "code": "bad_schema"}}
    with FakeOpenAI(forever(Failure(400, json.dumps(body).encode()))) as server:
        ended = coder(root, "triage", *JSON, "--", *UNITTEST.split(), env=server.environ())
        assert len(server.requests) == 1
    assert (ended.code, ended.result["triage"][0]["source"]) == (0, "rules")
    assert any("Invalid schema" in warning for warning in ended.result["warnings"])


def test_another_tier_than_asked_for_is_said_in_the_result(root: Path) -> None:
    with FakeOpenAI([text("In calc.py.").tier("default")]) as server:
        ended = coder(root, "ask", "where?", "--set", "roles.coder.tier=flex", *JSON, env=server.environ())
        assert server.requests[0].body["service_tier"] == "flex"
    assert any("on tier 'default', asked for 'flex'" in warning for warning in ended.result["warnings"])


def test_each_role_has_the_model_it_was_given(root: Path) -> None:
    wrong = free_text_call("apply_patch", FIX.replace("a + b", "a * b"))
    script = {"big": [wrong, *[text("done")] * 9], "small": forever(structured(JUDGED))}
    flags = ["--test", UNITTEST, "--set", "roles.coder.model=big", "--set", "roles.triager.model=small", *JSON]
    with FakeOpenAI(script) as server:
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert {(usage["role"], usage["model"]) for usage in ended.result["usage"]} == {
        ("coder", "big"),
        ("triager", "small"),
    }
