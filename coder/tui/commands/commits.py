"""/commit: what was applied becomes a commit, with a message to edit first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from coder.amounts import count
from coder.session.commands import Command
from coder.tui.commands.command import at_rest, with_session

if TYPE_CHECKING:
    from coder.tui.app import CoderApp
    from coder.tui.door import SessionLike

MAX_LISTED = 6  # files named before the message


def commit(app: CoderApp, rest: str) -> None:
    """Show what would be committed and its message; with one given, commit at once."""
    if at_rest(app, "what was applied can be committed"):
        with_session(app, lambda session: _make(session, rest) if rest else _ask(app, session))


async def _make(session: SessionLike, message: str) -> None:
    await session.commits.make(message)


async def _ask(app: CoderApp, session: SessionLike) -> None:
    from coder.tui.commit import CommitScreen

    paths = await asyncio.to_thread(session.commits.paths)
    if not paths:
        app.conversation.say("nothing that was applied here waits to be committed")
        return

    def given(message: str | None) -> None:
        if message:
            with_session(app, lambda session: _make(session, message))

    more = f"\n… and {count(len(paths) - MAX_LISTED, 'file')} more" if len(paths) > MAX_LISTED else ""
    words = [("\n".join(paths[:MAX_LISTED]) + more, "accent")]
    words.append(("Only what was applied here; whatever else is changed or staged stays as it is.", "muted"))
    app.push_screen(CommitScreen(words, session.commits.message()), given)


COMMANDS = (Command("commit", commit),)
