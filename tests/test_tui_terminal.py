"""The real program on a real terminal: the whole job by keys, and a terminal that is as it was however it ends."""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import coder
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.terminal import Terminal, plain_text
from tests.work import make_repository

BEFORE = "".join(f"line {number}\n" for number in range(40))
AFTER = BEFORE.replace("line 3\n", "LINE 3\n").replace("line 30\n", "LINE 30\n")
EDIT = f"notes.txt\n```\n{AFTER}```\n"
ON = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
READY = "Describe a change"
PACKAGE = Path(coder.__file__).parent


def modes_left_on(raw: bytes) -> set[str]:
    """The private modes that were switched on and never off; those that a shell leaves on are left out."""
    left: dict[str, bytes] = {}
    for numbers, switch in ON.findall(raw):
        for number in numbers.decode().split(";"):
            left[number] = switch
    return {number for number, switch in left.items() if switch == b"h"} - {"25", "7"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {"notes.txt": BEFORE})


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODER_", "OPENAI_", "NO_COLOR"))}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **more}


def screen(root: Path, *arguments: str, **more: str) -> Terminal:
    """`coder` as a user starts it."""
    return Terminal(
        [sys.executable, "-m", "coder", *arguments], env=environ(root, **more), cwd=str(root), size=(110, 36)
    )


def test_a_task_is_typed_reviewed_partly_accepted_and_applied(root: Path) -> None:
    replies = [free_text_call("apply_patch", EDIT), text("Two lines are louder now.")]
    with FakeOpenAI(replies) as server, screen(root, **server.environ()) as terminal:
        terminal.wait_for(READY)
        terminal.send("make two lines loud\r")
        terminal.wait_for("Enter apply", 30)
        while terminal.read(0.8):  # the grace in which typed-ahead keys do not decide
            pass
        terminal.send("a")
        terminal.wait_for("✓1")
        terminal.send("x")
        terminal.wait_for("✗1")
        terminal.send("\r")
        terminal.wait_for("applied")
        terminal.send("\x11")
        assert terminal.wait() == 0
        assert not modes_left_on(bytes(terminal.raw))
        assert terminal.current_modes() == terminal.modes
    assert (root / "notes.txt").read_text() == BEFORE.replace("line 3\n", "LINE 3\n")


def test_a_session_goes_on_where_it_was_left(root: Path) -> None:
    with FakeOpenAI([text("Kept in mind."), text("You said seven.")]) as server:
        with screen(root, **server.environ()) as terminal:
            terminal.wait_for(READY)
            terminal.send("remember seven\r")
            terminal.wait_for("Kept in mind.", 30)
            terminal.wait_for("unchanged")
            terminal.send("\x11")
            assert terminal.wait() == 0
        with screen(root, "--continue", **server.environ()) as terminal:
            terminal.wait_for("Kept in mind.", 30)
            terminal.send("what did I say?\r")
            terminal.wait_for("You said seven.", 30)
            terminal.send("\x11")
            assert terminal.wait() == 0
        assert not server.refusals


def test_a_task_and_a_hunk_are_written_in_the_users_editor(root: Path, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\ncase $1 in *.diff) sed -i 's/^+LINE 3$/+Line three/' $1;; *) echo 'mend the notes' > $1;; esac\n"
    )
    editor.chmod(0o755)
    replies = [free_text_call("apply_patch", EDIT), text("Done.")]
    with FakeOpenAI(replies) as server, screen(root, **server.environ(), EDITOR=str(editor)) as terminal:
        terminal.wait_for(READY)
        terminal.send("\x07")
        terminal.wait_for("mend the notes")
        terminal.send("\r")
        terminal.wait_for("Enter apply", 30)
        while terminal.read(0.8):
            pass
        terminal.send("e")
        terminal.wait_for("edited, accepted")
        terminal.send("x")
        terminal.wait_for("✗1")
        terminal.send("\r")
        terminal.wait_for("applied")
        terminal.send("\x11")
        assert terminal.wait() == 0
        assert not modes_left_on(bytes(terminal.raw))
    assert (root / "notes.txt").read_text() == BEFORE.replace("line 3\n", "Line three\n")


