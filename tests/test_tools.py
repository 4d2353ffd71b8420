"""The six tools on a real draft: what they show, what they refuse, and how much at most."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from coder.agents.tool import MalformedCall, Tool
from coder.agents.wrap import gist, wrap
from coder.errors import ToolError
from coder.model.messages import ToolCall
from coder.tools import ALL, APPLY_PATCH, DELEGATE, LIST_FILES, READ_FILES, READING, RUN_TESTS, SEARCH
from coder.values import ContextEntry, ContextPlan
from tests.desk import FIX, Bench, bench


def call(place: Bench, tool: Tool, arguments: Any) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return asyncio.run(tool.run(ToolCall("call_1", tool.name, text, tool.arguments is None), place.desk))


def read(place: Bench, *paths: str, first: int | None = None, last: int | None = None) -> str:
    return call(place, READ_FILES, {"files": [{"path": path, "first": first, "last": last} for path in paths]})


def search(place: Bench, pattern: str, **more: Any) -> str:
    return call(place, SEARCH, {"pattern": pattern, **more})


# ── all of them ──────────────────────────────────────────────────────────────────────────────────


def test_there_are_six_tools_and_no_shell():
    names = ["read_files", "search", "list_files", "apply_patch", "run_tests", "delegate"]
    assert [tool.name for tool in ALL] == names
    assert [tool.name for tool in READING] == ["read_files", "search", "list_files", "delegate"]


def nodes(schema: Any):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.parametrize("tool", [tool for tool in ALL if tool.arguments], ids=lambda tool: tool.name)
def test_every_schema_is_strict(tool: Tool):
    for node in nodes(tool.spec.parameters):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False and node["required"] == list(node["properties"])
        assert not node.keys() & {"default", "minLength", "maxLength", "allOf", "oneOf"}


@pytest.mark.parametrize("tool", [tool for tool in ALL if tool.arguments], ids=lambda tool: tool.name)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"nonsense": 1}', "[" * 100_000, '{"a": ' * 50_000])
def test_arguments_that_do_not_fit_are_refused_in_few_words(tmp_path: Path, tool: Tool, text: str):
    with bench(tmp_path) as place, pytest.raises(MalformedCall) as refused:
        call(place, tool, text)
    assert len(str(refused.value)) < 1_200


# ── read_files ───────────────────────────────────────────────────────────────────────────────────


def test_lines_are_shown_as_they_are(tmp_path: Path):
    with bench(tmp_path) as place:
        opening, *lines, _ = read(place, "./calc.py", first=1, last=2).splitlines()
        assert opening.endswith(": calc.py, lines 1-2 of 6>") and lines == ["def add(a, b):", "    return a - b"]


def test_a_person_is_told_what_was_read_without_its_mark():
    assert gist(wrap("a.txt, lines 1-2 of 9", "x\ny\n")) == "a.txt, lines 1-2 of 9"
    assert gist("2 files, +4 -3\na.txt\n") == "2 files, +4 -3"


def test_one_bad_path_does_not_spoil_the_others(tmp_path: Path):
    with bench(tmp_path) as place:
        text = read(place, "calc.py", "utl.py", "src")
        assert "def add" in text and "'utl.py' does not exist" in text and "'src' is a directory" in text


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "/proc/self/environ", ".git/config", "src/../../x", "", "~"]
)
def test_paths_outside_the_tree_are_refused(tmp_path: Path, path: str):
    (tmp_path / "secret").write_text("canary")
    with bench(tmp_path) as place, pytest.raises(ToolError):
        read(place, path)


def test_what_is_withheld_is_refused_with_the_reason_by_every_tool(tmp_path: Path):
    files = {
        ".env": "TOKEN=canary\n",
        "keys.txt": f"canary AKIA{'A' * 16}\n",
        "logo.png": b"\x89PNG\0canary",
        "plan.txt": "canary\n",
    }
    with bench(tmp_path, files) as place:
        place.desk.withheld = {"plan.txt": "excluded by you"}
        for path, reason in ((".env", "secret"), ("keys.txt", "AWS"), ("logo.png", "binary"), ("plan.txt", "excluded")):
            with pytest.raises(ToolError, match=reason):
                read(place, path)
        assert search(place, "canary").startswith("no match")
        assert "withheld: excluded by you" in call(place, LIST_FILES, {"paths": ["plan.txt"]})


def test_a_withheld_file_cannot_be_moved_into_the_light(tmp_path: Path):
    move = "*** Begin Patch\n*** Update File: plan.txt\n*** Move to: open.txt\n@@\n-canary\n+canary 2\n*** End Patch\n"
    with bench(tmp_path, {"plan.txt": "canary\nmore\n"}) as place:
        place.desk.withheld = {"plan.txt": "excluded by you"}
        with pytest.raises(ToolError, match="withheld"):
            call(place, APPLY_PATCH, move)
        with pytest.raises(ToolError) as refused:
            call(place, APPLY_PATCH, move.replace("-canary\n", "-canari\n"))
        assert "more" not in str(refused.value)


def test_what_the_model_wrote_itself_may_be_read_again(tmp_path: Path):
    key = "sk-" + "a1B2" * 8
    with bench(tmp_path, {"a.txt": "one\n"}) as place:
        call(place, APPLY_PATCH, f"*** Begin Patch\n*** Update File: a.txt\n@@\n one\n+key = {key}\n*** End Patch\n")
        assert "key = [redacted API key]" in read(place, "a.txt")
        with pytest.raises(ToolError, match=r"\.env cannot be edited: withheld"):
            call(place, APPLY_PATCH, "*** Begin Patch\n*** Add File: .env\n+A=1\n*** End Patch\n")


def test_a_long_file_is_cut_at_a_line_and_says_how_to_go_on(tmp_path: Path):
    with bench(tmp_path, {"long.txt": "".join(f"line {n}\n" for n in range(1, 30_001))}) as place:
        text = read(place, "long.txt")
        assert len(text) < 81_000
        first = int(text.rpartition("first=")[2].rstrip("]"))
        assert f"line {first - 1}\n" in text and f"line {first}\n" not in text
        assert read(place, "long.txt", first=first).splitlines()[1] == f"line {first}"


def test_a_line_range_beyond_the_file_is_refused(tmp_path: Path):
    with bench(tmp_path) as place, pytest.raises(ToolError, match="has 6 lines"):
        read(place, "calc.py", first=90, last=95)


def test_a_file_shown_above_is_not_sent_twice(tmp_path: Path):
    with bench(tmp_path) as place:
        blob = next(file.oid for file in place.desk.draft.files() if file.path == "calc.py")
        place.desk.plan = ContextPlan(1, 1, (ContextEntry("calc.py", "full", 1, blob=blob),))
        assert "shown in full" in read(place, "calc.py") and "def add" in read(place, "calc.py", first=1)
        call(place, APPLY_PATCH, FIX)
        assert "return a + b" in read(place, "calc.py")


def test_carriage_returns_marks_and_foreign_bytes_are_readable(tmp_path: Path):
    files = {"dos.txt": b"\xef\xbb\xbfone\r\ntwo\r\n", "latin.txt": b"caf\xe9\n", "empty.txt": b"", "bare.txt": b"end"}
    with bench(tmp_path, files) as place:
        assert "one\ntwo\n" in read(place, "dos.txt") and "caf\ufffd" in read(place, "latin.txt")
        assert "empty.txt, 0 lines" in read(place, "empty.txt") and "lines 1-1 of 1" in read(place, "bare.txt")


# ── search ───────────────────────────────────────────────────────────────────────────────────────


def test_search_names_path_line_and_text(tmp_path: Path):
    with bench(tmp_path) as place:
        assert search(place, "return a - b") == "calc.py:2:     return a - b\ncalc.py:6:     return a - b"
        assert search(place, r"^def \w+\(name", regex=True) == "src/util.py:1: def greet(name):"
        assert search(place, "HELLO", ignore_case=True, paths=["src/**/*.py"]).startswith("src/util.py:2:")
        assert search(place, "hello", paths=["*.md"]) == "no match in 1 files"


def test_braces_are_text_unless_they_count(tmp_path: Path):
    with bench(tmp_path, {"a.py": 'f"{e}"\nzzz\naab\n'}) as place:
        assert search(place, "{e}", regex=True) == 'a.py:1: f"{e}"'
        assert search(place, "a{2}b", regex=True) == "a.py:3: aab"


@pytest.mark.parametrize("pattern", ["(", "*a", "(?P<x>a", "(?R)", "((a{999}){999}){999}", "a{99999999}", "(" * 150])
def test_a_pattern_that_is_none_or_too_costly_is_refused(tmp_path: Path, pattern: str):
    with bench(tmp_path) as place, pytest.raises(ToolError):
        search(place, pattern, regex=True)


def test_a_pattern_that_runs_away_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coder.tools.search.SECONDS", 0.3)
    with bench(tmp_path, {"a.txt": "a" * 5_000 + "b\n"}) as place:
        begun = time.monotonic()
        assert "stopped after" in search(place, "(a+)+$", regex=True)
        assert time.monotonic() - begun < 3


def test_matches_are_bounded_and_the_rest_is_said(tmp_path: Path):
    with bench(tmp_path, {f"{n}.txt": "needle\n" * 50 + "needle" + "x" * 9_000 for n in range(30)}) as place:
        lines = search(place, "needle").splitlines()
        assert len(lines) == 101 and lines[20] == "0.txt: more" and lines[-1].startswith("[5 of 30 files searched")
        assert all(len(line) < 300 for line in lines)


# ── list_files ───────────────────────────────────────────────────────────────────────────────────


def test_files_are_listed_with_their_size(tmp_path: Path):
    with bench(tmp_path) as place:
        assert call(place, LIST_FILES, {"paths": None}).splitlines() == [
            "README.md\t22",
            "calc.py\t66",
            "src/util.py\t44",
        ]
        assert call(place, LIST_FILES, {"paths": ["src/"]}) == "src/util.py\t44"
        with pytest.raises(ToolError, match="no file"):
            call(place, LIST_FILES, {"paths": ["*.rs"]})


def test_many_files_are_listed_by_directory(tmp_path: Path):
    with bench(tmp_path, {f"pkg{n % 5}/sub/f{n}.py": "x\n" for n in range(1_000)}) as place:
        lines = call(place, LIST_FILES, {"paths": None}).splitlines()
        assert lines[0].startswith("1000 files") and "pkg3/sub/\t200 files" in lines and len(lines) == 6


# ── run_tests and delegate ───────────────────────────────────────────────────────────────────────


def test_nothing_can_be_added_to_the_test_command(tmp_path: Path):
    async def run_tests() -> str:
        return "exit code 1; " + "noise\n" * 90_000

    with bench(tmp_path) as place:
        with pytest.raises(ToolError, match="no test command"):
            call(place, RUN_TESTS, {})
        place.desk.run_tests = run_tests
        for extra in ({"args": ["-k", "x"]}, {"env": {"A": "1"}}, {"cwd": "/"}):
            with pytest.raises(MalformedCall):
                call(place, RUN_TESTS, extra)
        report = call(place, RUN_TESTS, {})
        assert report.startswith("exit code 1") and len(report) < 12_500


def test_work_is_delegated_only_for_files_that_may_be_shown(tmp_path: Path):
    asked: list[Any] = []

    async def summarize(texts):
        asked.append(dict(texts))
        return {path: f"about {path}" for path in texts}

    async def select(question, candidates):
        asked.append((question, [path for path, _ in candidates]))
        return [path for path, _ in reversed(candidates)]

    with bench(tmp_path, {".env": "A=1\n", "a.py": "x = 1\n", "b.py": "y = 2\n"}) as place:
        place.desk.summarize, place.desk.select = summarize, select
        text = call(place, DELEGATE, {"job": "summarize", "paths": ["a.py", ".env"], "question": None})
        assert "about a.py" in text and "error: .env: withheld" in text and asked[0] == {"a.py": "x = 1\n"}
        found = call(place, DELEGATE, {"job": "find", "paths": [], "question": "where is y?"})
        assert asked[1] == ("where is y?", ["a.py", "b.py"]) and "b.py\na.py\n" in found


def test_without_a_small_model_the_answer_says_what_to_do(tmp_path: Path):
    with bench(tmp_path) as place, pytest.raises(ToolError, match="read the files yourself"):
        call(place, DELEGATE, {"job": "summarize", "paths": ["calc.py"], "question": None})
