"""Only the failed tests again, where the runner can be told which; names come from output and are not trusted."""

import json
import shlex

import pytest

from coder.verify.reports import extra_environment
from coder.verify.select import select


@pytest.mark.parametrize(("command", "names", "told"), [
    ("python3 -m unittest", ["t.T.test_a", "t.T.test_b (n=2)"], "python3 -m unittest -k t.T.test_a -k t.T.test_b"),
    ("cargo test", ["src/lib.rs: a::one"], "cargo test -- --exact a::one"),
    ("cargo test -- --nocapture", ["src/lib.rs: a"], "cargo test -- --nocapture --exact a"),
    ("npx jest", ["a/b.test.js › g (x) › c"], r"npx jest a/b.test.js -t '^(g \(x\) c)$'"),
    ("npx jest", ["a/b.test.js › g", "b.test.js › Test suite failed to run"], "npx jest a/b.test.js b.test.js"),
    ("npx vitest run", ["b.test.ts > g > c", "b.test.ts > d"], "npx vitest run b.test.ts -t '^(g c|d)$'"),
    ("node --test t", ["g > c", "d"], "node '--test-name-pattern=^(g|c|d)$' --test t"),
    ("npx mocha t", ["g › c"], "npx mocha t --grep '^(g c)$'"),
    ("mvn -B test", ["o.A::x", "o.A::y(int)[2]", "o.B.z"],
     "mvn -B test '-Dtest=o.A#x+y,o.B#z' -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false"),
    ("gradle --offline test -q", ["o.A.x()"], "gradle --offline test --tests o.A.x -q"),
    ("phpunit t", ["A::b with data set #1", "A::c"], "phpunit t --filter '/^(A::b|A::c)( .*)?$/'"),
    ("ctest -V", ["a.b"], r"ctest -V -R '^(a\.b)$'"),
])  # fmt: skip
def test_a_runner_is_told_by_words_which_tests_to_run(command: str, names: list[str], told: str) -> None:
    selection = select(shlex.split(command), names)
    assert selection and shlex.join(selection.applied(shlex.split(command))) == told


def test_others_are_told_by_the_environment() -> None:
    pytest_names = ("a/test_b.py::Test::test_c[x y]", "a/test_d.py")
    selected = select(("pytest", "-q"), pytest_names)
    assert selected and selected.words == ()
    told = extra_environment(("pytest", "-q"), selected.env)["PYTEST_ADDOPTS"]
    assert told.endswith(" 'a/test_b.py::Test::test_c[x y]' a/test_d.py") and "--junit-xml" in told
    go = ("go", "test", "./...")
    selected = select(go, ("example.org/a.TestOne", "example.org/a/b.TestTwo/sub_case", "example.org/a.TestTwo"))
    assert selected and extra_environment(go, selected.env) == {"GOFLAGS": "-v -run=^(TestOne|TestTwo)$"}
    selected = select(("rspec",), ("it's",))
    assert selected and shlex.split(selected.env["SPEC_OPTS"]) == ["--example", "it's"]


@pytest.mark.parametrize(("command", "script", "told"), [
    ("npm test", "jest --ci", "npm test -- a.test.js -t '^(b)$'"),
    ("yarn test", "jest", "yarn test a.test.js -t '^(b)$'"),
    ("npm test", "jest && eslint .", ""), ("npm test", "npm test", ""), ("npm run lint", "jest", ""),
])  # fmt: skip
def test_a_package_manager_hands_the_words_on(command: str, script: str, told: str) -> None:
    selection = select(shlex.split(command), ["a.test.js › b"], json.dumps({"scripts": {"test": script}}).encode())
    assert (shlex.join(selection.applied(shlex.split(command))) if selection else "") == told


@pytest.mark.parametrize(("command", "name"), [
    ("pytest", "--basetemp=/x"), ("pytest", "-x.py"), ("pytest", "a.TestX::x"), ("python3 -m unittest", "-k"),
    ("python3 -m unittest", "unittest.loader._FailedTest.test_x"), ("python3 -m unittest -k a", "t.T.test_a"),
    ("go test ./...", "-exec=x.TestA"), ("cargo test", "--list"), ("npx jest", "--config=x.js › a"),
    ("npx jest -t x", "a.js › b"), ("mvn test", "-Dx=y"), ("phpunit", "--bootstrap x"), ("make test", "a"), ("", "a"),
])  # fmt: skip
def test_what_is_no_name_of_the_runner_selects_nothing(command: str, name: str) -> None:
    assert select(shlex.split(command), [name]) is None


def test_too_many_failures_run_everything() -> None:
    assert select(("pytest",), [f"t.py::test_{n}" for n in range(201)]) is None
    assert select(("pytest",), []) is None
