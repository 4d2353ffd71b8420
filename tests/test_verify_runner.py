"""Drafts of real repositories, tested in a real sandbox, against their base."""

import asyncio
import functools
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from msgspec import convert

from coder.config import Settings
from coder.events import Event, TestFinished, TestOutput, TestStarted
from coder.repo.repository import FileState, Repository
from coder.sandbox import Sandbox, choose
from coder.sandbox.run import Tier
from coder.store import Places
from coder.values import Evidence
from coder.verify.cluster import cluster
from coder.verify.commands import TestCommand
from coder.verify.runner import Verifier

SUM = b"def add(a, b):\n    return a - b\n\ndef double(n):\n    return 2 * n\n"
TESTS = b"""import unittest
from sums import add, double
class Sums(unittest.TestCase):
    def test_add(self): self.assertEqual(add(1, 2), 3)
    def test_double(self): self.assertEqual(double(2), 4)
    def test_zero(self): self.assertEqual(add(0, 0), 0)
"""
UNITTEST = (sys.executable, "-m", "unittest")


@functools.cache
def strongest_tier() -> Tier:
    """What the self-test proves here, once for all tests."""
    with tempfile.TemporaryDirectory() as base:
        places = Places(Path(base, "config"), Path(base, "state"), Path(base, "cache"))
        return asyncio.run(choose("auto", Settings().sandbox, places)).tier


class Bench:
    """A repository with a snapshot, and the evidence for drafts of it."""

    def __init__(self, base: Path, files: dict[str, bytes], sandbox: str = "auto") -> None:
        self.root = base / "repository"
        self.places = Places(base / "config", base / "state", base / "cache")
        for path, content in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.repository = Repository.open(self.root, self.places, base.name)
        self.snapshot = self.repository.snapshot().tree
        self.events: list[Event] = []
        self.on_event = self.events.append
        self.mode = sandbox

    def weigh(self, draft: dict[str, bytes | None], *argv: str, **settings: object) -> Evidence:
        states = {path: None if content is None else FileState(content) for path, content in draft.items()}
        tree = self.repository.write_tree(self.snapshot, states)
        chosen = convert(settings, Settings)

        tier = strongest_tier() if self.mode == "auto" else "none"

        async def gather() -> Evidence:
            sandbox = Sandbox(tier, chosen.sandbox, self.places, os.environ)
            verifier = Verifier(self.repository, sandbox, chosen, self.places, self.on_event, self.root.parent.name)
            return await verifier.run([TestCommand(argv or UNITTEST, "flag")], self.snapshot, tree)

        return asyncio.run(gather())

    def ran_on(self) -> list[str]:
        return [event.on for event in self.events if isinstance(event, TestStarted)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, {"sums.py": SUM, "test_sums.py": TESTS})


def test_a_draft_that_fixes_a_test_passes_and_says_what_it_fixed(bench: Bench) -> None:
    evidence = bench.weigh({"sums.py": SUM.replace(b"a - b", b"a + b")})
    assert (evidence.status, evidence.fixed, evidence.new_failures) == ("passed", ("test_sums.Sums.test_add",), ())
    assert (evidence.reports[0].passed, evidence.base[0].failed) == (3, 1)
    assert bench.ran_on() == ["draft", "base"]
    assert (bench.root / "sums.py").read_bytes() == SUM
    finished = [event for event in bench.events if isinstance(event, TestFinished)]
    assert all(Path(event.report.log).read_text().startswith((".", "F")) for event in finished)
    assert any(isinstance(event, TestOutput) and "Ran 3 tests" in event.text for event in bench.events)


