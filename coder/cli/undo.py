"""`coder undo`: preview, then restore what an applied change replaced. Itself a checkpoint, so it can be undone."""

import sys
import time

import click

from coder.cli.options import SharedOptions, gather
from coder.cli.setup import prepare
from coder.errors import Exit, Failed, UserError
from coder.repo.apply import recover
from coder.repo.checkpoint import list_checkpoints, preview, undo
from coder.text import visible


@click.command("undo", cls=SharedOptions)
@click.argument("checkpoint", required=False)
@click.option("--list", "list_them", is_flag=True, help="List what can be undone, newest first.")
@click.option("--yes", is_flag=True, help="Restore without asking.")
@click.pass_context
def command(ctx: click.Context, checkpoint: str | None, list_them: bool, yes: bool) -> int:
    """Take back CHECKPOINT (default: what coder applied last). Files that changed since are never overwritten."""
    if checkpoint == "":  # a variable of a script that was not set
        raise click.UsageError("CHECKPOINT is empty", ctx)
    setup = prepare(gather(ctx), hear_project=False)
    location = setup.repository()
    for message in recover(location, setup.places):
        click.echo(visible(f"coder: {message}"), err=True)
    if list_them:
        for item in list_checkpoints(location, setup.places):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item.when))
            state = "  (undone)" if item.undone else ""
            click.echo(visible(f"{item.id}  {when}  {item.label.splitlines()[0]}  {', '.join(item.paths)}{state}"))
        return Exit.DONE
    items = preview(location, setup.places, checkpoint or "")
    if not items:
        raise Failed("there is nothing to undo", "`coder undo --list` shows checkpoints")
    for line in items:
        action = "is already as it was" if line.action == "nothing" else line.action
        click.echo(visible(f"{line.path}: {line.blocked or action}"))
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("undo asks first, and there is no terminal", "use --yes")
        click.confirm("Restore?", default=False, abort=True, err=True)
    made = undo(location, setup.places, checkpoint or "")
    for warning in made.warnings:
        click.echo(visible(f"coder: warning: {warning}"), err=True)
    click.echo(visible(f"restored: {', '.join(made.paths)}" if made.paths else "nothing had to be restored"))
    return Exit.DONE
