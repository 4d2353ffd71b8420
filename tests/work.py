"""What end-to-end tests share: a real repository, and the real program as a process."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.schemas import check_line, check_result

CALC = "def add(a, b):\n    return a - b\n"
FIXED = "def add(a, b):\n    return a + b\n"
TEST = """import unittest
from calc import add


class T(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)
"""
FIX = "*** Begin Patch\n*** Update File: calc.py\n@@\n-    return a - b\n+    return a + b\n*** End Patch\n"
UNITTEST = f"{sys.executable} -m unittest"

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(root: Path, *args: str) -> str:
    """Plain git, as a user runs it."""
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *args],
        cwd=root,
        env={**os.environ, **IDENTITY},
        check=True,
        capture_output=True,
    )
    return done.stdout.decode()


def make_repository(root: Path, files: Mapping[str, str] | None = None) -> Path:
    """A repository with one commit of `files` (default: a calculator with a bug and its test)."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q")
    for name, content in (files or {"calc.py": CALC, "test_calc.py": TEST}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    return root


def state_of(root: Path) -> dict[str, str]:
    """Every file of the working tree, and what of .git a user would miss, by digest."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not path.is_symlink() and not name.startswith(".git/objects"):
            found[name] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


@dataclass(frozen=True)
class Ended:
    """A finished process."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """stdout as the one JSON object it must be; a result is checked against its schema."""
        value: dict[str, Any] = json.loads(self.out)
        if "schema" in value:
            check_result(value)
            assert value["exit_code"] == self.code
        return value

    @property
    def lines(self) -> list[dict[str, Any]]:
        """stdout as lines of events that end with the one result, each checked against the schema."""
        values: list[dict[str, Any]] = [json.loads(line) for line in self.out.splitlines()]
        for value in values:
            check_line(value)
        assert [value["type"] == "result" for value in values] == [False] * (len(values) - 1) + [True]
        assert [value["seq"] for value in values] == list(range(len(values)))
        return values


def coder(root: Path, *args: str, env: Mapping[str, str] | None = None, stdin: str | None = "") -> Ended:
    """Run `coder ARGS` in `root`, as a user would, and wait for it."""
    done = subprocess.run(
        [sys.executable, "-m", "coder", *args],
        cwd=root,
        env={**os.environ, **(env or {})},
        input=None if stdin is None else stdin.encode(),
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=180,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
