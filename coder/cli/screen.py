"""`coder` without a command: the screen for the repository that holds the current directory.

The session's rooms are imported where they are used: the first frame need not wait for them.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from coder.cli.options import Shared, gather
from coder.cli.setup import PROJECT_FILE, Setup, prepare
from coder.errors import UserError
from coder.events import Ask, Emit, Event
from coder.repo.trust import TrustStore
from coder.session.commands import SettingRow
from coder.store import Places, private_dir
from coder.tui.door import OpenSession, ScreenOptions, TrustQuestion

if TYPE_CHECKING:
    from coder.cli.open import Opener
    from coder.session.session import Session

HONOURED = {
    PROJECT_FILE: "its settings for context, tests and models",
    "AGENTS.md": "its text, shown to the model as context",
}


def open_screen(ctx: click.Context, task: str, continue_: bool, resume: str) -> int:
    """Open the screen and return its exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise UserError("the screen needs a terminal", "use `coder --plain`, `coder run TASK`, or `coder --help`")
    shared = gather(ctx)
    setup = prepare(shared)
    session = resumed(setup, continue_, resume)
    openers = partial(reopening, shared)
    past = partial(past_of, setup.places, session) if session else None
    return show(setup, openers(session), task, trust_question(setup), banner(setup), openers, past)


def resumed(setup: Setup, continue_: bool, resume: str) -> str:
    """The id of the session to go on with, "" for a new one. Raises UserError where there is none such."""
    from coder.session.sessions import find_session, newest_session

    root = str(setup.repository().root)
    if continue_:
        return newest_session(setup.places, root).id
    return find_session(setup.places, resume, root).id if resume else ""


def show(
    setup: Setup,
    opener: "Opener",
    task: str,
    trust: TrustQuestion | None,
    text: str,
    openers: "Callable[[str], Opener] | None" = None,
    past: Callable[[], Sequence[Event]] | None = None,
) -> int:
    """Run the screen over the session that `opener` opens, and over those that `openers` gives for their ids.

    `past` is told before the session is open.
    """
    from coder.tui import run_screen

    location, settings = setup.repository(), setup.settings
    options = ScreenOptions(
        root=str(location.root),
        branch=location.branch,
        model=settings.model,
        max_cost=settings.limits.max_cost,
        theme=settings.screen.theme,
        notify=settings.screen.notify,
        keys=settings.screen.keys,
        banner=text,
        log=private_dir(setup.places.state / "logs") / "screen.log",
        history=private_dir(setup.places.state) / "history",
        trust=trust,
        warm=(warm_model,),
        places=setup.places,
        past=past,
        reopen=(lambda id: in_thread(openers(id))) if openers else None,
        settings=lambda: settings_as_rows(setup),
        still=settings.screen.reduced_motion,
        inline=settings.screen.inline,
    )
    return run_screen(in_thread(opener), task=task, options=options)


def in_thread(opener: "Opener") -> OpenSession:
    """Opening reads files; the screen goes on meanwhile."""

    async def open_session(emit: Emit, ask: Ask) -> "Session":
        return await asyncio.to_thread(opener, emit, ask)

    return open_session


def past_of(places: Places, session: str) -> Sequence[Event]:
    """What a recorded session has been. Blocking."""
    from coder.session.replay import past_of

    return past_of(places, session)


def settings_as_rows(setup: Setup) -> list[SettingRow]:
    """The effective settings as the screen lists them."""
    from coder.cli.config import setting_rows
    from coder.headless.result import dump
    from coder.text import redact

    return [
        SettingRow(row["key"], redact(dump(row["value"])), row["meaning"], row["origin"]) for row in setting_rows(setup)
    ]


def reopening(shared: Shared, resume: str = "") -> "Opener":
    """Opens a session, or the recorded one with the id `resume`, with the settings as they are once the trust question
    was answered. Blocking."""

    def open_session(emit: Emit, ask: Ask) -> "Session":
        from coder.cli.open import session_opener
        from coder.session.checks import CheckOptions
        from coder.session.session import SessionOptions

        setup = prepare(shared)
        checks = CheckOptions(foreign=setup.tests_are_foreign)
        options = SessionOptions(checks=checks, trusted=setup.trusted)
        return session_opener(setup, options, resume)(emit, ask)

    return open_session


def warm_model() -> None:
    """Import the SDK while the person still reads the first frame."""
    from coder.model.client import warm

    warm()


def trust_question(setup: Setup) -> TrustQuestion | None:
    """What to ask about this repository, if it is not trusted and has something that trust would change."""
    root = setup.repository().root
    found = [f"{name}: {what}" for name, what in HONOURED.items() if (root / name).is_file()]
    if setup.trusted or not found:
        return None
    return TrustQuestion(str(root), found, lambda: TrustStore(setup.places).add(root))


def banner(setup: Setup) -> str:
    """What to say before the first task: how to go on without a key, if there is none."""
    settings = setup.settings
    has_server = bool(settings.base_url or settings.provider or os.environ.get("OPENAI_BASE_URL"))
    if os.environ.get(settings.api_key_env or "OPENAI_API_KEY") or has_server:
        return ""
    return (
        f"There is no API key yet. Set {settings.api_key_env} and start again, point OPENAI_BASE_URL at a local "
        "server, or see the whole job without a key: coder demo"
    )
