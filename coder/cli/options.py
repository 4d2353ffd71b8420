"""The options every command shares. They may stand before or after the command's name; the later one wins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct


def shared_options() -> list[click.Option]:
    """Fresh option objects, in the order `--help` lists them."""
    return [
        click.Option(["--cwd"], metavar="DIR", help="Work in this directory instead of the current one."),
        click.Option(["--config"], metavar="FILE", help="Use this file instead of your own configuration file."),
        click.Option(["--set"], metavar="KEY=VALUE", multiple=True, help="Set one setting; may be repeated."),
        click.Option(["--model"], metavar="NAME", help="The model that plans and edits."),
        click.Option(["--subagent-model"], metavar="NAME", help="The model that summarises, selects and triages."),
        click.Option(["--context-budget"], metavar="TOKENS", type=int, help="Window tokens the repository may take."),
        click.Option(["--exclude"], metavar="PATTERN", multiple=True, help="Files that must never leave the machine."),
        click.Option(["--max-cost"], metavar="USD", type=float, help="What may be spent; checked before each call."),
        click.Option(["--max-steps"], metavar="N", type=int, help="Model calls a turn may take."),
        click.Option(["--timeout"], metavar="SECONDS", type=float, help="Time for everything."),
        click.Option(["--retry-budget"], metavar="SECONDS", type=float, help="Sum of the waits between tries."),
        click.Option(["--quiet", "-q"], is_flag=True, help="Only the result and errors."),
        click.Option(["--verbose", "-v"], is_flag=True, help="Say more of what happens."),
    ]


class Shared(Struct, frozen=True):
    """The shared options as given; None or () where not."""

    cwd: Path
    config: Path | None
    assignments: tuple[str, ...]
    exclude: tuple[str, ...]
    quiet: bool
    verbose: bool
    settings: Mapping[str, Any]


class SharedOptions(click.Command):
    """A command that takes the shared options beside its own; `gather` has their values, not the function."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shared = shared_options()
        self.params = [*self.params, *self._shared]

    def invoke(self, ctx: click.Context) -> Any:
        self._refuse_empty(ctx)
        given = {option.name: ctx.params.pop(option.name) for option in self._shared if option.name in ctx.params}
        ctx.meta.setdefault(_LEVELS, []).append(given)
        return super().invoke(ctx)

    def _refuse_empty(self, ctx: click.Context) -> None:
        """An empty value is a variable of a script that was not set: it must not count as a flag that was not given."""
        options = {option.name: option for option in self.params if isinstance(option, click.Option)}
        for name, value in ctx.params.items():
            if name in options and (value == "" or (isinstance(value, tuple) and "" in value)):
                raise click.UsageError(f"{options[name].opts[0]} is empty", ctx)


_LEVELS = "coder.shared"  # in a context's meta: the shared options of the group, then of the command


# Flags that are settings, by the dotted key they set.
_SETTINGS = {
    "model": "model",
    "subagent_model": "subagent_model",
    "context_budget": "context.budget",
    "max_cost": "limits.max_cost",
    "max_steps": "limits.max_steps",
    "timeout": "limits.timeout",
    "retry_budget": "limits.retry_budget",
}


def gather(ctx: click.Context) -> Shared:
    """The shared options of a command and of the group before it."""
    levels: list[dict[str, Any]] = ctx.meta[_LEVELS]

    def last(name: str) -> Any:
        given = [level[name] for level in levels if level.get(name) is not None and level[name] is not False]
        return given[-1] if given else None

    def every(name: str) -> tuple[str, ...]:
        return tuple(value for level in levels for value in level.get(name) or ())

    if last("quiet") and last("verbose"):
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)
    return Shared(
        cwd=Path(last("cwd") or "."),
        config=Path(last("config")) if last("config") else None,
        assignments=every("set"),
        exclude=every("exclude"),
        quiet=bool(last("quiet")),
        verbose=bool(last("verbose")),
        settings={key: last(name) for name, key in _SETTINGS.items() if last(name) is not None},
    )
