"""Test commands: parsed without a shell, detected from files that are already part of the tree."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from coder.errors import UserError

_SHELL_ONLY = re.compile(r"[|&;<>`]|\$\(")
_QUOTED = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_RUNNERS_BEFORE = (
    "uv",
    "poetry",
    "pdm",
    "hatch",
    "rye",
    "pipenv",
    "coverage",
    "npx",
    "pnpm",
    "bunx",
    "bundle",
    "xvfb-run",
)
_ALIASES = {"py.test": "pytest", "mvnw": "mvn", "gradlew": "gradle"}
_MAX_MANIFEST = 1 << 20


class TestCommand(Struct, frozen=True):
    """A command and who named it: "flag", "configuration" or "detected: FILE"."""

    __test__ = False

    argv: tuple[str, ...]
    origin: str


def parse_command(text: str) -> tuple[str, ...]:
    """The words of a command line, quoted as in a shell. Raises UserError where only a shell would understand it."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UserError(f"cannot read the command {text!r}: {error}", "quote it as in a shell") from None
    if not words:
        raise UserError("the test command is empty", "as in --test 'pytest -q'")
    if "\0" in text:
        raise UserError("the test command holds a NUL character")
    if _SHELL_ONLY.search(_QUOTED.sub("", text)):
        raise UserError(
            f"the command {text!r} needs a shell, and none is used",
            "put it into a script of the repository, or use --test twice",
        )
    return words


def runner_of(argv: Collection[str]) -> str:
    """The program that runs the tests: "pytest" for `uv run python -m pytest -q`; "" for a command that says nothing.

    Only what stands at the front counts: the name of a test file is no runner.
    """
    words = [*argv]
    for _ in range(4):
        while words and "=" in words[0] and not words[0].startswith("-"):
            words.pop(0)
        if not words:
            return ""
        name = PurePosixPath(words[0]).name
        if name == "env":
            words.pop(0)
        elif re.fullmatch(r"python[0-9.]*|pypy3?", name):
            return _module(words[1:])
        elif name in _RUNNERS_BEFORE and len(words) > 1:
            words = [word for word in words[1:] if not word.startswith("-")]
            words = words[1:] if words and words[0] in ("run", "exec") else words
            if name == "coverage" and words and "-m" in argv:
                return words[0]
        else:
            return _ALIASES.get(name, name)
    return ""


def _module(words: list[str]) -> str:
    """What `python ...` runs: the module after -m, or the script's name."""
    for position, word in enumerate(words):
        if words[position - 1 : position] in (["-X"], ["-W"]):
            continue
        if word == "-m" and position + 1 < len(words):
            return runner_of(words[position + 1 :]) if words[position + 1] == "coverage" else words[position + 1]
        if not word.startswith("-"):
            return PurePosixPath(word).name
    return ""


def detect(paths: Collection[str], read: Callable[[str], bytes]) -> tuple[TestCommand, ...]:
    """The command that most likely tests the tree, from its manifests; empty when nothing says how.

    `read` gives a file's content. The first ecosystem that has tests wins; a proposal, run only once approved.
    """
    top = {path for path in paths if "/" not in path}
    for finder in (_python, _node, _go, _cargo, _maven, _gradle, _ruby, _php, _make):
        found = finder(paths, top, read)
        if found:
            return (TestCommand(found[0], f"detected: {found[1]}"),)
    return ()


Found = tuple[tuple[str, ...], str] | None
Read = Callable[[str], bytes]


def _python(paths: Collection[str], top: set[str], read: Read) -> Found:
    pyproject = _toml(read, "pyproject.toml") if "pyproject.toml" in top else {}
    tool = pyproject.get("tool", {}) if isinstance(pyproject.get("tool"), dict) else {}
    setup_cfg = _text(read, "setup.cfg") if "setup.cfg" in top else ""
    for name in ("pytest.ini", ".pytest.ini"):
        if name in top:
            return ("python3", "-m", "pytest"), name
    if "pytest" in tool:
        return ("python3", "-m", "pytest"), "pyproject.toml"
    if "[tool:pytest]" in setup_cfg:
        return ("python3", "-m", "pytest"), "setup.cfg"
    tests = sorted(path for path in paths if re.search(r"(^|/)(test_[^/]*|[^/]*_test|tests)\.py$", path))
    if "conftest.py" in {PurePosixPath(path).name for path in paths}:
        return ("python3", "-m", "pytest"), "conftest.py"
    if tests and _needs_pytest(tests, read):
        return ("python3", "-m", "pytest"), tests[0]
    if not tests and "tox.ini" in top:
        return ("tox",), "tox.ini"
    if not tests and "noxfile.py" in top:
        return ("nox",), "noxfile.py"
    return (_unittest(tests), tests[0]) if tests else None


