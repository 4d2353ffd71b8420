"""The house keeps itself: floors, who may import what, sizes, prompts, and the README's promises."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest

from coder.cli.commands import coder

PACKAGE = Path(__file__).parent.parent / "coder"
README = PACKAGE.parent / "README.md"

FLOORS = {
    "cli": 8, "demo": 8, "__main__": 9,
    "headless": 7, "tui": 7, "plain": 7,
    "session": 6,
    "tools": 5,
    "agents": 4,
    "model": 3, "repo": 3, "sandbox": 3, "verify": 3, "context": 3,
    "events": 2, "store": 2, "config": 2, "prompts": 2,
    "amounts": 1, "errors": 1, "garbage": 1, "lean": 1, "text": 1, "values": 1,
    "": 0,  # coder/__init__.py: the version
}  # fmt: skip

# Who may import a library that the others must not even know of.
OWNERS = {
    "openai": "model/", "httpx": "model/", "textual": "tui/", "rich": "tui/", "git": "repo/git.py", "unidiff": "repo/",
    "tree_sitter": "context/", "tiktoken": "context/", "tomlkit": "config/keep.py",
    "opentelemetry": "headless/telemetry.py",
}  # fmt: skip
HEAVY = ("openai", "httpx", "textual", "rich", "tiktoken", "tree_sitter", "git", "unidiff", "opentelemetry",
         "asyncio.subprocess")  # fmt: skip

MAX_FUNCTION = 60
MAX_FILE = 350


@dataclass(frozen=True)
class Import:
    file: str  # relative to the package
    line: int
    module: str  # absolute, as in "coder.repo.git" or "textual.app"

    @property
    def room(self) -> str:
        return room_of(self.file)


def room_of(file: str) -> str:
    first = file.partition("/")[0].removesuffix(".py")
    return "" if first == "__init__" else first


@cache
def sources() -> dict[str, ast.Module]:
    paths = sorted(path for path in PACKAGE.rglob("*.py") if not {"_prompts", "sample"} & {*path.parts})
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the package, those inside functions and under TYPE_CHECKING included."""
    return tuple(found for file, tree in sources().items() for found in _imports(file, tree))


def _imports(file: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            yield Import(file, node.lineno, node.module or "")
            if node.module == "coder":
                yield from (Import(file, node.lineno, f"coder.{alias.name}") for alias in node.names)


def inner() -> Iterator[tuple[Import, str]]:
    """Imports of the package's own rooms, with the room that is imported."""
    for found in imports():
        parts = found.module.split(".")
        if parts[0] == "coder":
            room = parts[1] if len(parts) > 1 and parts[1] in FLOORS else ""
            yield found, room


def test_every_room_has_a_floor():
    assert {room_of(file) for file in sources()} <= FLOORS.keys()


def test_imports_only_go_down():
    wrong = [
        f"{found.file}:{found.line} imports {found.module}"
        for found, room in inner()
        if room != found.room and FLOORS[room] > FLOORS[found.room]
    ]
    assert wrong == []


def test_rooms_of_one_floor_form_no_circle():
    below: dict[str, set[str]] = {}
    for found, room in inner():
        if room != found.room and FLOORS[room] == FLOORS[found.room]:
            below.setdefault(found.room, set()).add(room)
    while leaves := [room for room, others in below.items() if not others & below.keys()]:
        for room in leaves:
            del below[room]
    assert below == {}


def test_the_faces_never_meet():
    faces = {"headless", "tui", "plain"}
    assert [found for found, room in inner() if found.room != room and {found.room, room} <= faces] == []


@pytest.mark.parametrize(("library", "owner"), OWNERS.items())
def test_a_library_has_one_owner(library: str, owner: str):
    strangers = [
        f"{found.file}:{found.line}"
        for found in imports()
        if re.match(rf"{library}(_\w+)?(\.|$)", found.module) and not found.file.startswith(owner)
    ]
    assert strangers == []


def test_only_the_runner_starts_git():
    """No other file has a command line that begins with git."""
    callers = [
        f"{file}:{node.lineno}"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple) and node.elts and file != "repo/git.py"
        if isinstance(node.elts[0], ast.Constant) and node.elts[0].value == "git" and len(node.elts) > 1
        if isinstance(node.elts[1], ast.Constant) and re.fullmatch(r"-?-?[a-z-]+", str(node.elts[1].value))
    ]
    assert callers == []


def test_functions_and_files_stay_short():
    long = [
        f"{file}:{node.lineno} {node.name} has {length} lines"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION
    ]
    lengths = {file: len((PACKAGE / file).read_text("utf-8").splitlines()) for file in sources()}
    assert long + [f"{file} has {length} lines" for file, length in lengths.items() if length > MAX_FILE] == []


def test_every_module_says_what_it_is_for():
    assert [file for file, tree in sources().items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    code = (
        "import sys\n"
        "from coder.cli import exit_code\n"
        f"assert exit_code({arguments!r}) == 0\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "HEAVY []"


def commands(command: click.Command, path: str, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    if not command.hidden:
        yield path, command
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                yield from commands(command.get_command(ctx, name), f"{path} {name}", ctx)


def test_the_readme_names_every_command_and_flag():
    ctx = click.Context(coder)
    flags = {
        max(parameter.opts, key=len)
        for _, command in commands(coder, "coder", ctx)
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    }
    names = {path for path, _ in commands(coder, "coder", ctx)}
    readme = README.read_text("utf-8")
    missing = {name for name in flags | names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", readme)}
    assert missing == set()