@contextmanager
def running(root: Path, *, busy: bool) -> Iterator[Terminal]:
    """The screen, waiting for the model if `busy`, else for a task."""
    with FakeOpenAI([text("hm " * 50).stall(1, 60)]) as server, screen(root, **server.environ()) as terminal:
        terminal.wait_for(READY)
        if busy:
            terminal.send("go\r")
            terminal.wait_for("waiting for gpt-5.4-mini")
        yield terminal


@pytest.mark.parametrize(("number", "busy"), [(signal.SIGTERM, True), (signal.SIGHUP, False), (signal.SIGQUIT, False)])
def test_a_signal_gives_the_terminal_back(root: Path, number: signal.Signals, busy: bool) -> None:
    with running(root, busy=busy) as terminal:
        assert modes_left_on(bytes(terminal.raw))
        os.kill(terminal.pid, number)
        assert terminal.wait(5) == 128 + number
        assert not modes_left_on(bytes(terminal.raw))
        assert terminal.current_modes() == terminal.modes


def test_a_suspended_screen_gives_the_terminal_to_the_shell_and_takes_it_again(root: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("job control needs bash")
    env = environ(root, OPENAI_API_KEY="sk-test-0123456789", PS1="ready> ")
    with Terminal([bash, "--norc", "--noprofile", "-i"], env=env, cwd=str(root), size=(110, 36)) as terminal:
        terminal.wait_for("ready>")
        terminal.send(f"{sys.executable} -m coder\r")
        terminal.wait_for(READY, 30)
        terminal.send("half a task\x1a")
        terminal.wait_for("Stopped")
        assert modes_left_on(bytes(terminal.raw)) <= {"2004"}  # bracketed paste is the shell's own
        back = len(terminal.raw)
        terminal.send("fg\r")
        terminal.wait_for("half a task", start=back)
        terminal.wait_for("panels", start=back)  # what did not change is drawn too
        assert {"1049", "1003"} <= modes_left_on(bytes(terminal.raw))
        terminal.send(" more\x11")
        terminal.wait_for("ready>", start=back)
        terminal.send("echo left with $?; exit\r")
        terminal.wait_for("left with 0", start=back)
        assert terminal.wait() == 0
    assert modes_left_on(bytes(terminal.raw)) <= {"2004"}


BUG = """
import os
import sys
from pathlib import Path
from coder.events import ReplyFinished
from coder.tui import run_screen
from coder.tui.door import ScreenOptions

async def open_session(emit, ask):
    os.write(2, b"a library says something\\n")
    emit(ReplyFinished(5))

try:
    run_screen(open_session, options=ScreenOptions(log=Path(sys.argv[1])))
except RuntimeError as error:
    print("told:", error, flush=True)
    sys.exit(70)
"""


def test_a_bug_in_the_screen_gives_the_terminal_back_and_what_libraries_say_is_in_the_log(root: Path) -> None:
    log = root / "screen.log"
    with Terminal([sys.executable, "-c", BUG, str(log)], env=environ(root), cwd=str(PACKAGE.parent)) as terminal:
        assert terminal.wait(30) == 70
        assert "told: the screen failed" in plain_text(bytes(terminal.raw))
        assert "a library says something" in log.read_text() and b"a library" not in terminal.raw
        assert not modes_left_on(bytes(terminal.raw))
        assert terminal.current_modes() == terminal.modes


def test_a_lost_connection_ends_the_program(root: Path) -> None:
    with running(root, busy=True) as terminal:
        began = time.monotonic()
        terminal.hang_up()
        while not terminal.ended():
            assert time.monotonic() - began < 5
            time.sleep(0.02)
        assert terminal.code == 128 + signal.SIGHUP


def test_an_interrupted_start_leaves_nothing_behind(root: Path) -> None:
    with screen(root, OPENAI_API_KEY="sk-test-0123456789") as terminal:
        terminal.read(0.25)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait(5) in (128 + signal.SIGTERM, -signal.SIGTERM)
        assert not modes_left_on(bytes(terminal.raw))
        assert terminal.current_modes() == terminal.modes


def test_without_a_key_the_ways_on_are_told(root: Path) -> None:
    with screen(root) as terminal:
        terminal.wait_for("coder demo")
        terminal.send("\x04")
        assert terminal.wait() == 0
