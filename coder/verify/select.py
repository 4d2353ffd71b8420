"""How each runner is told to run only some of its tests: words added to a command, or variables. Runs nothing.

Names come from the output of tests: each is held against the form that its runner gives them, so that none can be
an option, and what can act in a pattern is escaped.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence

from msgspec import Struct

from coder.errors import UserError
from coder.verify.commands import parse_command, runner_of

MOST = 200  # names; a command line is not endless, and with more the whole suite is as quick


class Selection(Struct, frozen=True):
    """Words to add to a command `at` a position (-1: its end), and variables to add to its environment."""

    words: tuple[str, ...] = ()
    env: dict[str, str] = {}
    at: int = -1

    def applied(self, argv: Sequence[str]) -> tuple[str, ...]:
        at = len(argv) if self.at < 0 else self.at
        return (*argv[:at], *self.words, *argv[at:])


def select(argv: Sequence[str], names: Sequence[str], package: bytes = b"") -> Selection | None:
    """What makes `argv` run just the tests `names`, as a report has them; None where its runner cannot be told so,
    where a name has another form than the runner's, or where the command selects tests already.

    `package` is the content of package.json, which says what `npm test` runs.
    """
    if not 0 < len(names) <= MOST:
        return None
    runner = runner_of(argv)
    if runner in ("npm", "pnpm", "yarn"):
        return _script(argv, names, package)
    selector = _SELECTORS.get(runner)
    return selector(tuple(argv), tuple(dict.fromkeys(names))) if selector else None


Argv = tuple[str, ...]
Names = tuple[str, ...]


def _all(form: str, names: Names) -> list[re.Match[str]] | None:
    found = [re.fullmatch(form, name) for name in names]
    return [match for match in found if match] if all(found) else None


_SPECIAL = re.compile(r"[.^$*+?()\[\]{}|\\/]")


def _either(names: Sequence[str]) -> str:
    """A pattern for exactly these, as every dialect reads it; what cannot be printed may be anything."""
    escaped = (_SPECIAL.sub(r"\\\g<0>", name) for name in names)
    return "^(" + "|".join(re.sub(r"[\x00-\x1f]", ".", name) for name in escaped) + ")$"


def _pytest(argv: Argv, names: Names) -> Selection | None:
    if not _all(r"[^\s-]\S*\.py(::.+)?", names):
        return None
    return Selection(env={"PYTEST_ADDOPTS": " ".join(map(shlex.quote, names))})


def _unittest(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"((?:\w+\.){2,}\w+)( .*)?", names)  # behind the blank: the parameters of a subtest
    if not found or "-k" in argv or any(match[1].startswith("unittest.") for match in found):
        return None
    return Selection(tuple(word for name in dict.fromkeys(match[1] for match in found) for word in ("-k", name)))


def _go(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"[^\s-]\S*\.((?:Test|Example|Fuzz)[^\s./]*)(/.*)?", names)
    if not found or any(word.lstrip("-").startswith("run") for word in argv):
        return None
    tops = dict.fromkeys(match[1] for match in found)
    return Selection(env={"GOFLAGS": f"-run=^({'|'.join(tops)})$"})


def _cargo(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"(?:[^:\s]\S*: )?([\w:]+)", names)
    if not found or "test" not in argv:
        return None
    tests = tuple(dict.fromkeys(match[1] for match in found))
    return Selection((*(() if "--" in argv else ("--",)), "--exact", *tests))


def _by_file(separator: str) -> Callable[[Argv, Names], Selection | None]:
    """jest and vitest: files as patterns, and a pattern for the full names, which have blanks for separators."""

    def select(argv: Argv, names: Names) -> Selection | None:
        found = _all(rf"(?P<file>[\w./@+][\w./@+-]*\.[cm]?[jt]sx?)(?:{separator}(?P<test>.+))?", names)
        if not found or any(word == "-t" or word.startswith("--testNamePattern") for word in argv):
            return None
        files = tuple(dict.fromkeys(match["file"] for match in found))
        tests = [" ".join((match["test"] or "").split(separator)) for match in found]
        whole = any(test in ("", "Test suite failed to run") for test in tests)  # a file that could not be loaded
        return Selection(files if whole else (*files, "-t", _either(tests)))

    return select


def _node(argv: Argv, names: Names) -> Selection | None:
    if "--test" not in argv:
        return None
    parts = dict.fromkeys(part for name in names for part in name.split(" > "))  # a group is entered by its own name
    return Selection((f"--test-name-pattern={_either([*parts])}",), at=argv.index("--test"))


def _mocha(argv: Argv, names: Names) -> Selection | None:
    if {"-g", "-f", "--grep", "--fgrep"} & {*argv}:
        return None
    return Selection(("--grep", _either([" ".join(name.split(" › ")) for name in names])))


def _maven(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"([\w.$]+?)(?:::|\.)(\w+)(?:\(.*\)|\[.*\])*", names)
    if not found or any(word.startswith("-Dtest=") for word in argv):
        return None
    tests: dict[str, dict[str, None]] = {}
    for match in found:
        tests.setdefault(match[1], {})[match[2]] = None
    chosen = ",".join(f"{group}#{'+'.join(methods)}" for group, methods in tests.items())
    return Selection((f"-Dtest={chosen}", "-DfailIfNoTests=false", "-Dsurefire.failIfNoSpecifiedTests=false"))


def _gradle(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"([\w.$]+?)(?:::|\.)(\w+)(?:\(.*\)|\[.*\])*", names)
    if not found or "test" not in argv or "--tests" in argv:
        return None
    tests = dict.fromkeys(f"{match[1]}.{match[2]}" for match in found)
    return Selection(tuple(word for test in tests for word in ("--tests", test)), at=argv.index("test") + 1)


def _rspec(argv: Argv, names: Names) -> Selection | None:
    return Selection(env={"SPEC_OPTS": " ".join(f"--example {shlex.quote(name)}" for name in names)})


def _phpunit(argv: Argv, names: Names) -> Selection | None:
    found = _all(r"([\w\\]+::\w+)( .*)?", names)
    if not found or any(word.startswith("--filter") for word in argv):
        return None
    tests = dict.fromkeys(re.escape(match[1]) for match in found)
    return Selection(("--filter", f"/^({'|'.join(tests)})( .*)?$/"))


def _ctest(argv: Argv, names: Names) -> Selection | None:
    if {"-R", "-I", "--tests-regex"} & {*argv}:
        return None
    return Selection(("-R", _either(names)))


def _script(argv: Sequence[str], names: Sequence[str], package: bytes) -> Selection | None:
    """The words for the runner that package.json names, handed on by the package manager: only where it is the one
    command of its script."""
    try:
        test = json.loads(package)["scripts"]["test"]
        inner = parse_command(test)
    except (ValueError, RecursionError, KeyError, TypeError, UserError):
        return None
    if tuple(argv[1:]) not in (("test",), ("run", "test")) or runner_of(inner) in ("npm", "pnpm", "yarn"):
        return None
    found = select(inner, names)
    if found is None or (found.at >= 0 and found.at < len(inner) - 1):
        return None
    return Selection((*(("--",) if argv[0] == "npm" else ()), *found.words), found.env)


_SELECTORS: dict[str, Callable[[Argv, Names], Selection | None]] = {
    "pytest": _pytest, "unittest": _unittest, "go": _go, "cargo": _cargo, "jest": _by_file(" › "),
    "vitest": _by_file(" > "), "node": _node, "mocha": _mocha, "mvn": _maven, "gradle": _gradle, "rspec": _rspec,
    "phpunit": _phpunit, "ctest": _ctest,
}  # fmt: skip
