"""Compaction: what the user said and what was edited stays verbatim, steps go whole, and only when there is no room."""

from pathlib import Path

import pytest

from coder.agents.compaction import Window, compact
from coder.agents.loop import Limits
from coder.context.tokens import count_tokens
from coder.errors import LimitReached
from coder.model.messages import ToolCall, assistant_message, tool_output, user_message
from tests.desk import FIX, bench, turn
from tests.fake_openai import FakeOpenAI, free_text_call, reasoning, text, tool_call


def step(number: int, size: int = 4_000) -> list[dict]:
    call = ToolCall(f"call_{number}", "search", "{}")
    item = {"type": "function_call", "call_id": call.call_id, "name": "search", "arguments": "{}"}
    sealed = {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": "gAAAA"}
    return [sealed, item, tool_output(call, "word " * (size // 5))]


def test_user_messages_and_edits_stay_verbatim_and_old_steps_go_whole():
    history = [user_message("rules"), user_message("task"), *step(1), *step(2), user_message("also this"), *step(3)]
    kept = compact(history, ["diff --git a/x b/x\n"], keep_tokens=1_200)
    assert kept[:2] == history[:2] and kept[2] == user_message("also this")
    assert "diff --git a/x b/x" in kept[3]["content"][0]["text"]
    assert kept[4:] == step(3)


def test_compaction_is_deterministic_and_keeps_calls_with_their_results():
    history = [user_message("task"), *(item for n in range(9) for item in step(n)), assistant_message("so far")]
    assert compact(history, [], 3_000) == compact(history, [], 3_000)
    kept = compact(history, [], 3_000)
    called = [item["call_id"] for item in kept if item["type"] == "function_call"]
    assert called == [item["call_id"] for item in kept if item["type"] == "function_call_output"] != []


def test_a_window_that_has_room_changes_nothing():
    history = [user_message("task"), *step(1)]
    window = Window(10_000, "instructions")
    window.make_room(history, [])
    assert window.compactions == 0 and history == [user_message("task"), *step(1)]


def test_what_the_estimate_takes_for_too_long_is_counted_before_it_is_refused():
    code = "if left:\n        return self.value(left)\n    " * 1_000
    history = [user_message(code)]
    exact = count_tokens(code)
    assert Window(10**6, "").tokens(history) > exact + 100
    Window(exact + 100, "").make_room(history, [])
    with pytest.raises(LimitReached, match="does not fit"):
        Window(exact - 1, "").make_room(history, [])


def test_what_cannot_fit_is_said():
    with pytest.raises(LimitReached, match="does not fit"):
        Window(500, "").make_room([user_message("word " * 1_000)], [])


def test_a_long_turn_goes_on_after_compaction(tmp_path: Path):
    files = {f"f{n}.txt": f"line {n}\n" * 1_500 for n in range(12)} | {"calc.py": "def add(a, b):\n    return a - b\n"}
    reads = [
        tool_call("read_files", {"files": [{"path": f"f{n}.txt", "first": None, "last": None}]}) for n in range(12)
    ]
    script = [free_text_call("apply_patch", FIX), *(reasoning() + read for read in reads), text("Done.")]
    with bench(tmp_path, files) as place, FakeOpenAI(script) as server:
        assert turn(place, server, limits=Limits(max_input=20_000)).status == "finished"
        assert server.refusals == [] and len({body["prompt_cache_key"] for body in server.bodies()}) > 1
        assert "+    return a + b" in str(server.requests[-1].body["input"])
