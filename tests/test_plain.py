"""`coder --plain`: the whole work line by line, on a terminal and from a script; nothing that moves a cursor."""

import io
import itertools
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from coder.plain.commands import COMMANDS
from coder.plain.console import Console
from coder.plain.hunks import Choices
from coder.plain.review import review
from coder.repo.diff import select
from coder.repo.repository import FileState, Repository
from coder.repo.trust import TrustStore
from coder.session.commands import WORDS
from coder.session.sessions import list_sessions
from coder.store import find_places
from coder.values import Proposal
from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text
from tests.inside import inside
from tests.terminal import Terminal
from tests.work import CALC, FIX, FIXED, IDENTITY, UNITTEST, coder, git, make_repository, state_of

FIXES = [free_text_call("apply_patch", FIX), text("add() now adds.")]
TESTED = ("--set", f'test.commands=["{UNITTEST}"]')
UNTESTED = ("--set", 'test.commands=["true"]')

LONG = "".join(f"line {number}\n" for number in range(1, 41))
TWO_CHANGES = """*** Begin Patch
*** Update File: long.txt
@@
 line 2
-line 3
+LINE 3
 line 4
 line 5
-line 6
+LINE 6
 line 7
@@
 line 29
-line 30
+LINE 30
 line 31
*** End Patch
"""
EDITS = [free_text_call("apply_patch", TWO_CHANGES), text("Shouted.")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "long", {"long.txt": LONG})


@contextmanager
def terminal(root: Path, server: FakeOpenAI, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    environ = {"TERM": "xterm-256color", **os.environ, **server.environ(), **(env or {})}
    argv = [sys.executable, "-m", "coder", "--plain", *args]
    with Terminal(argv, env=environ, cwd=str(root)) as opened:
        opened.wait_for("coder> ")
        yield opened


# ── from a script ────────────────────────────────────────────────────────────────────────────────


def test_a_script_of_answers_does_the_whole_work(root: Path):
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", *TESTED, env=server.environ(), stdin="mend add\ny\n/undo\ny\n")
        assert server.refusals == []
    assert ended.code == 0, ended.err
    assert "add() now adds." in ended.out and "+    return a + b" in ended.out
    assert "All tests pass on the draft." in ended.out and "fixed: test_calc.T.test_add" in ended.out
    assert "applied: calc.py" in ended.err and "restored: calc.py" in ended.err
    assert (root / "calc.py").read_text() == CALC


def test_what_was_applied_is_committed_once_its_message_is_approved(root: Path):
    script = "mend add\ny\n/commit\nn\n/commit Let add() add\n/commit\n"
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", *UNTESTED, env={**server.environ(), **IDENTITY}, stdin=script)
    assert "nothing was committed" in ended.err and "nothing that was applied here waits" in ended.err
    assert git(root, "log", "-1", "--format=%s") == "Let add() add\n"
    assert git(root, "status", "--porcelain") == ""


def test_the_result_is_on_stdout_and_the_talk_on_stderr(root: Path):
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", "--task", "mend add", *UNTESTED, env=server.environ(), stdin="y\n")
    assert ended.out.startswith("add() now adds.\n\nproposal: ")
    assert "accept this hunk" in ended.err and "accept this hunk" not in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_the_end_of_the_input_accepts_nothing(root: Path):
    before = state_of(root)
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", "--task", "mend add", *UNTESTED, env=server.environ(), stdin="")
    assert (ended.code, state_of(root)) == (1, before)


def test_without_a_key_it_says_so_and_takes_no_answer_for_a_task(root: Path):
    ended = inside(root, "--plain", stdin="mend add\ny\nanother task\n")
    assert ended.code == 2 and "OPENAI_API_KEY" in ended.err
    assert ended.err.count("> ") == 1


def test_a_lone_answer_is_never_a_task(root: Path):
    with FakeOpenAI([text("It is fine.")]) as server:
        ended = inside(root, "--plain", env=server.environ(), stdin="is it fine?\ny\n")
        assert len(server.requests) == 1
    assert ended.code == 6 and "'y' answers no question" in ended.err


def test_nobody_approves_a_test_command_by_silence(root: Path):
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", env=server.environ(), stdin="mend add\n\ny\n")
    assert "[y/N]" in ended.err and "testing the draft" not in ended.err
    assert "Tests did not run" in ended.out and (root / "calc.py").read_text() == FIXED


@pytest.mark.parametrize(
    ("answer", "remembered", "told"), [("y", False, ""), ("a", True, ""), ("n too slow", False, "too slow")]
)
def test_a_command_is_approved_for_the_session_or_always_or_refused_with_a_reason(
    root: Path, answer: str, remembered: bool, told: str
):
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, "--plain", env=server.environ(), stdin=f"mend add\n{answer}\ny\n")
    assert ("testing the draft" in ended.err) is (not told)
    assert bool(TrustStore(find_places()).approved_commands(root)) is remembered
    assert not told or "the user did not let them run: too slow" in ended.out


