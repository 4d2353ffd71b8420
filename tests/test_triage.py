"""`coder triage` end to end: reports, logs and commands; with and without a model; text, JSON and Markdown."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from coder.headless.markdown import code, fence, prose, result_markdown
from coder.headless.result import empty_result
from coder.text import inert
from tests.fake_openai import FakeOpenAI, forever, server_error, structured, unauthorized
from tests.inside import inside
from tests.warm import coder
from tests.work import CALC, UNITTEST, Ended, make_repository, state_of

JUNIT = """<testsuites><testsuite>
<testcase classname="test_calc.T" name="test_add" file="test_calc.py" line="5"><failure type="AssertionError"
  message="AssertionError: -1 != 5">  File "test_calc.py", line 7, in test_add
    self.assertEqual(add(2, 3), 5)
AssertionError: -1 != 5</failure></testcase>
<testcase classname="test_calc.T" name="test_sub" file="test_calc.py" line="9"><failure type="AssertionError"
  message="AssertionError: -1 != 6">  File "test_calc.py", line 7, in test_sub
AssertionError: -1 != 6</failure></testcase>
<testcase classname="test_calc.T" name="test_net"><error message="OSError: Network is unreachable"/></testcase>
<testcase classname="test_calc.T" name="test_fine"/>
<testcase classname="test_calc.T" name="test_idle"><skipped/></testcase>
</testsuite></testsuites>"""
LOG = """F
======================================================================
FAIL: test_add (test_calc.T.test_add)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/ci/work/test_calc.py", line 7, in test_add
    self.assertEqual(add(2, 3), 5)
AssertionError: -1 != 5

