"""`coder demo`: the whole job on a sample repository, without a key. The model is a recording, and that is said."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click

from coder.cli import doors
from coder.cli.open import Opener, session_opener
from coder.cli.options import SharedOptions, gather
from coder.cli.setup import Setup
from coder.config import Config, Settings
from coder.demo.server import playing
from coder.events import Ask, Emit, Event, ProposalReady
from coder.model.providers import choose_provider
from coder.repo.create import create_repository
from coder.repo.discover import discover
from coder.session.checks import CheckOptions
from coder.session.disclosure import tell_once
from coder.session.session import Session, SessionOptions
from coder.store import find_places
from coder.text import visible

SAMPLE = Path(__file__).parent.parent / "demo" / "sample"
TASK = "Two tests of the basket fail. Find out why and mend it."
ANNOUNCEMENT = (
    "coder demo: the model's replies are a recording that a local server plays back; nothing is sent or billed.\n"
    "Everything else is real: the repository, the draft, the sandboxed tests, the review, the apply and the undo."
)


@click.command("demo", cls=SharedOptions)
@click.option("--plain", is_flag=True, help="Run without the screen, also on a terminal.")
@click.option("--keep", is_flag=True, help="Keep the temporary repository and say where it is.")
@click.option("--output", type=click.Choice(["text", "json", "jsonl"]), default="text", help="Form of the result.")
@click.pass_context
def command(ctx: click.Context, plain: bool, keep: bool, output: Literal["text", "json", "jsonl"]) -> int:
    """The whole job on a sample repository with failing tests, in a temporary copy. Needs no key and no network."""
    on_screen = sys.stdin.isatty() and sys.stdout.isatty() and not plain and output == "text"
    quiet = gather(ctx).quiet
    if not quiet:
        doors.say(ANNOUNCEMENT)
    with _stage(keep) as root, playing(pace_s=0.02 if on_screen else 0.0) as base_url:
        setup = Setup(find_places(), discover(root), True, Config(Settings(base_url=base_url, api_key_env=""), {}))
        tell_once(setup.places, choose_provider(setup.settings, {}))  # what it says is not true of a recording
        command = f"{shlex.quote(sys.executable)} -m unittest"
        opener = session_opener(setup, SessionOptions(checks=CheckOptions(commands=(command,)), trusted=True))
        return _show(setup, opener) if on_screen else _run(opener, output, quiet)


@contextmanager
def _stage(keep: bool) -> Iterator[Path]:
    """A temporary repository made of the sample, with private places of its own, so that nothing else is touched."""
    place = Path(tempfile.mkdtemp(prefix="coder-demo-")).resolve()
    root = place / "shop"
    try:
        shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
        create_repository(root, "A shop with a bug")
        for name in [name for name in os.environ if name.startswith(("OPENAI_", "CODER_"))]:
            del os.environ[name]
        for kind in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = str(place / kind.lower())
        os.environ["NO_PROXY"] = "127.0.0.1"
        os.chdir(root)
        yield root
    finally:
        os.chdir("/")
        if keep:
            doors.say(f"the repository is kept in {root}")
        else:
            shutil.rmtree(place, ignore_errors=True)


def _run(opener: Opener, output: Literal["text", "json", "jsonl"], quiet: bool) -> int:
    from coder.headless.run import Job, Output, run

    patches: list[bytes] = []

    def open_and_watch(emit: Emit, ask: Ask) -> Session:
        def watch(event: Event) -> None:
            if isinstance(event, ProposalReady):
                patches.append(event.proposal.patch)
            emit(event)

        return opener(watch, ask)

    code = run(Job(open_and_watch, TASK, Output(output, quiet=quiet)))
    if output == "text" and patches:
        click.echo(visible(f"\nThe change, applied to the temporary copy:\n\n{patches[-1].decode()}"), nl=False)
    return code


def _show(setup: Setup, opener: Opener) -> int:
    from coder.cli.screen import show

    return show(setup, opener, TASK, None, ANNOUNCEMENT)
