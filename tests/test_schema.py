"""The published schemas: stable by golden files, and true of whatever the program emits."""

import json
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec.json import encode

from coder import events
from coder.config import Settings
from coder.errors import Exit
from coder.headless import schema
from coder.headless.result import empty_result, with_end
from coder.headless.stream import event_object
from coder.values import (
    Checkpoint,
    ContextPlan,
    Evidence,
    FileDiff,
    Hunk,
    Proposal,
    TestFailure,
    TestReport,
    TriageCard,
    Usage,
)
from tests.fake_openai import FakeOpenAI, free_text_call, rate_limited, reasoning, structured, text, tool_call
from tests.schemas import check_line, check_result
from tests.work import FIX, UNITTEST, coder, make_repository

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.mark.parametrize("name", schema.SCHEMAS)
def test_a_schema_changes_only_on_purpose(name: str, tmp_path: Path) -> None:
    """After a change on purpose: coder schema NAME > tests/golden/schema-NAME.json"""
    printed = coder(tmp_path, "schema", name)
    assert printed.code == 0, printed.err
    assert json.loads(printed.out) == json.loads((GOLDEN / f"schema-{name}.json").read_text())
    Draft202012Validator.check_schema(json.loads(printed.out))


HUNK = Hunk(1, 1, 1, 1, b"", (b"-a\n", b"+b\n"))
FILE = FileDiff("a\udcff", "modified", "a\udcff", "100644", "100644", (), (HUNK,))
REPORT = TestReport(("t", "\udcff"), "tree", None, 3, 1, 1, 1, (TestFailure("n"),), 1.23456, True, "/log")
EVIDENCE = Evidence("failed", "tree", (REPORT,), (REPORT,), ("n",), ("f",), ("p",), ("k",), "note")
CARD = TriageCard("t", ("n",), "flaky", 0.5, (("a.py", 3),), ("quote",), "next", "model", ("dropped",))
USAGE = Usage("coder", "m", 2, 10, 5, 1, 3, None, True)
CHECKPOINT = Checkpoint("c", 1.0, "label", ("a",))
EVENTS: list[events.Event] = [
    events.SessionStarted("s", "/r", "main", "m", "auto"),
    events.Notice("x", "warning"),
    events.TurnStarted(1, "task" * 5_000),
    events.ContextPlanned(ContextPlan(1, 0, ())),
    events.StepStarted(1, 5),
    events.TextDelta("x"),
    events.ReplyFinished("\udcff"),
    events.StepAbandoned("why"),
    events.ToolStarted("c", "n", "s"),
    events.ToolFinished("c", "n", False, "s" * 9_000),
    events.DraftChanged("t", ("a",), b""),
    events.TestStarted(("a",), "base"),
    events.TestOutput("x"),
    events.TestFinished(REPORT, "draft"),
    events.EvidenceReady(EVIDENCE, (CARD,)),
    events.SubagentStarted("i", "triager", "m", "s"),
    events.SubagentFinished("i", "triager", True, USAGE),
    events.UsageRecorded(USAGE, None),
    events.CallFinished("coder", "m", "openai", "host:1", 0.5, 1, "429", None),
    events.RetryWaiting(0.5, 1, "r"),
    events.ProposalReady(Proposal("a", "b", (FILE,), b"")),
    events.Applied(CHECKPOINT, ("a",), ""),
    events.Applied(None, ("a",), "commit"),
    events.Undone(CHECKPOINT, ("a",)),
    events.TurnFinished("done", "s"),
]


def test_every_event_becomes_a_line_of_the_schema_or_none() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))
    lines = [{**line, "seq": 0} for event in EVENTS if (line := event_object(event))]
    for line in lines:
        check_line(json.loads(json.dumps(line)))
    assert {line["type"] for line in lines} | {"result"} == set(schema.EVENTS)


def test_every_end_makes_a_result_of_the_schema() -> None:
    for code in Exit:
        result = empty_result()
        with_end(result, code, "message", "hint")
        check_result(result)
        check_line({"type": "result", "seq": 0, **result})
        assert result["status"] == code.status


@pytest.mark.parametrize(
    "damage",
    [
        {"extra": 1},
        {"exit_code": 7},
        {"status": "fine"},
        {"cost_usd": -1},
        {"files": [{}]},
        {"schema": "coder.result/2"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_result(damage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check_result({**empty_result(), **damage})


def test_the_schema_of_the_configuration_is_that_of_the_settings() -> None:
    check = Draft202012Validator(schema.config_schema())
    check.validate(tomllib.loads('model = "m"\n[limits]\nmax_cost = 1.5\n[roles.triager]\neffort = "low"'))
    check.validate(json.loads(encode(Settings())))
    for wrong in ({"modle": "m"}, {"limits": {"max_cost": -1}}, {"roles": {"codr": {}}}, {"effort": "huge"}):
        with pytest.raises(ValidationError):
            check.validate(wrong)


def test_a_whole_run_emits_only_lines_of_the_schema(root: Path) -> None:
    triage = {
        "cause": "change",
        "confidence": 0.9,
        "quotes": ["AssertionError: 6 != 5"],
        "places": [],
        "next_step": "x",
    }
    main = [
        rate_limited("0"),
        reasoning("hm") + text("Looking.") + tool_call("read_files", {"paths": ["calc.py"]}),
        tool_call("search", {"query": "add"}),
        free_text_call("apply_patch", FIX.replace("a + b", "a * b")),
        tool_call("run_tests", {}),
        free_text_call("apply_patch", FIX.replace("-    return a - b", "-    return a * b")),
        text("add() now adds."),
    ]
    script = {"gpt-5.4-mini": main, "gpt-5.4-nano": [structured(triage)] * 5}
    with FakeOpenAI(script, strict=False) as server:
        ended = coder(root, "run", "mend", "--test", UNITTEST, "--output", "jsonl", env=server.environ())
    assert ended.code == 0, ended.err
    seen = {line["type"] for line in ended.lines}
    assert seen >= {"session", "turn", "context", "step", "reply", "tool_started", "tool_finished", "draft", "retry",
                    "test_started", "test_finished", "tests", "subagent_started", "subagent_finished", "usage",
                    "proposal", "applied", "result"}  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["evnts"], ["result", "extra"]], ids=" ".join)
def test_schema_names_what_there_is(arguments: list[str], tmp_path: Path) -> None:
    ended = coder(tmp_path, "schema", *arguments)
    assert (ended.code, ended.out) == (2, "")