def _needs_pytest(tests: list[str], read: Read) -> bool:
    """Whether some test is written for pytest: it imports it, or tests are plain functions."""
    plain = re.compile(r"(?m)^(import pytest|from pytest |(async )?def test_)")
    return any(plain.search(_text(read, path)) for path in tests[:200])


def _unittest(tests: list[str]) -> tuple[str, ...]:
    """unittest finds `test*.py` below the top, or below one directory of tests that is no package."""
    directories = {str(PurePosixPath(path).parent) for path in tests}
    shortest = min(directories, key=len)
    inside = all(path == shortest or path.startswith(f"{shortest}/") for path in directories)
    start = ("-s", shortest, "-t", ".") if inside and shortest != "." else ()
    return ("python3", "-m", "unittest", "discover", *start)


def _node(paths: Collection[str], top: set[str], read: Read) -> Found:
    if "package.json" not in top:
        return None
    package = _json(read, "package.json")
    scripts = package.get("scripts") if isinstance(package.get("scripts"), dict) else {}
    test = str(scripts.get("test", "")) if isinstance(scripts, dict) else ""
    if test and "no test specified" not in test:
        manager = next(
            (name for file, name in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lockb", "bun"),
             ("bun.lock", "bun")) if file in top), "npm",
        )  # fmt: skip
        return (manager, "test"), "package.json"
    wanted = {**_section(package, "dependencies"), **_section(package, "devDependencies")}
    if "vitest" in wanted:
        return ("npx", "vitest", "run"), "package.json"
    if "jest" in wanted:
        return ("npx", "jest"), "package.json"
    return None


def _go(paths: Collection[str], top: set[str], read: Read) -> Found:
    has_tests = any(path.endswith("_test.go") for path in paths)
    return (("go", "test", "./..."), "go.mod") if "go.mod" in top and has_tests else None


def _cargo(paths: Collection[str], top: set[str], read: Read) -> Found:
    return (("cargo", "test"), "Cargo.toml") if "Cargo.toml" in top else None


def _maven(paths: Collection[str], top: set[str], read: Read) -> Found:
    if "pom.xml" not in top:
        return None
    return (("./mvnw" if "mvnw" in top else "mvn", "-B", "-o", "test"), "pom.xml")


def _gradle(paths: Collection[str], top: set[str], read: Read) -> Found:
    names = [f"{kind}.gradle{language}" for kind in ("build", "settings") for language in ("", ".kts")]
    build = next((name for name in names if name in top), "")
    return (("./gradlew" if "gradlew" in top else "gradle", "--offline", "test"), build) if build else None


def _ruby(paths: Collection[str], top: set[str], read: Read) -> Found:
    if not any(path.startswith("spec/") and path.endswith("_spec.rb") for path in paths):
        return None
    return (("bundle", "exec", "rspec") if "Gemfile" in top else ("rspec",)), "spec"


def _php(paths: Collection[str], top: set[str], read: Read) -> Found:
    name = next((name for name in ("phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml") if name in top), "")
    return (("vendor/bin/phpunit",), name) if name else None


def _make(paths: Collection[str], top: set[str], read: Read) -> Found:
    name = next((name for name in ("GNUmakefile", "makefile", "Makefile") if name in top), "")
    if not name:
        return None
    target = re.search(r"(?m)^(test|check)\s*:(?!=)", _text(read, name))
    return (("make", target[1]), name) if target else None


def _text(read: Read, path: str) -> str:
    return read(path)[:_MAX_MANIFEST].decode("utf-8", "replace")


def _toml(read: Read, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(read, path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _json(read: Read, path: str) -> dict[str, Any]:
    try:
        content = json.loads(_text(read, path))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _section(package: dict[str, Any], name: str) -> dict[str, Any]:
    section = package.get(name)
    return section if isinstance(section, dict) else {}
