"""`coder run`: one task without questions."""

from pathlib import Path
from typing import Any, Literal

import click

from coder.cli import doors
from coder.cli.options import Shared, SharedOptions, gather
from coder.errors import UserError
from coder.session.outcome import Destination


@click.command("run", cls=SharedOptions)
@click.argument("task")
@click.option("--test", "tests", metavar="CMD", multiple=True, help="Test the draft with this command; approves it.")
@click.option("--no-test", is_flag=True, help="Run no tests.")
@click.option("--commit", is_flag=True, help="Commit the approved hunks on top of HEAD.")
@click.option("--branch", metavar="NAME", help="With --commit: create this branch first.")
@click.option("--patch", metavar="FILE", help="Write the patch to FILE (- is stdout) and leave the tree alone.")
@click.option("--dry-run", is_flag=True, help="Change nothing.")
@click.option("--output", type=click.Choice(["text", "json", "jsonl"]), default="text", help="Form of the result.")
@click.option("--output-file", metavar="FILE", help="Write the result object to FILE too.")
@click.option("--junit", metavar="FILE", help="Write the test report to FILE as JUnit XML.")
@click.option("--allow", metavar="PATTERN", multiple=True, help="Protected paths that may be changed.")
@click.option("--sandbox", type=click.Choice(["auto", "require", "off"]), default="auto", help="How tests are caged.")
@click.option("--trust", is_flag=True, help="Trust the repository's configuration and test command for this run.")
@click.pass_context
def command(ctx: click.Context, /, task: str, **options: Any) -> int:
    """Do one task without questions, for CI and scripts.

    TASK is the text itself, `-` for standard input or `@FILE`. Exit codes are listed in the README.
    """
    destination = _destination(options)
    if options["tests"] and options["no_test"]:
        raise click.UsageError("--test and --no-test exclude each other", ctx)
    files = [Path(options[name]).absolute() for name in ("patch", "output_file", "junit") if options[name]]
    if len(set(files)) < len(files):
        raise click.UsageError("--patch, --output-file and --junit need a file each", ctx)
    return run_task(gather(ctx), task, destination, options)


def run_task(
    shared: Shared,
    argument: str,
    destination: Destination,
    options: dict[str, Any],
    *,
    mode: Literal["edit", "ask"] = "edit",
) -> int:
    """Prepare and carry out a headless run; `coder ask` comes this way too."""
    from coder.cli.open import session_opener
    from coder.cli.setup import prepare
    from coder.cli.tasks import read_task
    from coder.headless.run import Job, Output, run
    from coder.session.checks import CheckOptions
    from coder.session.session import SessionOptions

    setup = prepare(shared, trust=options.get("trust", False))
    writable(destination.patch_file)
    text, remark = read_task(argument)
    if remark and not shared.quiet:
        doors.say(f"coder: {remark}")
    checks = CheckOptions(
        commands=tuple(options.get("tests", ())),
        none=options.get("no_test", False),
        trusted=options.get("trust", False),
        sandbox=options.get("sandbox", "auto"),
        foreign=setup.tests_are_foreign,
    )
    output = Output(
        format="patch" if options.get("patch") == "-" else options["output"],
        file=writable(options.get("output_file")),
        junit=writable(options.get("junit")),
        quiet=shared.quiet,
        verbose=shared.verbose,
        secrets=doors.known_secrets(),
        log=doors.write_log,
        places=setup.places,
    )
    session = SessionOptions(mode=mode, checks=checks, destination=destination, trusted=setup.trusted)
    opener = session_opener(setup, session)
    return run(Job(opener, text, output, tuple(options.get("allow", ())), setup.settings.limits.timeout))


def _destination(options: dict[str, Any]) -> Destination:
    chosen = [name for name in ("commit", "patch", "dry_run") if options[name]]
    if len(chosen) > 1:
        flags = " and ".join("--" + name.replace("_", "-") for name in chosen)
        raise click.UsageError(f"{flags} exclude each other")
    if options["branch"] and not options["commit"]:
        raise click.UsageError("--branch goes with --commit")
    if options["patch"] == "-" and options["output"] != "text":
        raise click.UsageError("--patch - puts the patch on stdout; with --output json it is in the result already")
    match chosen:
        case ["commit"]:
            return Destination("commit", branch=options["branch"] or "")
        case ["patch"]:
            return Destination("patch", patch_file=None if options["patch"] == "-" else Path(options["patch"]))
        case ["dry_run"]:
            return Destination("nothing")
        case _:
            return Destination("tree")


def writable(name: Path | str | None) -> Path | None:
    """A file to be written at the end, looked at before money is spent on what goes into it."""
    if not name:
        return None
    path = Path(name).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"cannot write {path}", "its directory must exist, and it must not be one itself")
    return path
