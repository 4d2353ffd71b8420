"""`coder schema`: the JSON Schemas of what coder prints and reads, for those who build on it."""

import click

from coder.cli.options import SharedOptions
from coder.errors import Exit
from coder.headless.result import dump


@click.command("schema", cls=SharedOptions)
@click.argument("which", type=click.Choice(["events", "result", "config"]))
def command(which: str) -> int:
    """Print a JSON Schema: of the lines of --output jsonl, of the result object, or of the configuration file."""
    from coder.headless.schema import SCHEMAS

    click.echo(dump(SCHEMAS[which](), indent=2))
    return Exit.DONE
