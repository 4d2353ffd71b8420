"""Repositories that mean harm, met by the whole program: what they hold steers nothing and runs nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text
from tests.work import CALC, FIX, FIXED, coder, git, make_repository, state_of


def test_a_bad_file_of_a_trusted_repository_keeps_nobody_from_taking_back(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    assert coder(root, "trust", "add").code == 0
    (root / ".coder.toml").write_text('base_url = "http://127.0.0.1:1"\n')
    assert coder(root, "context", "x").code == 2
    assert coder(root, "apply", "-", stdin=FIX).code == 0
    assert (root / "calc.py").read_text() == FIXED
    assert coder(root, "undo", "--yes").code == 0
    assert coder(root, "trust", "remove").code == 0
    assert coder(root, "trust", "list").out == ""


def test_an_edit_does_not_move_a_secret_to_a_name_that_hides_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {".gitignore": ".env\n"})
    (root / ".env").write_text("KEY=1\n")
    rename = "diff --git a/.env b/notes.txt\nsimilarity index 100%\nrename from .env\nrename to notes.txt\n"
    ended = coder(root, "apply", "-", stdin=rename)
    assert (ended.code, (root / ".env").exists(), (root / "notes.txt").exists()) == (1, True, False)
    assert "secrets" in ended.err


def test_a_repository_that_is_moved_away_meanwhile_is_no_bug(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")

    def move(_: object) -> Answer:
        root.rename(tmp_path / "moved")
        return text("done")

    with FakeOpenAI([free_text_call("apply_patch", FIX), move]) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
    assert (ended.code, "is gone" in ended.err) == (1, True), ended.err
    assert (tmp_path / "moved" / "calc.py").read_text() == CALC
    assert not root.exists()


def test_nothing_that_lies_in_the_clone_is_imported_or_run(tmp_path: Path) -> None:
    """`python -m` itself imports a few modules before coder gets its turn; those are not coder's to keep out."""
    markers = tmp_path / "markers"
    markers.mkdir()
    probe = "import runpy, pkgutil, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True)
    own = {*done.stdout.split(), "antigravity", "this"}
    names = {
        "openai",
        "git",
        "click",
        "msgspec",
        "pydantic",
        "httpx",
        "tiktoken",
        "regex",
        *sys.stdlib_module_names,
    } - own
    trap = f"open({str(markers)!r} + '/' + __name__, 'w').close()\n"
    root = make_repository(tmp_path / "repo", {"calc.py": CALC, **{f"{name}.py": trap for name in names}})
    for program in ("git", "env", "sh", "python3", "bwrap"):
        (root / program).write_text(f"#!/bin/sh\n: > {markers}/{program}\n")
        (root / program).chmod(0o755)
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server:
        env = {**server.environ(), "PATH": f".:{os.environ['PATH']}"}
        assert coder(root, "run", "x", "--no-test", env=env).code == 0
    assert coder(root, "doctor", env=env).code == 0
    assert sorted(path.name for path in markers.iterdir()) == []


@pytest.mark.parametrize("trick", ["worktree", "git file", "commondir"])
def test_a_repository_that_points_elsewhere_is_refused_with_both_trees_as_they_were(tmp_path: Path, trick: str) -> None:
    other, root = make_repository(tmp_path / "other"), make_repository(tmp_path / "repo")
    match trick:
        case "worktree":
            git(root, "config", "core.worktree", str(other))
        case "git file":
            (root / ".git").rename(tmp_path / "aside")
            (root / ".git").write_text(f"gitdir: {other}/.git\n")
        case _:
            (root / ".git" / "commondir").write_text(f"{other}/.git\n")
    before = state_of(root), state_of(other)
    ended = coder(root, "apply", "-", stdin=FIX)
    assert (ended.code, (state_of(root), state_of(other))) == (2, before)
    assert str(other) in ended.err
