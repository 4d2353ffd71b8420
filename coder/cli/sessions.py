"""`coder sessions`: what was asked, in which repository, and how it ended; names, copies, exports."""

import time
from typing import Any

import click

from coder.cli import doors
from coder.cli.options import SharedOptions, gather
from coder.cli.setup import prepare
from coder.errors import Exit
from coder.headless.result import dump
from coder.session.export import WHOLE, to_markdown, to_object
from coder.session.recorded import load_history
from coder.session.sessions import (
    SessionInfo,
    delete_session,
    find_session,
    fork_session,
    list_sessions,
    rename_session,
)
from coder.text import redact, redact_within, visible, visible_line


@click.command("sessions", cls=SharedOptions)
@click.argument("action", type=click.Choice(["list", "show", "export", "rename", "fork", "delete"]), default="list")
@click.argument("session", required=False, default="")
@click.argument("title", nargs=-1)
@click.option("--all", "everywhere", is_flag=True, help="Sessions of every repository, not only of this one.")
@click.option("--before", metavar="TURN", type=click.IntRange(1), help="With fork: only what was before this turn.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.pass_context
def command(
    ctx: click.Context,
    action: str,
    session: str,
    title: tuple[str, ...],
    everywhere: bool,
    before: int | None,
    output: str,
) -> int:
    """List the sessions of this repository, or show, export (Markdown or JSON), rename, fork or delete one by its id.

    The beginning of an id is enough. `rename ID TITLE` without a title takes the name away; `fork` prints the new id.
    """
    if (action == "list" and session) or (title and action != "rename"):
        raise click.UsageError("unexpected argument", ctx)
    if action != "list" and not session:
        raise click.UsageError(f"which session? as in: coder sessions {action} ID", ctx)
    if before is not None and action != "fork":
        raise click.UsageError("--before goes with fork", ctx)
    setup = prepare(gather(ctx), need_repository=False)
    if action == "list":
        root = "" if everywhere or setup.location is None else str(setup.location.root)
        infos = list_sessions(setup.places, root)
        click.echo(_json([to_object(info) for info in infos]) if output == "json" else _table(infos))
        return Exit.DONE
    info = find_session(setup.places, session)
    match action:
        case "delete":
            delete_session(setup.places, info)
            _report(output, f"deleted {info.id}", {"deleted": info.id})
        case "rename":
            rename_session(info, " ".join(title))
            _report(output, f"renamed {info.id}", to_object(find_session(setup.places, info.id)))
        case "fork":
            forked = fork_session(setup.places, info, before or 0)
            _report(output, forked, to_object(find_session(setup.places, forked)))
        case _:
            _print_session(info, output, most=WHOLE if action == "export" else 2_000)
    return Exit.DONE


def _report(output: str, text: str, value: dict[str, Any]) -> None:
    click.echo(_json(value) if output == "json" else text)


def _json(value: object) -> str:
    """What people said and models answered may hold what must not be passed on."""
    return dump(redact_within(value, doors.known_secrets()), indent=2)


def _print_session(info: SessionInfo, output: str, *, most: int) -> None:
    history = load_history(info.path)
    if output == "json":
        click.echo(_json({**to_object(info), "history": history}))
    else:
        click.echo(visible(redact(to_markdown(info, history, most=most), doors.known_secrets())))


def _table(infos: list[SessionInfo]) -> str:
    if not infos:
        return "no sessions here yet"
    return "\n".join(
        f"{info.id}  {time.strftime('%Y-%m-%d %H:%M', time.localtime(info.updated))}  {info.status:<11}  "
        f"{visible_line(redact(info.title or info.task, doors.known_secrets()), 70)}"
        for info in infos
    )
