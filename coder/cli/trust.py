"""`coder trust`: which repositories' configuration and test commands may be used."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coder.cli.options import SharedOptions, gather
from coder.cli.setup import PROJECT_FILE, prepare
from coder.config import load_config, project_layer
from coder.errors import CoderError, UserError
from coder.repo.discover import discover
from coder.repo.trust import TrustStore
from coder.store import Places
from coder.text import visible_line

if TYPE_CHECKING:
    from coder.verify.commands import TestCommand


@click.command("trust", cls=SharedOptions)
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("directory", required=False)
@click.pass_context
def command(ctx: click.Context, action: str, directory: str | None) -> None:
    """List trusted repositories, or trust or distrust the one that holds DIRECTORY (default: the current one).

    Trust means: its .coder.toml and AGENTS.md are read, and its test commands may run as they are now, word for word;
    after a change they are asked about anew.
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
    if action == "add":
        for found in _commands(root, setup.places):
            store.approve_command(root, found.argv)
            click.echo(f"its tests may run: {visible_line(shlex.join(found.argv))} ({found.origin})")


def _commands(root: Path, places: Places) -> "tuple[TestCommand, ...]":
    """The repository's own test commands as they are now; none where its files cannot be read."""
    from coder.repo.repository import Repository
    from coder.session.checks import named_by_repository

    try:
        layer = project_layer(root / PROJECT_FILE)
        configured = load_config([layer]).settings.test.commands if layer else ()
        repository = Repository.open(root, places, "trust")
        try:
            return named_by_repository(repository, repository.snapshot().tree, configured)
        finally:
            repository.close()
    except CoderError as error:
        click.echo(f"its test commands were not read: {visible_line(str(error))}", err=True)
        return ()


def _root(directory: str | None) -> Path:
    """The root to distrust, even where the repository is gone."""
    path = Path(directory or ".").absolute()
    try:
        return discover(path).root
    except UserError:
        return path.resolve()
