"""Exit codes, signals and streams of the program, each reached by a real command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fake_openai import (
    Failure,
    FakeOpenAI,
    forbidden,
    forever,
    free_text_call,
    html,
    not_found,
    quota,
    rate_limited,
    server_error,
    text,
    too_long,
    unauthorized,
)
from tests.warm import coder
from tests.work import FIX, UNITTEST, make_repository, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.mark.parametrize(
    ("failure", "code", "word"),
    [
        (unauthorized(), "invalid_api_key", "key"),
        (forbidden(), None, ""),
        (not_found(), "model_not_found", "model"),
        (quota(), "insufficient_quota", "quota"),
    ],
    ids=["401", "403", "404", "quota"],
)
def test_what_waiting_cannot_mend_ends_at_once(root: Path, failure: Failure, code: str | None, word: str) -> None:
    with FakeOpenAI(forever(failure)) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
        assert len(server.requests) == 1
    assert (ended.code, ended.result["status"]) == (4, "api")
    assert code is None or ended.result["error"]["code"] == code
    assert word in ended.result["error"]["message"].lower() + ended.result["error"]["hint"].lower()
    assert "sk-test-0123456789abcdef" not in ended.out + ended.err


def test_a_window_that_holds_no_more_is_a_limit(root: Path) -> None:
    with FakeOpenAI(forever(too_long())) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
        assert len(server.requests) > 1  # with less and less of the repository
    assert (ended.code, ended.result["status"]) == (5, "limit")
    assert ended.result["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "failure",
    [rate_limited(), server_error(), html(502), text("half a repl").cut(4)],
    ids=["429", "500", "html", "half a stream"],
)
def test_what_may_pass_is_retried_within_the_budget(root: Path, failure: Failure) -> None:
    started = time.monotonic()
    with FakeOpenAI(forever(failure)) as server:
        ended = coder(root, "run", "x", "--no-test", "--retry-budget", "1", "--output", "json", env=server.environ())
        assert len(server.requests) > 1
    assert (ended.code, ended.result["status"]) == (75, "temporary"), ended.err
    assert time.monotonic() - started < 15


def test_an_unreachable_host_is_told_without_the_key(root: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-test-0123456789abcdef", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    ended = coder(root, "run", "x", "--no-test", "--output", "json", env=env)
    assert (ended.code, ended.result["status"]) == (4, "api")
    assert "127.0.0.1" in ended.result["error"]["message"]
    assert "sk-test" not in ended.out + ended.err


def test_a_cost_limit_stops_before_the_call(root: Path) -> None:
    with FakeOpenAI([text("never asked")]) as server:
        ended = coder(root, "run", "x", "--no-test", "--max-cost", "0.000001", "--output", "json", env=server.environ())
        assert server.requests == []
    assert (ended.code, ended.result["status"], ended.result["cost_usd"]) == (5, "limit", 0.0)


def test_a_step_limit_ends_the_turn(root: Path) -> None:
    calls = [free_text_call("apply_patch", FIX), text("done")]
    before = state_of(root)
    with FakeOpenAI(calls) as server:
        ended = coder(root, "run", "x", "--no-test", "--max-steps", "1", "--output", "json", env=server.environ())
    assert (ended.code, ended.result["status"]) == (5, "limit")
    assert "a + b" in ended.result["patch"]
    assert state_of(root) == before


def test_the_time_limit_covers_a_stalled_stream(root: Path) -> None:
    with FakeOpenAI([text("slow").stall(2, 30)]) as server:
        ended = coder(root, "run", "x", "--no-test", "--timeout", "2", "--output", "json", env=server.environ())
    assert (ended.code, ended.result["status"]) == (5, "limit")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "x", "--patch", "p", "--commit"],
        ["run", "x", "--branch", "b"],
        ["run", "x", "--commit", "--branch", ""],
        ["run", "x", "--patch", ""],
        ["run", "x", "--patch", "fix", "--output-file", "./fix"],
        ["run", "x", "--test", "t", "--no-test"],
        ["run", "x", "--quiet", "--verbose"],
        ["run", "x", "--max-cost", "-1"],
        ["run", "x", "--max-cost", "nan"],
        ["run", "x", "--context-budget", "12"],
        ["run", "x", "--set", "contxt.budget=5000"],
        ["run", "x", "--set", "nonsense"],
        ["run", " "],
        ["run", "@nowhere"],
        ["run", "x", "--config", "nowhere.toml"],
        ["run", "x", "--output", "yaml"],
        ["run", "x", "--output-file", "no/such/dir/file"],
        ["nonsense"],
        ["--nonsense"],
        ["undo", "nosuch"],
        ["undo", "", "--yes"],
    ],
    ids=" ".join,
)
def test_bad_usage_exits_2_with_one_line_and_a_hint(root: Path, arguments: list[str]) -> None:
    ended = coder(root, *arguments, env={"OPENAI_API_KEY": "sk-none-0123456789"})
    assert ended.code == 2
    assert ended.err.startswith("coder: ")
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_test_command_that_cannot_be_started_costs_nothing(root: Path) -> None:
    with FakeOpenAI([]) as server:
        ended = coder(root, "run", "x", "--test", "pytset -q", "--output", "json", env=server.environ())
        assert server.requests == []
    assert (ended.code, ended.result["summary"]) == (2, "there is no program 'pytset' to test with")


def test_an_unknown_setting_names_the_nearest(root: Path) -> None:
    ended = coder(root, "config", "--set", "contxt.budget=5000")
    assert "did you mean 'context.budget'?" in ended.err


def start(root: Path, *arguments: str, env: dict[str, str], **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "coder", *arguments],
        cwd=root,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_a_run_with_one_result(root: Path, number: signal.Signals) -> None:
    before = state_of(root)
    with FakeOpenAI([text("slow").stall(2, 30)]) as server:
        process = start(root, "run", "x", "--no-test", "--output", "jsonl", env=server.environ())
        while not server.requests:
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert [line.count(b'"type": "result"') for line in out.splitlines()][-1] == 1
    assert b'"status": "interrupted"' in out.splitlines()[-1]
    assert state_of(root) == before


def test_an_open_silent_stdin_is_never_waited_for(root: Path) -> None:
    reader, writer = os.pipe()
    with FakeOpenAI([text("nothing to do")]) as server:
        process = start(root, "run", "x", "--no-test", env=server.environ(), stdin=reader)
        _, err = process.communicate(timeout=30)
    os.close(writer)
    os.close(reader)
    assert process.returncode == 6
    assert b"silent" in err


def test_a_reader_that_went_away_is_exit_141_and_nothing_is_left_changed(root: Path) -> None:
    before = state_of(root)
    reader, writer = os.pipe()
    os.close(reader)
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "coder", "run", "x", "--no-test", "--output", "json"],
            cwd=root,
            env={**os.environ, **server.environ()},
            stdout=writer,
            stderr=subprocess.PIPE,
        )
        os.close(writer)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 141, err
    assert state_of(root) == before


def test_a_full_disk_behind_stdout_is_no_success(root: Path) -> None:
    before = state_of(root)
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server, open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "coder", "run", "x", "--no-test", "--output", "json"],
            cwd=root,
            env={**os.environ, **server.environ()},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
        )
    assert ended.returncode == 1
    assert state_of(root) == before


def test_a_bad_flag_still_gives_a_machine_its_result(root: Path) -> None:
    ended = coder(root, "run", "x", "--output", "json", "--max-cost", "lots")
    assert (ended.code, ended.result["status"]) == (2, "usage")


def test_no_test_command_runs_that_nobody_approved(root: Path) -> None:
    (root / "test_calc.py").write_text("import pathlib\npathlib.Path('ran').write_text('')\n")
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server:
        ended = coder(root, "run", "x", "--output", "json", env=server.environ())
    assert ended.code == 0, ended.err
    assert ended.result["tests"]["status"] == "not_run"
    assert any("nobody approved" in warning for warning in ended.result["warnings"])


def test_tests_that_ran_nothing_never_count_as_passed(root: Path) -> None:
    with FakeOpenAI([free_text_call("apply_patch", FIX), *[text("done")] * 9]) as server:
        ended = coder(
            root, "run", "x", "--test", f"{UNITTEST} discover -p nothing*", "--output", "json", env=server.environ()
        )
    assert ended.code == 1, ended.err
    assert ended.result["tests"]["status"] != "passed"
