"""A suite of `coder eval`: tasks with a repository and a check each, and the configurations they are tried in.

A suite is a TOML file; repositories are directories beside it. Read once, here; what is wrong is told by its place.
"""

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from coder.config.faults import find_fault
from coder.errors import UserError
from coder.verify.commands import parse_command

MAX_BYTES = 1_000_000
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$(?!\n)")]


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class Task(_Part, frozen=True):
    """`check` decides: it runs in the sandbox on what the run left, with `check_files` laid over it, and 0 is
    success. `test` are the commands that the run itself may test with."""

    id: Id
    repository: str
    task: Annotated[str, Meta(min_length=1)]
    check: str
    check_files: str = ""
    test: tuple[str, ...] = ()


class Configuration(_Part, frozen=True):
    """`set` holds settings by dotted key or as tables, as in the configuration file."""

    name: Id
    set: Mapping[str, Any] = {}


class Suite(_Part, frozen=True):
    """`max_cost` (USD) and `timeout` (seconds) are of one trial; `repeat` is how often each task is tried."""

    name: Id
    tasks: Annotated[tuple[Task, ...], Meta(min_length=1, max_length=10_000)]
    configurations: tuple[Configuration, ...] = (Configuration(name="default"),)
    repeat: Annotated[int, Meta(ge=1, le=100)] = 1
    timeout: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    max_cost: Annotated[float, Meta(ge=0, le=1_000)] = 0.5


class Trial(Struct, frozen=True):
    """One task in one configuration, once. `number` counts from 0."""

    task: Task
    configuration: Configuration
    number: int


class Loaded(Struct, frozen=True):
    """A suite, the directory that its paths are relative to, and a digest that tells it from another one."""

    suite: Suite
    place: Path
    digest: str

    def trials(self, shard: tuple[int, int] = (1, 1)) -> list[Trial]:
        """Every trial of one shard (`i` of `n`, from 1), in an order that is the same everywhere."""
        part, parts = shard
        suite = self.suite
        every = itertools.product(range(suite.repeat), suite.tasks, suite.configurations)
        trials = [Trial(task, configuration, number) for number, task, configuration in every]
        return trials[part - 1 :: parts]


def load_suite(path: Path) -> Loaded:
    """Raises UserError for what is no suite, naming the field at fault."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        table = tomllib.loads(raw.decode("utf-8"))
        if fault := find_fault(Suite, table):
            raise UserError(f"{path}: {'.'.join(fault.path)}: {fault.what}", "see `coder eval --help`")
        suite = convert(table, Suite)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "name the TOML file of a suite") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}", "a suite is a TOML file") from None
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path} is larger than {MAX_BYTES:,} bytes", "split the suite")
    for complaint in _complaints(suite, path.parent.resolve()):
        raise UserError(f"{path}: {complaint}", "mend the suite")
    return Loaded(suite, path.parent.resolve(), hashlib.sha256(raw).hexdigest())


def _complaints(suite: Suite, place: Path) -> Iterator[str]:
    for what, names in (("task", [task.id for task in suite.tasks]),
                        ("configuration", [each.name for each in suite.configurations])):  # fmt: skip
        if twice := {name for name in names if names.count(name) > 1}:
            yield f"there are two {what}s called {min(twice)}"
    for task in suite.tasks:
        for name in filter(None, (task.repository, task.check_files)):
            directory = (place / name).resolve()
            if not directory.is_relative_to(place) or not directory.is_dir():
                yield f"task {task.id}: {name} is no directory beside the suite"
        for command in (task.check, *task.test):
            try:
                parse_command(command)
            except UserError as error:
                yield f"task {task.id}: {error.message}"


def assignments(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings as `key=value` for `--set`."""
    pairs = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            pairs += assignments(value, f"{prefix}{key}.")
        else:
            pairs.append(f"{prefix}{key}={value if isinstance(value, str) else json.dumps(value)}")
    return pairs
