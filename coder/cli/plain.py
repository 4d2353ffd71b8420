"""`coder --plain`: the same work line by line, for dumb terminals, screen readers and scripts."""

from functools import partial

import click

from coder.cli import doors
from coder.cli.options import gather
from coder.cli.screen import banner, reopening, resumed, settings_as_rows, trust_question
from coder.cli.setup import Setup, prepare
from coder.plain.console import Console
from coder.plain.face import Face, PlainOptions
from coder.store import private_dir


def open_plain(ctx: click.Context, task: str, continue_: bool, resume: str) -> int:
    """Work until the person leaves; the exit code."""
    shared = gather(ctx)
    setup = prepare(shared)
    session = resumed(setup, continue_, resume)
    console = Console(
        history=private_dir(setup.places.state) / "history", secrets=doors.known_secrets(), quiet=shared.quiet
    )
    _ask_trust(console, setup)
    options = PlainOptions(
        setup.places,
        str(setup.repository().root),
        lambda: settings_as_rows(setup),
        task,
        banner(setup),
        setup.settings.limits.timeout,
    )
    return Face(console, options).run(partial(reopening, shared), session)


def _ask_trust(console: Console, setup: Setup) -> None:
    """Whether this repository's own files may be used; no where nobody is there to ask."""
    question = trust_question(setup)
    if question is None:
        return
    console.say(f"{question.root} has files that coder uses only if you trust it:")
    for what in question.honours:
        console.say(f"  {what}")
    if console.scripted:
        console.say("they are not used; `coder trust add` trusts this repository")
    elif console.confirm("Trust this repository?"):
        question.remember()
