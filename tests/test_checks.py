"""Which test commands may run: word for word what somebody approved, asked about again when it changes."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import convert, structs

from coder.config import Settings
from coder.events import Answer, ApproveCommand, Question
from coder.session.checks import CheckOptions
from coder.session.session import SessionOptions
from tests import sandbox_kit
from tests.conversation import User
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.inside import inside
from tests.work import CALC, FIX, FIXED, UNITTEST, Ended, make_repository

FIXES = [free_text_call("apply_patch", FIX), text("add() now adds.")]
ROOT = Path(__file__).parent.parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def configure(root: Path, command: str) -> None:
    (root / ".coder.toml").write_text(f"[test]\ncommands = [{command!r}]\n")


def run(root: Path, *flags: str, spends: bool = True) -> Ended:
    """Without a sandbox, whose self-test has nothing to do with what is allowed."""
    argv = ("run", "mend add", "--output", "json", "--sandbox", "off", *flags)
    with FakeOpenAI(FIXES) as server:
        ended = inside(root, *argv, env=server.environ())
        assert bool(server.requests) is spends
    return ended


def test_a_configured_command_of_a_trusted_repository_is_refused_once_it_changes(root: Path, tmp_path: Path) -> None:
    configure(root, UNITTEST)
    told = inside(root, "trust", "add").out
    assert f"its tests may run: {UNITTEST} (configuration)" in told
    ended = run(root, "--dry-run")
    assert (ended.code, ended.result["tests"]["status"]) == (0, "passed"), ended.err
    configure(root, f"touch {tmp_path}/ran")
    ended = run(root, "--dry-run", spends=False)
    assert (ended.code, ended.result["status"]) == (3, "refused"), ended.err
    assert f"touch {tmp_path}/ran" in ended.result["error"]["message"] and not (tmp_path / "ran").exists()
    configure(root, f"{UNITTEST} -v")
    assert run(root, "--dry-run", "--trust").result["tests"]["command"][-1] == "-v"
    assert run(root, "--dry-run", spends=False).code == 3  # --trust was for that run
    assert inside(root, "trust", "add").code == 0
    assert run(root).result["tests"]["status"] == "passed"


def test_a_detected_command_is_refused_where_another_one_was_approved(root: Path) -> None:
    ended = run(root, "--dry-run")
    assert (ended.code, ended.result["tests"]["status"]) == (0, "not_run")
    told = inside(root, "trust", "add").out
    assert "its tests may run: python3 -m unittest discover (detected: test_calc.py)" in told
    (root / "pytest.ini").write_text("[pytest]\n")
    ended = run(root, spends=False)
    assert (ended.code, "python3 -m pytest" in ended.result["error"]["message"]) == (3, True), ended.err


def test_a_command_is_asked_about_once_and_again_when_it_changes(root: Path) -> None:
    asked: list[ApproveCommand] = []

    class Person(User):
        async def _ask(self, question: Question) -> Answer:
            asked.extend([question] if isinstance(question, ApproveCommand) else [])
            return await super()._ask(question)

    for number, command in enumerate((UNITTEST, UNITTEST, f"{UNITTEST} -v")):
        settings = convert({"test": {"commands": (command,)}, "api_key_env": ""}, Settings)
        options = SessionOptions(checks=CheckOptions(foreign=True, sandbox="off"))
        (root / "calc.py").write_text(CALC)
        with FakeOpenAI(FIXES) as server:
            person = Person(root, structs.replace(settings, base_url=server.base_url), options)
            person.session(f"s{number}", lambda session: session.run("mend add"))
    first, second = asked
    assert (first.commands, first.why) == ((tuple(shlex.split(UNITTEST)),), "")
    assert second.commands[0][-1] == "-v" and "not among the commands that were approved" in second.why


# What a container of strict rules does: no namespaces and no mounts; and, if asked for, a kernel without Landlock.
BARE = """
import struct, sys
from coder.sandbox.inside import kernel, seccomp
from coder.cli import exit_code
kernel.forbid_new_privileges()
code = [(0x20, 0, 0, 0), (0x35, 0, 2, 444), (0x35, 1, 0, 447), (6, 0, 0, 0x50026), (6, 0, 0, 0x7FFF0000)]
if sys.argv[1] == "no landlock":
    seccomp.install(b"".join(struct.pack("=HBBI", *each) for each in code))
seccomp.install(seccomp.program(own_namespaces=True, brokered=False))
sys.exit(exit_code(sys.argv[2:]))
"""


def bare(root: Path, *arguments: str, answers: str = "", kernel: str = "no landlock") -> Ended:
    argv = [sys.executable, "-c", BARE, kernel, "--cwd", str(root), *arguments]
    again = [free_text_call("apply_patch", FIX), text("add() now adds.")]
    with FakeOpenAI([*FIXES, *again]) as server:
        environ = {**os.environ, **server.environ()}
        done = subprocess.run(argv, cwd=ROOT, env=environ, input=answers, capture_output=True, text=True, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_without_any_sandbox_a_person_is_asked_each_time(root: Path) -> None:
    options = ("--plain", "--set", f"test.commands=['{UNITTEST}']")
    ended = bare(root, *options, answers="mend add\nn\nn\nmend add\ny\ny\n")
    assert ended.err.count("WITHOUT a sandbox") == 2 and ended.out.count("Tests did not run") == 1, ended.err
    assert "1 passed, 0 failed" in ended.err and (root / "calc.py").read_text() == FIXED


def test_without_any_sandbox_a_run_without_a_person_is_refused(root: Path) -> None:
    ended = bare(root, "run", "mend add", "--test", UNITTEST, "--output", "json")
    assert (ended.code, "no sandbox holds here" in ended.result["error"]["message"]) == (3, True), ended.err


def test_the_limits_of_a_weaker_sandbox_are_told(root: Path) -> None:
    if why := sandbox_kit.trouble("landlock"):
        pytest.skip(why)
    ended = bare(root, "run", "mend add", "--test", UNITTEST, "--output", "json", kernel="landlock")
    assert (ended.code, ended.result["sandbox"], ended.result["tests"]["status"]) == (0, "landlock 9/9", "passed")
    assert any("runs in a copy at another path" in warning for warning in ended.result["warnings"])