----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1)
"""
JUDGED = {
    "cause": "change",
    "confidence": 0.9,
    "quotes": ["AssertionError: -1 != 5", "a line that nobody wrote"],
    "places": [{"path": "calc.py", "line": 2}, {"path": "calc.py", "line": 99}],
    "next_step": "Look at add().",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def junit(tmp_path: Path) -> str:
    (tmp_path / "junit.xml").write_text(JUNIT)
    return str(tmp_path / "junit.xml")


@pytest.fixture
def log(tmp_path: Path) -> str:
    (tmp_path / "test.log").write_text(LOG)
    return str(tmp_path / "test.log")


def triage(root: Path, *args: str, **options: Any) -> Ended:
    return coder(root, "triage", "--output", "json", *args, **options)


def test_a_report_is_grouped_without_a_key_the_same_way_each_time(root: Path, junit: str) -> None:
    first, second = triage(root, "--junit", junit), triage(root, "--junit", junit)
    assert (first.code, first.result["status"]) == (0, "done"), first.err
    assert first.result["triage"] == second.result["triage"]
    assert [(len(card["tests"]), card["cause"], card["source"]) for card in first.result["triage"]] == [
        (2, "unknown", "rules"),
        (1, "environment", "rules"),
    ]
    assert first.result["tests"]["status"] == "failed"
    assert (first.result["tests"]["passed"], first.result["tests"]["failed"]) == (1, 3)
    assert first.result["summary"] == "3 failures, 2 probable causes."
    assert first.result["usage"] == []
    assert "grouped by rules only" in first.err


def test_with_a_key_the_small_model_judges_and_is_checked(root: Path, junit: str, log: str) -> None:
    with FakeOpenAI({"gpt-5.4-nano": forever(structured(JUDGED))}) as server:
        ended = triage(root, "--junit", junit, "--log", log, env=server.environ())
        assert not server.refusals
        assert len(server.requests) == 2
    card = ended.result["triage"][0]
    assert (ended.code, card["cause"], card["source"], card["confidence"]) == (0, "change", "model", 0.9)
    assert card["locations"][0] == {"path": "calc.py", "line": 2}
    assert {"path": "calc.py", "line": 99} not in card["locations"]
    assert "AssertionError: -1 != 5" in card["evidence"]
    assert "a line that nobody wrote" not in card["evidence"]
    assert [(usage["role"], usage["requests"]) for usage in ended.result["usage"]] == [("triager", 2)]
    assert ended.result["cost_usd"] > 0
    told = inside(root, "cost").out.splitlines()[-1]
    assert re.fullmatch(r"failed test logs: \d+ tokens, \$0\.\d+ for the main model to read; .*\$0\.\d+", told), told


def test_what_is_not_committed_is_told_to_the_model_but_no_secret(root: Path, log: str) -> None:
    (root / "calc.py").write_text(CALC + "# changed\n")
    (root / ".env").write_text("PASSWORD=hunter2secret\n")
    (root / "private.txt").write_text("kept back\n")
    with FakeOpenAI({"gpt-5.4-nano": forever(structured(JUDGED))}) as server:
        triage(root, "--log", log, "--exclude", "private.txt", env=server.environ())
        sent = json.dumps(server.requests[0].body)
    assert "+# changed" in sent
    assert "hunter2" not in sent
    assert "kept back" not in sent


@pytest.mark.parametrize("failure", [unauthorized(), server_error()], ids=["401", "500"])
def test_when_the_model_fails_the_rules_stand_and_that_is_said(root: Path, log: str, failure: Any) -> None:
    with FakeOpenAI(forever(failure)) as server:
        ended = triage(root, "--log", log, "--retry-budget", "0", env=server.environ())
    assert (ended.code, ended.result["triage"][0]["source"]) == (0, "rules")
    assert any("going on without it" in warning for warning in ended.result["warnings"])


def test_money_is_limited_here_too(root: Path, log: str) -> None:
    with FakeOpenAI(forever(structured(JUDGED))) as server:
        ended = triage(root, "--log", log, "--max-cost", "0.000001", env=server.environ())
        assert server.requests == []
    assert (ended.code, ended.result["cost_usd"]) == (0, 0)


def test_a_command_is_run_in_the_sandbox_and_its_failures_are_grouped(root: Path) -> None:
    before = state_of(root)
    ended = triage(root, "--", *UNITTEST.split())
    assert (ended.code, ended.result["status"]) == (0, "done"), ended.err
    assert ended.result["tests"]["command"] == UNITTEST.split()
    assert (ended.result["tests"]["status"], ended.result["tests"]["exit_code"]) == ("failed", 1)
    assert (ended.result["tests"]["preexisting"], ended.result["tests"]["new_failures"]) == ([], [])
    assert ended.result["triage"][0]["tests"] == ["test_calc.T.test_add"]
    assert ended.result["sandbox"]
    assert state_of(root) == before


def test_a_command_that_passes_has_nothing_to_triage(root: Path) -> None:
    ended = triage(root, "--", sys.executable, "-c", "print('fine')")
    assert (ended.code, ended.result["triage"], ended.result["tests"]["status"]) == (0, [], "passed")


def test_a_command_that_does_not_exist_is_a_failure_of_its_own(root: Path) -> None:
    ended = triage(root, "--", "no-such-program-here", "--output", "yaml")
    assert ended.code == 0, ended.err
    assert ended.result["tests"]["status"] == "failed"


def test_standard_input_is_a_source(root: Path) -> None:
    ended = triage(root, "--log", "-", stdin=LOG)
    assert (ended.code, len(ended.result["triage"])) == (0, 1)
    assert Path(ended.result["tests"]["log"]).stat().st_mode & 0o777 == 0o600
    assert triage(root, "--junit", "-", stdin=JUNIT).result["tests"]["failed"] == 3


def test_a_log_of_no_known_runner_is_one_failure(root: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.log").write_text("linking\nld: undefined symbol frobnicate\n")
    ended = triage(root, "--log", str(tmp_path / "odd.log"))
    assert (ended.code, ended.result["tests"]["failed"]) == (0, 1)
    assert "frobnicate" in ended.result["triage"][0]["title"]


def test_no_repository_is_needed_for_saved_files(tmp_path: Path, junit: str, log: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    for arguments in (["--junit", junit], ["--log", log]):
        ended = triage(tmp_path / "elsewhere", *arguments)
        assert (ended.code, ended.result["tests"]["status"]) == (0, "failed"), ended.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "give --junit FILE"),
        (["--junit", "no-such.xml"], "cannot read"),
        (["--log", "."], "not a regular file"),
        (["--log", "fifo"], "not a regular file"),
        (["--log", "empty"], "is empty"),
        (["--log", "binary"], "is not text"),
        (["--junit", "calc.py"], "no JUnit report"),
        (["--junit", "doctype.xml"], "no JUnit report"),
        (["--junit", "other.xml"], "no JUnit report"),
        (["--junit", "-", "--log", "-"], "only once"),
        (["--log", "calc.py", "--", "true"], "exclude each other"),
        (["--sandbox", "none", "--", "true"], "sandbox"),
        (["--log", "calc.py", "--output-file", "no/such/dir/r.json"], "cannot write"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_bad_input_is_exit_2(root: Path, arguments: list[str], word: str) -> None:
    os.mkfifo(root / "fifo")
    (root / "empty").write_text(" \n")
    (root / "binary").write_bytes(b"\0\1\2")
    (root / "doctype.xml").write_text("<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites>&a;</testsuites>")
    (root / "other.xml").write_text("<html/>")
    ended = triage(root, *arguments)
    assert (ended.code, ended.result["status"]) == (2, "usage")
    assert word in ended.result["error"]["message"]


def test_a_command_outside_a_repository_is_exit_2(tmp_path: Path) -> None:
    assert triage(tmp_path, "--", "true").code == 2


def test_text_is_for_people(root: Path, log: str) -> None:
    ended = coder(root, "triage", "--log", log)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "1 failure, 1 probable cause."
    assert "probable cause: unknown (by rules)" in ended.out


def test_the_result_file_is_written_too(root: Path, log: str, tmp_path: Path) -> None:
    coder(root, "triage", "--log", log, "--output-file", str(tmp_path / "r.json"))
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["triage"][0]["tests"] == ["test_calc.T.test_add"]
    printed = coder(root, "report", str(tmp_path / "r.json"))
    assert printed.out == coder(root, "report", "-", stdin=json.dumps(written)).out
    assert "`AssertionError: -1 != 5`" in printed.out
    assert coder(root, "report", str(tmp_path / "r.json"), "--output", "text").out.startswith("1 failure")


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"schema": "coder.result/1"}', "[" * 9_000])
def test_what_is_no_result_is_not_reported(root: Path, content: str) -> None:
    ended = coder(root, "report", "-", stdin=content)
    assert (ended.code, ended.out) == (2, "")


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────

HOSTILE = (
    "![x](http://evil/p.png) [click](javascript:alert(1)) <img src=http://evil> <!-- @everyone @org/team #12 GH-7 "
    "https://evil.example www.evil.example a@b.c ``` ~~~ </details> |a|b| $x$ **b** __u__ `c` &lt; ::error::boo\n"
    "::add-mask::x\n  ::stop-commands::y\n##[set-env name=A]B\n# heading\n- item\n1. one\n> quote\n\x1b[31m\u202e"
)


def test_nothing_that_is_quoted_can_act_in_markdown(root: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.xml").write_text(JUNIT.replace("AssertionError: -1 != 5", "evil").replace("test_add", "t"))
    result = {
        **empty_result(),
        "summary": HOSTILE,
        "patch": HOSTILE,
        "warnings": [HOSTILE],
        "error": {"code": "x", "message": HOSTILE, "hint": HOSTILE},
        "files": [{"path": HOSTILE, "kind": "added", "added": 1, "removed": 0}],
        "session": HOSTILE,
        "triage": [
            {"title": HOSTILE, "tests": [HOSTILE], "cause": "change", "confidence": 1.0, "next_step": HOSTILE,
             "locations": [{"path": HOSTILE, "line": 1}], "evidence": [HOSTILE, "````"], "source": "model"}
        ],
    }  # fmt: skip
    result["tests"] = {**result["tests"], "note": HOSTILE, "new_failures": [HOSTILE]}
    text = result_markdown(result)
    assert "\x1b" not in text and "\u202e" not in text
    assert inert(text) == text
    outside = "\n".join(part for part in _outside_code(text))
    for live in ("![", "](", "<img", "<!-- @", "http://", "https://", "www.evil", "@everyone", "@org", "a@b", "#12",
                 "GH-7", "javascript:alert(", "</details> "):  # fmt: skip
        assert live not in outside, live


def _outside_code(text: str) -> list[str]:
    """The lines of Markdown outside of fences, without their code spans."""
    kept, closing = [], ""
    for line in text.splitlines():
        if closing:
            closing = "" if line == closing else closing
        elif opened := re.match(r"(`{3,})(?:diff)?$", line):
            closing = opened[1]
        else:
            kept.append(re.sub(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", "CODE", line))
    assert not closing
    return kept


@pytest.mark.parametrize("text", ["", "`", "``", " ` `` ``` ", "a`", "```\n```", "~~~", HOSTILE])
def test_code_cannot_be_closed_from_inside(text: str) -> None:
    assert _outside_code(fence(text)) == []
    assert _outside_code(code(text)) == ["CODE"]


def test_prose_stays_readable() -> None:
    assert prose("It works, mostly (see a.py).") == "It works, mostly \\(see a.py\\)."


def test_the_whole_is_bounded_and_says_what_is_missing() -> None:
    card = {"title": "t" * 500, "tests": ["n" * 900] * 900, "cause": "change", "confidence": 1.0, "source": "rules",
            "locations": [], "evidence": ["漢" * 9_000] * 9, "next_step": "x" * 9_000}  # fmt: skip
    result = {**empty_result(), "summary": "漢" * 90_000, "triage": [card] * 50, "warnings": ["w" * 9_000] * 99}
    text = result_markdown(result)
    assert len(text.encode()) <= 60_000
    assert "did not fit" in text


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("::error::x", "\\::error::x"),
        ("a\n \t::add-mask::x", "a\n \t\\::add-mask::x"),
        ("\u00a0::x::", "\u00a0\\::x::"),
        ("see ##[group]x", "see #\\#[group]x"),
        ("##vso[task]", "#\\#vso[task]"),
        ("std::vector ::x", "std::vector ::x"),
    ],
)
def test_workflow_commands_lose_their_meaning(text: str, harmless: str) -> None:
    assert inert(text) == harmless
    assert inert(harmless) == harmless
