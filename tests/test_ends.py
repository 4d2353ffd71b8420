"""Ends that nobody plans: signals, closed pipes and full disks while a run streams, tests or applies. One result each,
and the tree as it was unless the exit code is 0."""

import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests import work
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.schemas import check_line, check_result
from tests.warm import coder
from tests.work import FIX, FIXED, UNITTEST, git, make_repository, state_of

MARK = f"61.{os.getpid()}"  # seconds to sleep, and by them a worker knows its own sleepers
SLEEPING = f"{sys.executable} -c 'import time; time.sleep({MARK})'"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def fixes() -> list[Any]:
    return [free_text_call("apply_patch", FIX), text("add() now adds.")]


def start(root: Path, server: FakeOpenAI, *flags: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "coder", "run", "mend", *flags],
        cwd=root,
        env={**os.environ, **server.environ()},
        stdin=subprocess.DEVNULL,
        bufsize=0,  # what is read line by line must not be held back from communicate()
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def lines_until(process: subprocess.Popen[bytes], kind: str) -> list[dict[str, Any]]:
    """The event lines up to the first of this type."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["type"] == kind:
            return seen
    raise AssertionError(f"no {kind} among {[each['type'] for each in seen]}")


def rest(process: subprocess.Popen[bytes], seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out, _ = process.communicate(timeout=60)
    lines = seen + [json.loads(line) for line in out.splitlines()]
    for line in lines:
        check_line(line)
    assert [line["type"] for line in lines].count("result") == 1
    assert lines[-1]["type"] == "result"
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    return lines


def sleepers() -> list[str]:
    """Processes that still run the sleeping test command."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(b"import time") and MARK.encode() in word for word in words):
            found.append(place.parent.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_tests_run_ends_them_too(root: Path, number: signal.Signals) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server:
        process = start(root, server, "--test", SLEEPING, "--output", "jsonl")
        seen = lines_until(process, "test_started")
        process.send_signal(number)
        result = rest(process, seen)[-1]
    assert (process.returncode, result["status"]) == (128 + number, "interrupted")
    assert "+    return a + b" in result["patch"]
    assert state_of(root) == before
    assert sleepers() == []


def test_the_time_limit_ends_tests_too(root: Path) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server:
        process = start(root, server, "--test", SLEEPING, "--timeout", "8", "--output", "jsonl")
        result = rest(process, [])[-1]
    assert (process.returncode, result["status"], state_of(root)) == (5, "limit", before)
    assert sleepers() == []


@pytest.mark.parametrize("kind", ["draft", "proposal", "applied"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_around_the_apply_leaves_all_or_nothing(root: Path, kind: str, number: signal.Signals) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server:
        process = start(root, server, "--no-test", "--output", "jsonl")
        seen = lines_until(process, kind)
        process.send_signal(number)
        result = rest(process, seen)[-1]
    assert process.returncode in (0, 128 + number)
    assert result["exit_code"] == process.returncode
    if process.returncode == 0:
        assert (root / "calc.py").read_text() == FIXED
        assert result["checkpoint"]
    else:
        assert state_of(root) == before


def test_a_signal_while_it_still_starts_ends_in_a_result_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGTERM)})\n")
    ended = work.coder(root, "run", "mend", "--output", "json", env={"PYTHONPATH": str(tmp_path)})
    assert (ended.code, ended.result["status"]) == (143, "interrupted")


def test_many_signals_end_it_once(root: Path) -> None:
    with FakeOpenAI([text("slow").stall(2, 30)]) as server:
        process = start(root, server, "--no-test", "--output", "jsonl")
        seen = lines_until(process, "step")
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        result = rest(process, seen)[-1]
    assert (process.returncode, result["status"]) == (result["exit_code"], "interrupted")
    assert process.returncode in (129, 130, 143)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_result_adds_none(root: Path, number: signal.Signals) -> None:
    with FakeOpenAI([text("It is right.")]) as server:
        process = start(root, server, "--no-test", "--output", "jsonl")
        seen = lines_until(process, "result")
        process.send_signal(number)
        assert rest(process, seen)[-1]["exit_code"] == process.returncode == 6


@pytest.mark.parametrize("kind", ["session", "draft", "proposal"])
def test_a_reader_of_lines_that_goes_away_ends_the_run(root: Path, kind: str) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server:
        process = start(root, server, "--no-test", "--output", "jsonl")
        lines_until(process, kind)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        err = process.stderr.read().decode()
        process.wait(60)
    assert process.returncode in (0, 141)
    assert "Traceback" not in err
    assert process.returncode == 0 or state_of(root) == before


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_a_full_disk_behind_stdout_is_told_and_undone(root: Path, form: str, tmp_path: Path) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server, open("/dev/full", "wb") as full:
        process = start(root, server, "--no-test", "--output", form, "--output-file", str(tmp_path / "r"), stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, state_of(root)) == (1, before)
    assert re.findall("(?m)^coder: .*", err.decode()) == ["coder: cannot write the result: No space left on device"]
    written = json.loads((tmp_path / "r").read_text())
    check_result(written)
    assert (written["exit_code"], written["checkpoint"]) == (1, None)


