"""Commands about coder itself: help, panels, colours, settings, trust, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.session.commands import Command, settings_with
from coder.tui.commands.command import beside
from coder.tui.confirm import Confirm
from coder.tui.picker import Offer, Picker

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


def help(app: CoderApp, rest: str) -> None:
    from coder.tui.help import HelpScreen

    app.push_screen(HelpScreen())


def panel(name: str) -> Callable[[CoderApp, str], None]:
    return lambda app, rest: app.side.open(name)


def theme(app: CoderApp, rest: str) -> None:
    """Choose the colours, which the mark shows at once, and keep the choice in the user's configuration."""
    before = app.theme
    if rest:
        if rest in app.available_themes:
            _keep_theme(app, rest)
        else:
            app.conversation.say(
                f"there is no theme {rest!r}", "warning", f"there are {', '.join(app.available_themes)}"
            )
        return

    def show(name: str) -> None:
        app.theme = name

    def chosen(name: str | None) -> None:
        if name is None:
            app.theme = before
        else:
            _keep_theme(app, name)

    offers = [Offer(name, name, "dark" if each.dark else "light") for name, each in app.available_themes.items()]
    app.push_screen(Picker("Colours", offers, before, show), chosen)


def _keep_theme(app: CoderApp, name: str) -> None:
    app.theme = name
    places = app.options.places
    if places is None:
        return

    async def keep() -> None:
        from coder.config.keep import keep_setting

        await asyncio.to_thread(keep_setting, places.config_file, "screen.theme", name)

    beside(app, keep)


def config(app: CoderApp, rest: str) -> None:
    """The effective settings, those whose key or meaning holds `rest`, with where each comes from."""
    rows = settings_with(app.options.settings() if app.options.settings else [], rest)
    offers = [Offer(row.key, f"{row.key} = {row.value}", f"{row.meaning}  [{row.origin}]") for row in rows]

    def chosen(key: str | None) -> None:
        row = next((row for row in rows if row.key == key), None)
        if row is not None:
            where = f"{app.options.places.config_file}" if app.options.places else "your configuration"
            app.conversation.say(f"{row.key} = {row.value}  [{row.origin}]", hint=f"{row.meaning} Set it in {where}.")

    app.push_screen(Picker("Settings", offers), chosen)


def trust(app: CoderApp, rest: str) -> None:
    """Say whether this repository is trusted, and let the user change it."""

    async def ask() -> None:
        from coder.session.trusting import change, trust_state

        places = app.options.places
        if places is None:
            raise UserError("nothing is kept here")
        now = await asyncio.to_thread(trust_state, places, app.facts.root or app.options.root)

        async def carry_out() -> None:
            app.conversation.say(await asyncio.to_thread(change, places, now))

        def answered(yes: bool | None) -> None:
            if yes:
                beside(app, carry_out)

        words = [(str(now.root), "accent"), (now.words, "text")]
        app.push_screen(Confirm(now.question, words, "Forget it" if now.trusted else "Trust", "Leave it"), answered)

    beside(app, ask)


def clear(app: CoderApp, rest: str) -> None:
    app.conversation.clear()


def quit(app: CoderApp, rest: str) -> None:
    app.call_later(app.action_quit)


COMMANDS = (
    Command("agents", panel("agents")),
    Command("cost", panel("cost")),
    Command("config", config),
    Command("trust", trust),
    Command("theme", theme),
    Command("clear", clear),
    Command("help", help),
    Command("quit", quit),
)