def test_a_draft_that_breaks_a_test_fails_and_old_failures_are_told_apart(bench: Bench) -> None:
    evidence = bench.weigh({"sums.py": SUM.replace(b"2 * n", b"3 * n")})
    assert evidence.status == "failed"
    assert (evidence.new_failures, evidence.preexisting) == (
        ("test_sums.Sums.test_double",),
        ("test_sums.Sums.test_add",),
    )
    failure = next(failure for failure in evidence.reports[0].failures if "double" in failure.name)
    assert (failure.file, failure.line, failure.kind, failure.message) == (
        "test_sums.py",
        5,
        "AssertionError",
        "6 != 4",
    )
    assert next(card.tests for card in cluster(evidence)) == ("test_sums.Sums.test_double",)


def test_a_draft_that_changes_nothing_for_the_tests_passes_with_its_old_failure(bench: Bench) -> None:
    evidence = bench.weigh({"README": b"new"})
    assert (evidence.status, evidence.preexisting) == ("passed", ("test_sums.Sums.test_add",))


def test_the_base_is_run_once_for_all_drafts_of_a_session(bench: Bench) -> None:
    for content in (b"1", b"2"):
        bench.weigh({"README": content})
    assert bench.ran_on() == ["draft", "base", "draft"]


@pytest.mark.parametrize("draft", [{"test_sums.py": None}, {"test_sums.py": b""}, {"sums.py": b"raise ValueError"}])
def test_a_draft_whose_tests_do_not_run_does_not_pass(bench: Bench, draft: dict[str, bytes | None]) -> None:
    evidence = bench.weigh(draft)
    assert (evidence.status, evidence.reports[0].passed, evidence.fixed) == ("failed", 0, ())


def test_a_test_that_fails_by_chance_is_flaky_and_not_new(tmp_path: Path) -> None:
    chance = (
        "import os, pathlib, unittest\nclass T(unittest.TestCase):\n    def test_good(self): pass\n"
        f"    def test_chance(self):\n        mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        "        if pathlib.Path('new').exists() and not mark.exists(): mark.touch(); self.fail('chance')\n"
    )
    bench = Bench(tmp_path, {"test_chance.py": chance.encode()}, "off")
    evidence = bench.weigh({"new": b""})
    assert (evidence.status, evidence.flaky, evidence.new_failures) == ("passed", ("test_chance.T.test_chance",), ())


def test_a_working_tree_that_changes_meanwhile_leaves_no_evidence(bench: Bench) -> None:
    def save(event: Event) -> None:
        bench.events.append(event)
        if isinstance(event, TestFinished):
            (bench.root / "sums.py").write_bytes(b"# %d" % len(bench.events))

    bench.on_event = save
    evidence = bench.weigh({"README": b"new"})
    assert (evidence.status, evidence.reports) == ("not_run", ())
    assert "working tree changed" in evidence.note


def test_the_draft_is_tested_as_it_is_whatever_was_saved_before(bench: Bench) -> None:
    (bench.root / "sums.py").write_bytes(b"raise ValueError")
    (bench.root / "test_other.py").write_bytes(b"raise ValueError")
    assert bench.weigh({"sums.py": SUM.replace(b"a - b", b"a + b")}).status == "passed"


ENV_TEST = b"""import os, unittest
class T(unittest.TestCase):
    def test(self): self.assertFalse(os.path.exists(".env"))
"""


def test_an_ignored_secret_is_not_there_unless_the_user_lets_it_in(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"test_env.py": ENV_TEST, ".gitignore": b".env\n", ".env": b"KEY=x\n"})
    assert bench.weigh({"a": b""}).status == "passed"
    assert bench.weigh({"b": b""}, sandbox={"unmask": (".env",)}).status == "failed"


def test_a_command_that_takes_too_long_is_a_failure(bench: Bench) -> None:
    evidence = bench.weigh({"a": b""}, "sleep", "60", test={"timeout": 0.5})
    assert evidence.status == "failed" and evidence.reports[0].timed_out
    assert [card.cause for card in cluster(evidence)] == ["timeout"]


