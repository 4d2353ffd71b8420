"""Which command tests a repository: words without a shell, the runner behind them, detection from manifests."""

import pytest

from coder.errors import UserError
from coder.verify.commands import TestCommand, detect, parse_command, runner_of


def test_a_command_is_words_quoted_as_in_a_shell() -> None:
    assert parse_command("pytest -q 'a b' \"c\" d\\ e") == ("pytest", "-q", "a b", "c", "d e")
    assert parse_command("pytest -k 'a and not b'") == ("pytest", "-k", "a and not b")


@pytest.mark.parametrize("text", [
    "", "  ", "pytest 'x", "a && b", "a | b", "a > b", "a; b", "a `b`", "a $(b)", "a &", "x\0y", "a 2>&1",
])  # fmt: skip
def test_what_needs_a_shell_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(UserError):
        parse_command(text)


def test_what_is_quoted_needs_no_shell() -> None:
    assert parse_command("find . -exec x \\; 'a|b' \"c > d\"") == ("find", ".", "-exec", "x", ";", "a|b", "c > d")


@pytest.mark.parametrize(("text", "runner"), [
    ("pytest -q", "pytest"), ("python3 -m pytest x", "pytest"), (".venv/bin/python -X dev -m pytest", "pytest"),
    ("uv run pytest", "pytest"), ("poetry run python -m unittest", "unittest"), ("py.test", "pytest"),
    ("coverage run -m pytest", "pytest"), ("python -m coverage run -m pytest -q", "pytest"),
    ("env A=1 pytest", "pytest"), ("go test ./...", "go"),
    ("npx jest --ci", "jest"), ("npm test", "npm"), ("./gradlew test", "gradle"), ("./mvnw -o test", "mvn"),
    ("bundle exec rspec", "rspec"), ("vendor/bin/phpunit tests", "phpunit"), ("cat pytest", "cat"),
])  # fmt: skip
def test_the_runner_behind_a_command_is_known(text: str, runner: str) -> None:
    assert runner_of(parse_command(text)) == runner


@pytest.mark.parametrize(("files", "command", "origin"), [
    ({"tests/test_a.py": "import unittest"}, "python3 -m unittest discover -s tests -t .", "tests/test_a.py"),
    ({"test_a.py": "import unittest"}, "python3 -m unittest discover", "test_a.py"),
    ({"tests/test_a.py": "def test_x(): pass"}, "python3 -m pytest", "tests/test_a.py"),
    ({"pyproject.toml": "[tool.pytest.ini_options]", "a.py": ""}, "python3 -m pytest", "pyproject.toml"),
    ({"setup.cfg": "[tool:pytest]"}, "python3 -m pytest", "setup.cfg"),
    ({"a/conftest.py": ""}, "python3 -m pytest", "conftest.py"),
    ({"tox.ini": ""}, "tox", "tox.ini"), ({"noxfile.py": ""}, "nox", "noxfile.py"),
    ({"package.json": '{"scripts": {"test": "x"}}'}, "npm test", "package.json"),
    ({"package.json": '{"scripts": {"test": "x"}}', "pnpm-lock.yaml": ""}, "pnpm test", "package.json"),
    ({"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""}, "yarn test", "package.json"),
    ({"package.json": '{"devDependencies": {"vitest": "1"}}'}, "npx vitest run", "package.json"),
    ({"package.json": '{"devDependencies": {"jest": "1"}}'}, "npx jest", "package.json"),
    ({"go.mod": "", "a/b_test.go": ""}, "go test ./...", "go.mod"),
    ({"Cargo.toml": ""}, "cargo test", "Cargo.toml"),
    ({"pom.xml": "", "mvnw": ""}, "./mvnw -B -o test", "pom.xml"),
    ({"build.gradle.kts": ""}, "gradle --offline test", "build.gradle.kts"),
    ({"settings.gradle": "", "gradlew": "", "app/build.gradle": ""}, "./gradlew --offline test", "settings.gradle"),
    ({"Gemfile": "", "spec/a_spec.rb": ""}, "bundle exec rspec", "spec"),
    ({"phpunit.xml.dist": ""}, "vendor/bin/phpunit", "phpunit.xml.dist"),
    ({"Makefile": "all:\n\ntest: all\n\tx\n"}, "make test", "Makefile"),
])  # fmt: skip
def test_a_command_is_detected(files: dict[str, str], command: str, origin: str) -> None:
    found = detect(list(files), lambda path: files[path].encode())
    assert found == (TestCommand(tuple(command.split()), f"detected: {origin}"),)


@pytest.mark.parametrize("files", [
    {}, {"README.md": ""}, {"package.json": "{"}, {"package.json": "[" * 100_000}, {"package.json": "[]"},
    {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
    {"pyproject.toml": "="}, {"pyproject.toml": "tool = 3"}, {"Makefile": "test := 3\n"}, {"go.mod": ""},
])  # fmt: skip
def test_nothing_is_detected_where_nothing_says_how(files: dict[str, str]) -> None:
    assert detect(list(files), lambda path: files[path].encode()) == ()
