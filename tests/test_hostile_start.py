"""Starting badly: closed streams, full disks, odd environments and arguments end in a sentence and a code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.work import FIX, make_repository


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("start") / "repo")


def shell(root: Path, line: str, **env: str) -> tuple[int, str]:
    """The exit code of `coder ...` in a shell, and what it said on stderr. `coder` in `line` stands for the program."""
    program = f"{sys.executable} -m coder"
    done = subprocess.run(
        ["bash", "-c", line.replace("coder", program, 1)],
        cwd=root,
        env={**os.environ, **env},
        capture_output=True,
        timeout=60,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("coder <&-", 2),
        ("coder run - <&-", 2),
        ("coder config <&- >&- 2>&-", 0),
        ("coder --version >/dev/full", 1),
        ("coder config >/dev/full", 1),
        ("coder nonsense 2>/dev/full", 2),
        ("coder config | :; exit ${PIPESTATUS[0]}", 141),
    ],
    ids=str,
)
def test_a_closed_or_full_stream_is_no_bug_and_no_success(root: Path, line: str, code: int) -> None:
    ended, said = shell(root, line)
    assert (ended, "Traceback" in said, "a bug" in said) == (code, False, False), said


@pytest.mark.parametrize("command", ["context x", "apply {edit}"], ids=["context", "apply"])
def test_state_is_private_whatever_the_umask(root: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "edit").write_text(FIX)
    places = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "STATE", "CACHE")}
    ended, said = shell(root, f"umask 0; coder {command.format(edit=tmp_path / 'edit')}", **places)
    assert ended == 0, said
    open_to_others = [
        path for place in places.values() for path in Path(place).rglob("*") if path.stat().st_mode & 0o77
    ]
    assert open_to_others == []


def test_where_coder_itself_cannot_write_is_named(root: Path, tmp_path: Path) -> None:
    ended, said = shell(root, "ulimit -f 0; coder run x --no-test", OPENAI_API_KEY="sk-0123456789abcdef")
    assert (ended, "Traceback" in said) == (1, False), said
    assert "(coder writes to /" in said


def test_three_hundred_megabytes_of_address_space_are_enough(root: Path) -> None:
    ended, said = shell(root, "ulimit -v 300000; coder context x")
    assert ended == 0, said