def test_pytest_reports_by_junit_and_only_the_failures_in_doubt_are_run_again(bench: Bench) -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "add or double")
    evidence = bench.weigh({"sums.py": SUM.replace(b"2 * n", b"3 * n")}, *command)
    finished = [event.report for event in bench.events if isinstance(event, TestFinished)]
    assert [report.ran for report in finished] == [2, 2, 1]  # the draft, its base, the new failure again
    assert evidence.new_failures == ("test_sums.py::Sums::test_double",)
    assert evidence.preexisting == ("test_sums.py::Sums::test_add",)


NODE_TEST = b"""
const test = require("node:test"), assert = require("assert");
test("adds", () => assert.equal(require("./s.js"), 3));
test("is", () => {});
"""


def test_this_projects_own_tests_run_on_a_draft_of_it(tmp_path: Path) -> None:
    project = Path(__file__).parent.parent
    paths = [
        project / "pyproject.toml",
        *(path for room in ("coder", "prompts", "tests") for path in (project / room).rglob("*")),
    ]
    kept = [path for path in paths if path.suffix in (".py", ".md", ".toml")]
    files = {str(path.relative_to(project)): path.read_bytes() for path in kept}
    broken = files["coder/repo/paths.py"] + b"\n\ndef refuse_path(path):\n    return ''\n"
    command = (sys.executable, "-m", "pytest", "-n0", "tests/test_paths.py")
    evidence = Bench(tmp_path, files).weigh({"coder/repo/paths.py": broken}, *command)
    assert evidence.status == "failed", evidence
    assert evidence.new_failures and all("test_paths" in name for name in evidence.new_failures)
    assert evidence.reports[0].passed > 0


def test_npm_runs_node_tests(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    files = {"package.json": json.dumps({"scripts": {"test": "node --test"}}).encode(), "s.js": b"module.exports = 2;"}
    evidence = Bench(tmp_path, {**files, "s.test.js": NODE_TEST}).weigh({"s.js": b"module.exports = 3;"}, "npm", "test")
    assert (evidence.status, evidence.reports[0].passed, evidence.fixed) == ("passed", 2, ("adds",)), evidence


GO_TEST = b"""package p
import "testing"
func TestOne(t *testing.T) { if One != 1 { t.Fatal(One) } }
func TestTwo(t *testing.T) {}
"""


def test_go_says_which_tests_ran_and_uses_its_cache(tmp_path: Path) -> None:
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    files = {
        "go.mod": b"module example.org/a\n\ngo 1.19\n",
        "p/p.go": b"package p\nconst One = 2\n",
        "p/p_test.go": GO_TEST,
    }
    bench = Bench(tmp_path, files)
    subprocess.run(["go", "test", "./..."], cwd=bench.root, capture_output=True)
    evidence = bench.weigh({"p/p.go": b"package p\nconst One = 1\n"}, "go", "test", "./...")
    assert (evidence.status, evidence.fixed) == ("passed", ("example.org/a/p.TestOne",)), evidence
    assert (evidence.base[0].passed, evidence.base[0].failures[0].file) == (1, "p/p_test.go")
    assert all(report.duration_s < 20 for report in evidence.reports)


def test_cargo_runs_offline_in_its_own_target_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("cargo"):
        pytest.skip("cargo is not installed")
    library = b"pub fn one() -> i32 { 2 }\n#[test] fn is_one() { assert_eq!(one(), 1); }\n#[test] fn fine() {}\n"
    monkeypatch.setenv("RUSTUP_HOME", os.environ.get("RUSTUP_HOME") or f"{pwd.getpwuid(os.getuid()).pw_dir}/.rustup")
    files = {"Cargo.toml": b'[package]\nname = "a"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": library}
    evidence = Bench(tmp_path, files).weigh({"src/lib.rs": library.replace(b"{ 2 }", b"{ 1 }")}, "cargo", "test")
    assert (evidence.status, evidence.fixed) == ("passed", ("src/lib.rs: is_one",)), evidence
    assert not (tmp_path / "repository" / "target").exists()