@pytest.mark.parametrize("flags", [[], ["--commit"]], ids=str)
def test_a_change_that_somebody_made_meanwhile_takes_nothing_earlier_back(root: Path, flags: list[str]) -> None:
    git(root, "config", "user.name", "u")
    git(root, "config", "user.email", "u@e")
    (root.parent / "edit").write_text("*** Begin Patch\n*** Add File: earlier.py\n+x = 1\n*** End Patch\n")
    assert coder(root, "apply", str(root.parent / "edit")).code == 0

    def meanwhile(_: object) -> Any:
        (root / "calc.py").write_text(FIXED)
        return fixes()[1]

    where = ["--output", "jsonl", "--output-file", "/dev/full"]  # which nobody will hear of
    with FakeOpenAI([fixes()[0], meanwhile]) as server:
        ended = coder(root, "run", "mend", "--no-test", *flags, *where, env=server.environ())
    assert (ended.code, ended.lines[-1]["checkpoint"]) == (1, None)
    assert git(root, "status", "--porcelain") == " M calc.py\n?? earlier.py\n"
    assert git(root, "log", "--format=%s") == "base\n"


@pytest.mark.parametrize("flag", ["--output-file", "--junit"])
def test_a_file_that_cannot_be_written_undoes_the_change_and_is_told(root: Path, flag: str) -> None:
    before = state_of(root)
    with FakeOpenAI(fixes()) as server:
        flags = ["--no-test", flag, "/dev/full", "--output", "jsonl"]
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert (ended.code, state_of(root)) == (1, before)
    assert "cannot write the result" in ended.lines[-1]["error"]["message"]
    assert (ended.lines[-1]["checkpoint"], ended.err.count("cannot write")) == (None, 1)


def test_a_repository_that_goes_away_hides_no_cost(root: Path) -> None:
    def meanwhile(_: object) -> Any:
        root.rename(root.parent / "elsewhere")
        return fixes()[1]

    with FakeOpenAI([fixes()[0], meanwhile]) as server:
        ended = coder(root, "run", "mend", "--no-test", "--output", "jsonl", env=server.environ())
    assert (ended.code, ended.lines[-1]["usage"][0]["requests"]) == (1, 2)
    assert ended.lines[-1]["cost_usd"] > 0


def test_closed_streams_change_nothing_of_the_work(root: Path) -> None:
    with FakeOpenAI(fixes()) as server:
        env = {**os.environ, **server.environ()}
        command = f"exec {sys.executable} -m coder run mend --no-test <&- >&- 2>&-"
        done = subprocess.run(["sh", "-c", command], cwd=root, env=env, timeout=60)
    assert done.returncode == 0
    assert (root / "calc.py").read_text() == FIXED


def test_the_result_file_and_stdout_say_the_same(root: Path, tmp_path: Path) -> None:
    with FakeOpenAI(fixes()) as server:
        flags = ["--no-test", "--output", "json", "--output-file", str(tmp_path / "r.json")]
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert ended.result == json.loads((tmp_path / "r.json").read_text())


def test_an_early_end_is_in_the_result_file_too(root: Path, tmp_path: Path) -> None:
    ended = coder(root, "run", "mend", "--max-cost", "lots", "--output-file", str(tmp_path / "r.json"))
    written = json.loads((tmp_path / "r.json").read_text())
    check_result(written)
    assert (ended.code, written["exit_code"], written["status"]) == (2, 2, "usage")


def test_the_test_report_is_written_as_junit(root: Path, tmp_path: Path) -> None:
    wrong = free_text_call("apply_patch", FIX.replace("a + b", "a * b"))
    report = tmp_path / "junit.xml"
    with FakeOpenAI([wrong, *[text("done")] * 9]) as server:
        flags = ["--test", UNITTEST, "--junit", str(report)]
        ended = coder(root, "run", "mend", *flags, env=server.environ())
    assert ended.code == 1
    (suite,) = ElementTree.parse(report).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (UNITTEST, "1", "1")
    (case,) = suite
    assert case.get("name") == "test_calc.T.test_add"
    assert "6 != 5" in (case[0].get("message") or "")
    read_again = coder(root, "triage", "--junit", str(report), "--output", "json")
    assert read_again.result["tests"]["failed"] == 1


@pytest.mark.parametrize("flags", [[], ["--branch", "fix"]], ids=str)
def test_a_commit_that_nobody_hears_of_is_taken_back(root: Path, tmp_path: Path, flags: list[str]) -> None:
    git(root, "config", "user.name", "u")
    git(root, "config", "user.email", "u@e")
    git(root, "config", "commit.gpgSign", "true")
    before = state_of(root)  # HEAD, branches, their logs and the index included
    with FakeOpenAI(fixes()) as server, open("/dev/full", "wb") as full:
        where = ["--output", "json", "--output-file", str(tmp_path / "r")]
        process = start(root, server, "--no-test", "--commit", *flags, *where, stdout=full)
        process.communicate(timeout=60)
    assert (process.returncode, state_of(root)) == (1, before)
    written = json.loads((tmp_path / "r").read_text())
    assert (written["exit_code"], written["commit"], written["checkpoint"]) == (1, None, None)
    assert "+    return a + b" in written["patch"]
    assert any("not signed" in warning for warning in written["warnings"])