def test_beside_the_turns_a_question_a_command_and_an_export(root: Path, tmp_path: Path):
    with FakeOpenAI([text("Looked."), text("It is calc."), text("Seen.")]) as server:
        script = f"look\n/btw which file?\n!echo forty-two\ny\nwhat was it?\n/export {tmp_path}/out.md\n"
        ended = inside(root, "--plain", env=server.environ(), stdin=script)
        assert "forty-two" in str(server.bodies()[-1]["input"]) and "which file" not in str(
            server.bodies()[-1]["input"]
        )
        assert server.refusals == []
    assert "It is calc." in ended.out and "forty-two" in ended.out and "it ended with 0" in ended.err
    assert "It is calc." not in (tmp_path / "out.md").read_text() and "Looked." in (tmp_path / "out.md").read_text()


def test_a_protected_path_needs_a_yes_of_its_own(root: Path):
    edit = "*** Begin Patch\n*** Add File: .github/workflows/ci.yml\n+on: push\n*** End Patch\n"
    script = [free_text_call("apply_patch", edit), text("done")] * 2
    with FakeOpenAI(script) as server:
        refused = inside(root, "--plain", *UNTESTED, env=server.environ(), stdin="add ci\ny\nn\nn\n")
        assert "PROTECTED" in refused.out and not (root / ".github").exists()
        inside(root, "--plain", *UNTESTED, env=server.environ(), stdin="add ci\ny\ny\n")
    assert (root / ".github/workflows/ci.yml").read_text() == "on: push\n"


def test_what_a_model_says_cannot_steer_the_terminal(root: Path):
    with FakeOpenAI([text("hello\x1b]52;c;aGk=\x07 \u202eevil\r\nnext").chopped(1)]) as server:
        ended = inside(root, "--plain", env=server.environ(), stdin="hi\n")
    assert "\x1b" not in ended.out and "\u202e" not in ended.out
    assert "hello\u241b]52;c;aGk=\u2407 <U+202E>evil\nnext" in ended.out


def test_a_session_is_continued_with_its_past_shown(root: Path):
    with FakeOpenAI([*FIXES, text("Because of the minus.")]) as server:
        inside(root, "--plain", *UNTESTED, env=server.environ(), stdin="mend add\ny\n")
        ended = inside(root, "--plain", "--continue", env=server.environ(), stdin="why?\n")
        assert server.refusals == []
    assert "> mend add" in ended.err and "add() now adds." in ended.out and "Because of the minus." in ended.out
    (info,) = list_sessions(find_places())
    assert info.turns == 2
    assert inside(root, "--plain", "--resume", "nosuch", stdin="").code == 2


# ── by hunk ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Gives the answers to a review of two hunks; which lines of the file changed by what was accepted."""
    root = make_repository(tmp_path / "repo", {"long.txt": LONG})
    new = LONG.replace("line 3\n", "LINE 3\n").replace("line 6\n", "LINE 6\n").replace("line 30\n", "LINE 30\n")

    def answer(answers: str) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        with Repository.open(root, find_places(), "s") as repository:
            before = repository.snapshot().tree
            after = repository.write_tree(before, {"long.txt": FileState(new.encode())})
            files = repository.diff(before, after)
            decision = review(Console(), Proposal(before, after, files, repository.patch(before, after)))
            made = repository.read(repository.apply(before, select(files, decision)), "long.txt")
        assert made is not None
        pairs = zip(LONG.split("\n"), made.decode().split("\n"), strict=True)
        return [now for was, now in pairs if was != now]

    return answer


