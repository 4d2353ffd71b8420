"""`coder eval`: a small suite end to end against the fake server; shards, limits, sums and bad suites."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from coder.errors import UserError
from coder.headless.evaluate import Verdict, sums, wilson
from coder.headless.suite import assignments, load_suite
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.work import FIX, Ended, coder

SUITE = str(Path(__file__).parent / "suite" / "suite.toml")
SHOUT = FIX.replace("calc.py", "words.py").replace("    return a - b", "    return word.upper()")
SHOUT = SHOUT.replace("    return a + b", '    return word.upper() + "!"')


FIGURES = {"input_tokens": 1_000, "cached_tokens": 0, "output_tokens": 100}
TWICE = '[[configurations]]\nname = "c"\n' * 2


def model(body: dict[str, Any]) -> Any:
    """Mini solves both tasks, nano only the first."""
    answered = any(item.get("type") == "custom_tool_call" for item in body["input"])
    if answered:
        return text("Done.").using(**FIGURES)
    if "Make add() add." in str(body["input"]):
        return free_text_call("apply_patch", FIX).using(**FIGURES)
    if body["model"] == "gpt-5.4-nano":
        return text("I do not know how.").using(**FIGURES)
    return free_text_call("apply_patch", SHOUT).using(**FIGURES)


def evaluate(place: Path, *args: str, **options: Any) -> Ended:
    with FakeOpenAI(model) as server:
        return coder(place, "eval", *args, env={**server.environ(), **options.pop("env", {})}, **options)


CARRIED_OUT: list[str] = []  # the reports of `shards`, made by the first test that wants them, in its own places


@pytest.fixture
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The reports of both halves of the suite, carried out once in a directory where nothing may be left behind."""
    place, reports = tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("reports")
    while len(CARRIED_OUT) < 2:
        part = len(CARRIED_OUT) + 1
        file = str(reports / f"{part}.json")
        ended = evaluate(place, SUITE, "--shard", f"{part}/2", "--output-file", file, "--quiet")
        assert ended.code == 0, ended.err
        CARRIED_OUT.append(file)
    assert list(place.iterdir()) == []
    return CARRIED_OUT


def merge(place: Path, reports: list[str], *args: str) -> Ended:
    return coder(place, "eval", *(word for report in reports for word in ("--merge", report)), *args)


def test_a_suite_is_carried_out_and_added_up_by_configuration(tmp_path: Path, shards: list[str]) -> None:
    report = json.loads(merge(tmp_path, shards, "--output", "json").out)
    mini, nano = report["configurations"]
    assert (mini["successes"], mini["trials"], nano["successes"], nano["trials"]) == (2, 2, 1, 2)
    assert mini["usd"] == pytest.approx(4 * (1_000 * 0.75 + 100 * 4.5) / 1e6)
    assert nano["usd_per_success"] == pytest.approx(nano["usd"])
    assert report["complete"]
    assert {(trial["task"], trial["success"]) for trial in report["trials"] if trial["configuration"] == "nano"} == {
        ("add", True), ("shout", False),
    }  # fmt: skip


def test_shards_merge_to_the_whole(tmp_path: Path, shards: list[str]) -> None:
    both = merge(tmp_path, shards)
    assert "small: 4 trials\n" in both.out
    assert "mini  2/2 = 100% [34%, 100%]" in both.out
    assert "nano  1/2 = 50% [9%, 91%]" in both.out
    twice = merge(tmp_path, [shards[0], shards[0]])
    assert (twice.code, "share a trial" in twice.err) == (2, True)


def test_all_of_it_never_costs_more_than_the_limit(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, SUITE, "--max-cost", "0.25", "--jobs", "4", "--output", "json")
    report = json.loads(ended.out)
    assert (ended.code, report["complete"]) == (5, False)
    assert len(report["trials"]) == 1  # a second could have cost 0.20 beside the first
    assert "did not begin" in ended.err


def test_a_signal_ends_it_with_what_there_is(tmp_path: Path) -> None:
    with FakeOpenAI([text("slow").stall(2, 60)] * 4) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "coder", "eval", SUITE, "--output", "json"],
            cwd=tmp_path, env={**os.environ, **server.environ()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["complete"]) == (143, False)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "give a suite"),
        ([SUITE, "--merge", "x"], "give a suite"),
        (["nowhere.toml"], "cannot read"),
        ([SUITE, "--shard", "3/2"], "no shard"),
        ([SUITE, "--shard", "x"], "no shard"),
        ([SUITE, "--jobs", "0"], "jobs"),
        (["--merge", "nowhere.json"], "cannot read"),
        (["--merge", SUITE], "no report"),
        ([SUITE, "--output-file", "no/such/dir/x"], "cannot write"),
    ],
)
def test_bad_usage_is_told(tmp_path: Path, arguments: list[str], word: str) -> None:
    ended = coder(tmp_path, "eval", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert word in ended.err


TASK = '[[tasks]]\nid = "a"\nrepository = "r"\ntask = "t"\ncheck = "true"\n'


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "name: it is missing"),
        ('name = "s"\ntasks = []', "tasks"),
        ('name = "s"\n' + TASK.replace('"a"', '"../a"'), "tasks.0.id"),
        ('name = "s"\n' + TASK + "other = 1\n", "tasks.0.other"),
        ('name = "s"\n' + TASK + TASK, "two tasks called a"),
        ('name = "s"\n' + TASK.replace('"r"', '"../r"'), "no directory beside the suite"),
        ('name = "s"\n' + TASK.replace('"r"', '"/etc"'), "no directory beside the suite"),
        ('name = "s"\n' + TASK.replace('"true"', '"a | b"'), "task a:"),
        ('name = "s"\nrepeat = 0\n' + TASK, "repeat"),
        ('name = "s"\n' + TASK + TWICE, "two configurations"),
        ("name = ", "Invalid value"),
        (b"\xff\xfe".decode("latin-1"), "suite"),
    ],
)  # fmt: skip
def test_a_bad_suite_is_told_by_its_fault(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "suite.toml").write_text(content, encoding="latin-1")
    with pytest.raises(UserError) as caught:
        load_suite(tmp_path / "suite.toml")
    assert word in caught.value.message


def test_every_trial_is_in_exactly_one_shard() -> None:
    loaded = load_suite(Path(SUITE))
    parts = [str(trial) for part in (1, 2, 3) for trial in loaded.trials((part, 3))]
    assert sorted(parts) == sorted(map(str, loaded.trials()))


def test_settings_become_flags() -> None:
    given = {"model": "m", "limits": {"max_steps": 3}, "sandbox.network": True, "test": {"commands": ["a b"]}}
    wanted = ["model=m", "limits.max_steps=3", "sandbox.network=true", 'test.commands=["a b"]']
    assert assignments(given) == wanted


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_an_unknown_price_stays_unknown_in_the_sums() -> None:
    (row,) = sums([Verdict("t", "c", 0, True, usd=0.1), Verdict("t", "c", 1, usd=None, error="x")])
    assert (row["usd"], row["usd_per_success"], row["errors"], row["success_rate"]) == (None, None, 1, 0.5)
