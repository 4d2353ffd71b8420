"""`coder triage`: failures from a report, a log or a command, grouped and judged; nothing is edited."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coder.cli import doors
from coder.cli.options import SharedOptions, gather
from coder.events import Ask, Emit, Notice

if TYPE_CHECKING:
    from coder.cli.setup import Setup
    from coder.session.triage_session import Failures, TriageSession


@click.command("triage", cls=SharedOptions)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD ...]")
@click.option("--junit", metavar="FILE", multiple=True, help="A JUnit XML report (- is standard input).")
@click.option("--log", "logs", metavar="FILE", multiple=True, help="What the tests printed (- is standard input).")
@click.option("--output", type=click.Choice(["text", "json", "markdown"]), default="text", help="Form of the report.")
@click.option("--output-file", metavar="FILE", help="Write the result object to FILE too.")
@click.option("--sandbox", type=click.Choice(["auto", "require", "off"]), default="auto", help="How CMD is caged.")
@click.option("--trust", is_flag=True, help="Use the repository's .coder.toml for this call.")
@click.pass_context
def command(ctx: click.Context, /, command: tuple[str, ...], **options: Any) -> int:
    """Say which failures have one cause, and what it probably is. Needs no key; with one, the small model judges.

    Give a report, a log (both: the log explains the report), or a command after -- to run it in the sandbox.
    """
    junit, logs = options["junit"], options["logs"]
    if not (command or junit or logs):
        raise click.UsageError("give --junit FILE, --log FILE, or -- CMD ...", ctx)
    if command and (junit or logs):
        raise click.UsageError("a command and saved files exclude each other", ctx)
    if [*junit, *logs].count("-") > 1:
        raise click.UsageError("standard input can be read only once", ctx)
    return _triage(ctx, command, options)


def _triage(ctx: click.Context, command: tuple[str, ...], options: dict[str, Any]) -> int:
    from coder.cli.run import writable
    from coder.cli.setup import prepare
    from coder.headless.run import Job, Output, run
    from coder.session.triage_session import Failures

    shared = gather(ctx)
    setup = prepare(shared, need_repository=bool(command), trust=options["trust"])
    secrets = doors.known_secrets()
    output = Output(
        format=options["output"],
        file=writable(options["output_file"]),
        quiet=shared.quiet,
        verbose=shared.verbose,
        secrets=secrets,
        log=doors.write_log,
        places=setup.places,
    )
    junit, logs = (tuple(map(_located, options[name])) for name in ("junit", "logs"))
    failures = Failures(junit, logs, command, options["sandbox"], secrets)
    task = f"triage {' '.join(command or (*junit, *logs))}"
    return run(Job(_opener(setup, failures), task, output, timeout=setup.settings.limits.timeout))


def _opener(setup: "Setup", failures: "Failures") -> Callable[[Emit, Ask], "TriageSession"]:
    """What the harness calls, in a thread, to get the session."""
    from coder.headless.telemetry import observed
    from coder.repo.apply import recover
    from coder.repo.repository import Repository
    from coder.session.record import new_session_id
    from coder.session.triage_session import TriageSession

    def open_session(emit: Emit, _ask: Ask) -> "TriageSession":
        session, emit = new_session_id(), observed(emit, setup.settings.otel)
        for message in recover(setup.location, setup.places) if setup.location else ():
            emit(Notice(message, "warning"))
        repository = Repository(setup.location, setup.places, session) if setup.location else None
        return TriageSession(repository, setup.settings, setup.places, emit, failures, id=session)

    return open_session


def _located(name: str) -> str:
    return name if name == "-" else str(Path(name).absolute())
