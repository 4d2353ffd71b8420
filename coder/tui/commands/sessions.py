"""Commands about sessions: list, go on with another, copy, name, go back, write out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.session.commands import Command, turn_number
from coder.tui.commands.command import at_rest, beside, with_session
from coder.tui.confirm import Confirm, file_words
from coder.tui.picker import Offer, Picker

if TYPE_CHECKING:
    from coder.session.sessions import SessionInfo
    from coder.store import Places
    from coder.tui.app import CoderApp
    from coder.tui.door import SessionLike


def sessions(app: CoderApp, rest: str) -> None:
    """Choose one of this repository's, and go on with it."""

    async def choose() -> None:
        from coder.session.sessions import list_sessions

        found = await asyncio.to_thread(list_sessions, _places(app), app.facts.root or app.options.root)
        if not found:
            raise UserError("there are no sessions of this repository yet")
        here = app.session.id if app.session else ""
        offers = [_offer(info, here) for info in found]
        app.push_screen(Picker("Sessions of this repository", offers, here), lambda id: _go_to(app, id, here))

    if at_rest(app, "another session can be opened"):
        beside(app, choose)


def _offer(info: SessionInfo, here: str) -> Offer:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.updated))
    mark = "  (this one)" if info.id == here else ""
    return Offer(
        info.id, f"{when}  {info.title or info.task or '(nothing asked)'}", f"{info.turns}  {info.status}{mark}"
    )


def _go_to(app: CoderApp, id: str | None, here: str) -> None:
    if id and id != here:
        app.reopen(id)


def resume(app: CoderApp, rest: str) -> None:
    """Go on with the session that `rest` is the beginning of; without it, choose one."""

    async def find() -> None:
        from coder.session.sessions import find_session

        info = await asyncio.to_thread(find_session, _places(app), rest, app.facts.root or app.options.root)
        _go_to(app, info.id, app.session.id if app.session else "")

    if not rest:
        sessions(app, rest)
    elif at_rest(app, "another session can be opened"):
        beside(app, find)


def fork(app: CoderApp, rest: str) -> None:
    """Go on in a copy of this session, whole or as it was before turn `rest`."""

    async def copy(session: SessionLike) -> None:
        from coder.session.sessions import find_session, fork_session

        info = await asyncio.to_thread(find_session, _places(app), session.id)
        made = await asyncio.to_thread(fork_session, _places(app), info, turn_number(rest or "0"))
        app.reopen(made)

    if at_rest(app, "a session can be forked"):
        with_session(app, copy)


def rename(app: CoderApp, rest: str) -> None:
    async def name(session: SessionLike) -> None:
        session.rename(rest)

    with_session(app, name)


def rewind(app: CoderApp, rest: str) -> None:
    """Back to before a turn, the conversation and the files; which one is chosen from a list if not said."""

    async def choose(session: SessionLike) -> None:
        if rest:
            await _preview(app, session, rest)
            return
        offers = [Offer(str(turn.number), f"{turn.number}  {turn.task}", turn.status) for turn in session.turns]
        if not offers:
            raise UserError("there is no turn to go back before")

        def chosen(turn: str | None) -> None:
            if turn:
                with_session(app, lambda session: _preview(app, session, turn))

        app.push_screen(Picker("Back to before which turn?", list(reversed(offers))), chosen)

    if at_rest(app, "a session can be rewound"):
        with_session(app, choose)


async def _preview(app: CoderApp, session: SessionLike, turn: str) -> None:
    """Say what becomes of the files, and ask."""
    number = turn_number(turn)
    items = await session.preview_rewind(number)

    def answered(yes: bool | None) -> None:
        if yes:
            with_session(app, lambda session: _rewind(app, session, number))

    words = [("The conversation goes back.", "text"), *file_words(items)]
    app.push_screen(Confirm(f"Back to before turn {turn}?", words, "Rewind", "Keep"), answered)


async def _rewind(app: CoderApp, session: SessionLike, turn: int) -> None:
    await session.rewind(turn)
    await app.show_past(session)


def export(app: CoderApp, rest: str) -> None:
    """Write the session to a file: JSON where its name ends so, else Markdown. Nothing is overwritten."""

    async def write(session: SessionLike) -> None:
        from coder.session.export import export_session

        name = await asyncio.to_thread(export_session, _places(app), session.id, rest)
        app.conversation.say(f"this session was written to {name}")

    with_session(app, write)


def _places(app: CoderApp) -> Places:
    if app.options.places is None:
        raise UserError("no sessions are kept here")
    return app.options.places


COMMANDS = (
    Command("sessions", sessions),
    Command("resume", resume),
    Command("fork", fork),
    Command("rewind", rewind),
    Command("rename", rename),
    Command("export", export),
)
