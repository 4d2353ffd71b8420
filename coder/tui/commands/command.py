"""What a slash command is, and how one reaches the session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from coder.errors import CoderError
from coder.session import commands
from coder.tui.keys import hint

if TYPE_CHECKING:
    from coder.tui.app import CoderApp
    from coder.tui.door import SessionLike


Command: TypeAlias = "commands.Command[CoderApp]"


def with_session(app: CoderApp, work: Callable[[SessionLike], Awaitable[object]]) -> None:
    """Run `work` beside the screen, once the session is open; what the user can mend is said in the conversation."""

    async def when_open() -> None:
        session = app.session or await app.turns.opened()
        if session is None:
            app.conversation.say("there is no session", "warning", "the repository could not be opened")
        else:
            await work(session)

    beside(app, when_open)


def beside(app: CoderApp, work: Callable[[], Awaitable[object]]) -> None:
    """The same for what needs no session."""

    async def done() -> None:
        try:
            await work()
        except CoderError as error:
            app.conversation.say(error.message, "error", error.hint)
        except OSError as error:
            app.conversation.say(f"{error.filename or ''}: {error.strerror or error}".strip(": "), "error")

    app.beside(asyncio.create_task(done()))


def at_rest(app: CoderApp, what: str) -> bool:
    """Whether no turn runs; if one does, it is said that `what` has to wait."""
    if app.turns.running:
        key, words = hint(["app.interrupt"], "interrupts it", app.keys)
        app.conversation.say(f"{what} once the turn is over", "warning", f"{key} {words}")
    return not app.turns.running
