"""`coder config`: every effective setting, what it means and where it comes from."""

from typing import Any

import click
from msgspec import to_builtins
from msgspec.structs import fields

from coder.cli.options import SharedOptions, gather
from coder.cli.setup import Setup, prepare
from coder.config import Section, Settings, meaning
from coder.headless.result import dump
from coder.text import redact, visible, visible_line


@click.command("config", cls=SharedOptions)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.option("--trust", is_flag=True, help="Read the repository's .coder.toml as if it were trusted.")
@click.pass_context
def command(ctx: click.Context, output: str, trust: bool) -> None:
    """Show the effective settings and where each comes from."""
    setup = prepare(gather(ctx), need_repository=False, trust=trust)
    rows = list(setting_rows(setup))
    if output == "json":
        click.echo(redact(dump({"settings": rows, "files": _files(setup)}, indent=2)))
        return
    for row in rows:
        click.echo(f"{row['key']} = {visible_line(redact(dump(row['value'])))}")
        click.echo(f"    {row['meaning']}  [{visible_line(row['origin'])}]")
    for name, place in _files(setup).items():
        click.echo(visible(f"{name}: {place}"))


def setting_rows(setup: Setup) -> list[dict[str, Any]]:
    """One row a setting: dotted key, value, meaning, origin ("default" where nothing set it)."""
    return _rows(Settings, setup.settings, "", setup.config.origins)


def _rows(section: type[Section], values: Section, prefix: str, origins: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for field in fields(section):
        value, key = getattr(values, field.name), f"{prefix}{field.name}"
        if isinstance(value, Section):
            rows += _rows(type(value), value, f"{key}.", origins)
            continue
        origin = next((where for set_key, where in origins.items() if f"{set_key}.".startswith(f"{key}.")), "default")
        rows.append({"key": key, "value": to_builtins(value), "meaning": meaning(field.type), "origin": origin})
    return rows


def _files(setup: Setup) -> dict[str, str]:
    return {
        "user configuration": str(setup.places.config_file),
        "state": str(setup.places.state),
        "cache": str(setup.places.cache),
    }