@pytest.mark.parametrize(
    ("answers", "changed"),
    [
        ("y\nn\n", ["LINE 3", "LINE 6"]),
        ("n\ny\n", ["LINE 30"]),
        ("a\n", ["LINE 3", "LINE 6", "LINE 30"]),
        ("y\nq\n", ["LINE 3", "LINE 6"]),
        ("d\n", []),
        ("s\ny\nn\ny\n", ["LINE 3", "LINE 30"]),
        ("s\nn\ny\nn\n", ["LINE 6"]),
        ("j\ny\ny\n", ["LINE 3", "LINE 6", "LINE 30"]),
        ("y\nk\nn\ny\n", ["LINE 30"]),
        ("?\nx\ny\nn\n", ["LINE 3", "LINE 6"]),
        ("g\ng 2\ny\nn\n", ["LINE 30"]),
        ("/line 30\ny\n/nothing\nn\n", ["LINE 30"]),
    ],
)
def test_each_answer_of_a_review(reviewed: Callable[[str], list[str]], answers: str, changed: list[str]):
    assert reviewed(answers) == changed


def script_editor(place: Path, monkeypatch: pytest.MonkeyPatch, *commands: str) -> None:
    """An editor that runs these sed commands on its file."""
    editor = place / "editor"
    editor.write_text(f'#!/bin/sh\nsed -i {" ".join(f"-e {shlex.quote(each)}" for each in commands)} "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))


def test_a_hunk_is_edited_in_the_users_editor(
    reviewed: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script_editor(tmp_path, monkeypatch, "s/+LINE 6/+six/", "s/^-line 3/ line 3/", "/^+LINE 3/d")
    assert reviewed("e\nn\n") == ["six"]
    assert reviewed("s\nn\ne\nn\n") == ["six"]


def test_an_edit_that_comes_to_nothing_is_asked_about_again(
    reviewed: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script_editor(tmp_path, monkeypatch, "s/^ line 2/ line two/")
    assert reviewed("e\nn\ny\n") == ["LINE 30"]
    script_editor(tmp_path, monkeypatch, "d")
    assert reviewed("e\nq\n") == []
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert reviewed("e\ny\nq\n") == ["LINE 3", "LINE 6"]


def test_a_comment_rejects_and_goes_back_to_the_model(long: Path):
    with FakeOpenAI([*EDITS, text("Understood.")]) as server:
        stdin = "shout\nc do not shout here\ny\ngo on\n"
        inside(long, "--plain", *UNTESTED, env=server.environ(), stdin=stdin)
        remarks = str(server.requests[-1].body["input"][-3:])
    assert "the user says: do not shout here" in remarks
    assert (long / "long.txt").read_text() == LONG.replace("line 30", "LINE 30")


def test_any_parts_of_a_split_hunk_make_a_patch_that_applies(tmp_path: Path):
    old = b"a\nb\nc\nd\ne\nf\ng\nlast"
    new = b"a\nB\nc\nX\nd\nf\ng\nLAST\n"
    root = make_repository(tmp_path / "repo", {"f": old.decode()})
    with Repository.open(root, find_places(), "s") as repository:
        before = repository.snapshot().tree
        files = repository.diff(before, repository.write_tree(before, {"f": FileState(new)}))
        count = len(list(_split(files).pieces))
        assert count == 4
        for marks in itertools.product(("accepted", "rejected"), repeat=count):
            choices = _split(files)
            for at, mark in enumerate(marks):
                choices.decide(at, mark)
            patch = select(files, choices.decision())
            made = repository.read(repository.apply(before, patch), "f")
            assert made == expected(marks), marks


def _split(files) -> Choices:
    choices = Choices(files)
    choices.split(0)
    return choices


def expected(marks: tuple[str, ...]) -> bytes:
    took = [mark == "accepted" for mark in marks]
    parts = [
        "a\n",
        "B\n" if took[0] else "b\n",
        "c\n",
        "X\n" if took[1] else "",
        "d\n",
        "" if took[2] else "e\n",
        "f\ng\n",
    ]
    return "".join([*parts, "LAST\n" if took[3] else "last"]).encode()


# ── on a terminal ────────────────────────────────────────────────────────────────────────────────


def test_a_turn_on_a_terminal_from_the_task_to_the_undo(root: Path):
    with FakeOpenAI(FIXES) as server, terminal(root, server, *TESTED) as screen:
        screen.send("mend add\r")
        screen.wait_for("accept this hunk")
        screen.send("y\r")
        screen.wait_for("applied: calc.py")
        assert (root / "calc.py").read_text() == FIXED
        screen.send("/undo\r")
        screen.wait_for("Restore these files? [y/N]")
        screen.send("y\r")
        screen.wait_for("restored: calc.py")
        screen.send("\x04")
        assert screen.wait() == 0
    assert (root / "calc.py").read_text() == CALC


def test_what_was_typed_before_a_question_does_not_answer_it(root: Path):
    slow = [FIXES[0], text("add() now adds.").late(1.5)]
    with FakeOpenAI(slow) as server, terminal(root, server, *UNTESTED) as screen:
        screen.send("mend add\r")
        screen.wait_for("apply_patch")
        screen.send("y\r")
        screen.wait_for("accept this hunk")
        screen.read(1.0)
        assert "hunks accepted" not in screen.raw.decode()
        screen.send("n\r")
        screen.wait_for("0 of 1 hunks accepted")
    assert (root / "calc.py").read_text() == CALC


def test_a_dumb_terminal_gets_no_escape_sequence_at_all(root: Path):
    with FakeOpenAI(FIXES) as server, terminal(root, server, *UNTESTED, env={"TERM": "dumb"}) as screen:
        screen.send("mend add\r")
        screen.wait_for("accept this hunk")
        screen.send("y\r")
        screen.wait_for("applied")
        screen.send("\x04")
        screen.wait()
        assert b"\x1b" not in screen.raw and b"\x08" not in screen.raw


def test_no_colour_where_none_is_wanted_and_nowhere_a_cursor_moves(root: Path):
    for env, colour in (({"NO_COLOR": "1"}, False), ({}, True)):
        git(root, "checkout", "-q", "calc.py")
        with FakeOpenAI(FIXES) as server, terminal(root, server, *UNTESTED, env=env) as screen:
            screen.send("mend add\r")
            screen.wait_for("accept this hunk")
            shown = bytes(screen.raw)
            assert (b"\x1b[32m+" in shown) is colour
            assert re.findall(rb"\x1b\[[0-9;]*[A-HJKfsu]", shown) == []


def test_an_interrupt_stops_the_turn_and_leaves_the_session(root: Path):
    with FakeOpenAI([text("word " * 200).stall(12), text("fine")]) as server, terminal(root, server) as screen:
        screen.send("mend add\r")
        screen.wait_for("word word")
        screen.send("\x03")
        screen.wait_for("interrupted", start=len(screen.raw) - 20)
        screen.send("are you there?\r")
        screen.wait_for("fine")
        screen.send("/quit\r")
        assert screen.wait() == 0


def test_an_interrupt_at_a_question_stops_the_turn_and_changes_nothing(root: Path):
    before = state_of(root)
    with FakeOpenAI(FIXES) as server, terminal(root, server, *UNTESTED) as screen:
        screen.send("mend add\r")
        screen.wait_for("accept this hunk")
        screen.send("\x03")
        screen.wait_for("interrupted")
        screen.send("\x04")
        assert screen.wait() == 0
    assert state_of(root) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_its_code(root: Path, number: int):
    with FakeOpenAI([text("word " * 200).stall(12)]) as server, terminal(root, server) as screen:
        screen.send("mend add\r")
        screen.wait_for("word word")
        os.kill(screen.pid, number)
        assert screen.wait() == 128 + number


def test_earlier_tasks_come_back_with_the_arrow_keys(root: Path):
    with FakeOpenAI([text("fine"), text("fine"), text("fine")]) as server:
        with terminal(root, server) as screen:
            screen.wait_for("coder> ")
            screen.send("what is add?\r")
            screen.wait_for("turn ended")
            screen.send("\x04")
            screen.wait()
        with terminal(root, server) as screen:
            screen.wait_for("coder> ")
            screen.send("\x1b[A\r")
            screen.wait_for("turn ended")
        assert "what is add?" in str(server.requests[-1].body["input"][-1])


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_is_made_edited_and_carried_out(root: Path, tmp_path: Path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "2. Say so." >> "$1"\n')
    editor.chmod(0o700)
    script: list[Answer] = [text("1. Turn the minus into a plus."), *FIXES]
    with FakeOpenAI(script) as server:
        env = {**server.environ(), "EDITOR": str(editor)}
        ended = coder(root, "--plain", *UNTESTED, env=env, stdin="/plan mend add\n/go edit\ny\n")
        assert server.refusals == []
        planned, carried_out = server.bodies()[0], server.bodies()[1]
    assert ended.code == 0, ended.err
    assert {each["name"] for each in planned["tool_choice"]["tools"]} == {
        "read_files",
        "search",
        "list_files",
        "delegate",
    }
    assert "tool_choice" not in carried_out and carried_out["tools"] == planned["tools"]
    assert "1. Turn the minus into a plus.\n2. Say so." in str(carried_out["input"][-1]["content"][0]["text"])
    assert (root / "calc.py").read_text() == FIXED


def test_the_commands_that_send_nothing(root: Path):
    lines = "/help\n/context\n/cost\n/diff\n/test\n/model\n/effort\n/sessions\n/nosuch\n/rewind\n/go\n/compact\n/quit\n"
    with FakeOpenAI([]) as server:
        ended = inside(root, "--plain", env=server.environ(), stdin=lines)
        assert server.requests == []
    assert ended.code == 0, ended.err
    assert all(f"/{command.name}" in ended.err for command in COMMANDS)
    assert "full calc.py" in ended.out and "nothing was spent yet" in ended.out
    assert "there is no command /nosuch" in ended.err and "there is no plan yet" in ended.err


def test_the_plain_face_has_every_command_of_the_screen_that_has_sense_there():
    here = {command.name for command in COMMANDS}
    assert set(WORDS) - here == {"theme", "clear", "agents"} and here <= set(WORDS)


def test_settings_are_shown_trust_is_changed_and_failures_are_asked_for(root: Path):
    lines = "/config max_cost\n/config nosuch\n/trust\ny\n/trust\nn\n/triage\n"
    with FakeOpenAI([]) as server:
        ended = inside(root, "--plain", "--max-cost", "2", env=server.environ(), stdin=lines)
    assert ended.code == 0, ended.err
    assert "limits.max_cost = 2.0  [" in ended.out and "no setting has 'nosuch'" in ended.err
    assert "It is not trusted" in ended.err and "Trust this repository no longer?" in ended.err
    assert TrustStore(find_places()).is_trusted(root)
    assert "there are no failures to triage" in ended.out


def test_a_copy_and_an_older_session_are_gone_on_with(root: Path):
    with FakeOpenAI([text("one"), text("two"), text("three")]) as server:
        inside(root, "--plain", env=server.environ(), stdin="first\nsecond\n/fork 2\nthird\n")
        copied = [item["content"][0]["text"] for item in server.bodies()[-1]["input"] if item.get("role") == "user"]
        copy, first = list_sessions(find_places())
        ended = inside(root, "--plain", env=server.environ(), stdin=f"/resume {first.id}\n/rename older\n/resume\n")
    assert "first" in str(copied) and "third" in str(copied) and "second" not in str(copied)
    assert (copy.turns, first.turns) == (2, 2)
    assert "> second" in ended.err and "which session?" in ended.err
    assert next(info.title for info in list_sessions(find_places()) if info.id == first.id) == "older"
