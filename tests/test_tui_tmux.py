"""The real program in a real tmux: the whole life of a change, from the task to the session that goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.work import make_repository

BEFORE = "".join(f"line {number}\n" for number in range(60))
LOUD = [3, 30, 50]
AFTER = "".join(f"{'LINE' if number in LOUD else 'line'} {number}\n" for number in range(60))
REPLIES = [free_text_call("apply_patch", f"notes.txt\n```\n{AFTER}```\n"), text("Three lines are louder now.")]


class Tmux:
    """A server of our own with one window, where the end of the program is told and the window stays."""

    def __init__(self, socket: Path, root: Path, env: dict[str, str]) -> None:
        self._command = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._program = [
            "env",
            "-u",
            "COLUMNS",
            "-u",
            "LINES",
            *(f"{name}={value}" for name, value in env.items()),
            sys.executable,
            "-m",
            "coder",
        ]
        size = ("-x", "110", "-y", "36")
        self("new-session", "-d", *size, "-c", str(root), "sleep 600")

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def start(self, *arguments: str, before: str = ":") -> None:
        """Start the program in a shell that runs `before` first."""
        line = f'{before}; "$@"; echo "ended with $?"; sleep 600'
        self("respawn-pane", "-k", "sh", "-c", line, "sh", *self._program, *arguments)

    def kill(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        pane = self.says("pane_pid")
        child = subprocess.run(["pgrep", "-P", pane], capture_output=True, text=True, check=True).stdout
        os.kill(int(child), number)

    def says(self, names: str) -> str:
        """What tmux knows of the window, by the names of its format variables."""
        return self("display-message", "-p", " ".join(f"#{{{name}}}" for name in names.split())).strip()

    def until(self, true: Callable[[str], bool], seconds: float = 60.0) -> str:
        end = time.monotonic() + seconds
        while not true(shown := self("capture-pane", "-p")):
            assert time.monotonic() < end, shown
            time.sleep(0.1)
        return shown

    def sees(self, words: str) -> str:
        return self.until(lambda shown: words in shown)

    def rest(self) -> None:
        """Until nothing was painted for longer than keys are kept from deciding."""
        before, since = "", time.monotonic()
        while time.monotonic() - since < 1.2:
            shown = self("capture-pane", "-p")
            if shown != before:
                before, since = shown, time.monotonic()
            time.sleep(0.05)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None or shutil.which("pgrep") is None:
        pytest.skip("needs tmux and pgrep")
    root = make_repository(tmp_path / "repo", {"notes.txt": BEFORE})
    with FakeOpenAI(REPLIES) as server:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("XDG_", "HOME", "COVERAGE"))}
        opened = Tmux(tmp_path / "tmux", root, {**kept, **server.environ(), "NO_COLOR": "1"})
        try:
            yield opened
        finally:
            opened("kill-server")


def test_two_of_three_hunks_are_accepted_resized_killed_and_resumed(tmux: Tmux, tmp_path: Path) -> None:
    tmux.start()
    tmux.sees("Describe a change")
    tmux("send-keys", "-l", "make three lines loud")
    tmux("send-keys", "Enter")
    tmux.sees("Enter apply")
    tmux.rest()
    tmux("send-keys", "a")
    tmux.sees("✓1")
    tmux("send-keys", "x")
    tmux.sees("✗1")
    tmux("resize-window", "-x", "2", "-y", "1")  # it must not end
    tmux.until(lambda shown: shown.count("\n") == 1)
    tmux("resize-window", "-x", "60", "-y", "20")
    tmux.until(lambda shown: shown.count("\n") == 20 and "✓1 ✗1 ·1" in shown and "LINE 50" in shown)
    tmux("send-keys", "a")
    tmux.sees("✓2")
    tmux("send-keys", "Enter")
    tmux.sees("applied")
    expected = BEFORE.replace("line 3\n", "LINE 3\n").replace("line 50\n", "LINE 50\n")
    assert (tmp_path / "repo" / "notes.txt").read_text() == expected

    tmux.kill(signal.SIGTERM)
    tmux.sees("ended with 143")
    assert tmux.says("alternate_on mouse_any_flag cursor_flag") == "0 0 1"

    tmux("resize-window", "-x", "110", "-y", "36")
    tmux.start("--continue")
    shown = tmux.sees("Three lines are louder now.")
    assert "make three lines loud" in shown and "applied" in shown
    tmux("send-keys", "C-q")
    tmux.sees("ended with 0")


def test_inline_the_screen_stands_under_what_was_there_and_its_last_picture_stays(tmux: Tmux, tmp_path: Path) -> None:
    tmux.start("--set", "screen.inline=true", before="seq 3")
    assert tmux.sees("Describe a change").startswith("1\n2\n3\n")
    tmux("send-keys", "-l", "make three lines loud")
    tmux("send-keys", "Enter")
    assert tmux.sees("Enter apply").startswith("1\n2\n3\n")
    tmux.rest()
    tmux("send-keys", "A")
    tmux.sees("✓3")
    tmux("send-keys", "Enter")
    tmux.sees("applied")
    assert (tmp_path / "repo" / "notes.txt").read_text() == AFTER
    tmux("resize-window", "-x", "80", "-y", "30")
    tmux.until(lambda shown: shown.count("\n") == 30 and shown.count("Describe a change") == 1)
    tmux("send-keys", "C-q")
    shown = tmux.sees("ended with 0")
    assert shown.index("Describe a change") < shown.index("ended with 0")
    assert tmux.says("mouse_any_flag alternate_on") == "0 0"
