"""The one runner of git: nothing of the environment gets in, bytes come out as they are, nothing is left behind."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.errors import Failed, UserError
from coder.repo.git import Git, GitError, find_git, git_version, git_warning
from tests.repo_tools import new_ground


@pytest.fixture
def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a script in place of git for this process."""
    Git(None).run("version")  # the library is there already, imported with the real one

    def put(script: str) -> None:
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "git"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin")
        for cached in (find_git, git_version):
            cached.cache_clear()

    yield put
    for cached in (find_git, git_version):
        cached.cache_clear()


def test_git_sees_a_clean_environment(fake_git: Callable[[str], None], monkeypatch: pytest.MonkeyPatch):
    for name in (
        "GIT_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_CONFIG_PARAMETERS",
        "GIT_SSH_COMMAND",
        "OPENAI_API_KEY",
        "EDITOR",
    ):
        monkeypatch.setenv(name, "leak")
    fake_git("/usr/bin/env")
    seen = dict(line.split("=", 1) for line in Git(None).run("anything").decode().splitlines() if "=" in line)
    assert "leak" not in "".join(seen.values()) and seen["HOME"] == "/nonexistent"
    assert {name for name in seen if not name.startswith("GIT_")} <= {
        "PATH",
        "HOME",
        "LC_ALL",
        "PWD",
        "SHLVL",
        "_",
        "OLDPWD",
    }


def test_a_missing_git_is_a_clear_error(tmp_path: Path, fake_git: Callable[[str], None]):
    fake_git("")
    (tmp_path / "bin" / "git").unlink()
    with pytest.raises(UserError, match="git was not found"):
        Git(None).run("version")


def test_an_old_git_is_named_when_it_fails(fake_git: Callable[[str], None]):
    fake_git('test "$1" = version && echo git version 2.20.1 || exit 129')
    with pytest.raises(UserError, match=r"git 2\.20\.1 is too old") as failure:
        Git(None).run("ls-files")
    assert "2.34" in failure.value.hint


@pytest.mark.parametrize(("version", "warned"), [("2.39.2", True), ("2.39.3", False), ("2.54.0", False)])
def test_a_git_without_known_security_fixes_is_warned_of(fake_git: Callable[[str], None], version: str, warned: bool):
    fake_git(f"echo git version {version}.windows.1")
    assert ("lacks security fixes" in git_warning()) == warned


def test_bytes_go_in_and_come_out_unchanged(tmp_path: Path):
    ground = new_ground(tmp_path)
    git = Git(ground.root / ".git")
    content = bytes(range(256)) * 40_000 + b"\n\n"
    oid = git.run("hash-object", "-w", "--stdin", stdin=content).decode().strip()
    assert git.run("cat-file", "blob", oid) == content


def test_a_failure_carries_what_git_said_without_control_characters(fake_git: Callable[[str], None]):
    fake_git("""test "$1" = version && echo git version 2.50.0 || { printf 'a\\033b' >&2; exit 3; }""")
    with pytest.raises(GitError, match="git log failed with status 3: a\u241bb") as failure:
        Git(None).run("log")
    assert (failure.value.code, failure.value.stderr) == (3, b"a\x1bb")


def test_a_command_that_hangs_is_killed_with_its_children(fake_git: Callable[[str], None], tmp_path: Path):
    fake_git(f"/bin/sleep 60 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(Failed, match="did not finish"):
        Git(None).run_code("anything", timeout=0.5)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and Path(f"/proc/{child}").exists() and state(child) != "Z":
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists() or state(child) == "Z"


def state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_many_calls_leave_no_descriptor_and_no_process_behind():
    Git(None).run("version")
    before = set(os.listdir("/dev/fd"))
    for _ in range(20):
        Git(None).run("version", stdin=b"x")
    assert len(set(os.listdir("/dev/fd")) - before) <= 1  # the listing itself
