"""`coder trust`: which repositories' configuration and test commands may be used."""

from pathlib import Path

import click

from coder.cli.options import SharedOptions, gather
from coder.cli.setup import prepare
from coder.errors import UserError
from coder.repo.discover import discover
from coder.repo.trust import TrustStore
from coder.text import visible_line


@click.command("trust", cls=SharedOptions)
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("directory", required=False)
@click.pass_context
def command(ctx: click.Context, action: str, directory: str | None) -> None:
    """List trusted repositories, or trust or distrust the one that holds DIRECTORY (default: the current one).

    Trust means: its .coder.toml and AGENTS.md are read, and its own test command may be proposed and run.
    """
    setup = prepare(gather(ctx), need_repository=False, hear_project=False)
    store = TrustStore(setup.places)
    if action == "list":
        for root in store.list():
            click.echo(visible_line(str(root)))
        return
    root = discover(Path(directory or ".").absolute()).root if action == "add" else _root(directory)
    if root in (Path.home(), Path("/")):
        raise UserError(f"{root} is never trusted as a whole", "trust the repository itself")
    (store.add if action == "add" else store.remove)(root)
    click.echo(f"{'trusted' if action == 'add' else 'no longer trusted'}: {visible_line(str(root))}")


def _root(directory: str | None) -> Path:
    """The root to distrust, even where the repository is gone."""
    path = Path(directory or ".").absolute()
    try:
        return discover(path).root
    except UserError:
        return path.resolve()
