"""Commands about coder itself: help, panels, colours, settings, trust, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.text import visible
from coder.tui.commands.command import Command, beside
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
    rows = app.options.settings() if app.options.settings else []
    offers = [Offer(row.key, f"{row.key} = {row.value}", f"{row.meaning}  [{row.origin}]") for row in rows]
    shown = [offer for offer in offers if rest.lower() in f"{offer.name} {offer.words}".lower()]
    if not shown:
        app.conversation.say(
            f"no setting has {rest!r} in its name" if rest else "there are no settings here", "warning"
        )
        return

    def chosen(key: str | None) -> None:
        row = next((row for row in rows if row.key == key), None)
        if row is not None:
            where = f"{app.options.places.config_file}" if app.options.places else "your configuration"
            app.conversation.say(f"{row.key} = {row.value}  [{row.origin}]", hint=f"{row.meaning} Set it in {where}.")

    app.push_screen(Picker("Settings", shown), chosen)


def trust(app: CoderApp, rest: str) -> None:
    """Say whether this repository is trusted, and let the user change it."""

    async def ask() -> None:
        from coder.repo.trust import TrustStore

        if app.options.places is None:
            raise UserError("nothing is kept here")
        store, root = TrustStore(app.options.places), Path(app.facts.root or app.options.root)
        trusted = await asyncio.to_thread(store.is_trusted, root)

        def answered(yes: bool | None) -> None:
            if yes:
                beside(app, lambda: _change_trust(app, store.remove if trusted else store.add, root, not trusted))

        words = [(str(root), "accent"), (TRUSTED if trusted else NOT_TRUSTED, "text")]
        question = "Trust this repository no longer?" if trusted else "Trust this repository?"
        app.push_screen(Confirm(question, words, "Forget it" if trusted else "Trust", "Leave it"), answered)

    beside(app, ask)


async def _change_trust(app: CoderApp, change: Callable[[Path], None], root: Path, trusted: bool) -> None:
    await asyncio.to_thread(change, root)
    words = "is trusted" if trusted else "is not trusted any more"
    app.conversation.say(visible(f"{root} {words}; this holds from the next session on"))


TRUSTED = "It is trusted: its .coder.toml is read, its AGENTS.md is shown to the model, its hooks run when you commit."
NOT_TRUSTED = (
    "It is not trusted. With a yes its .coder.toml is read, its AGENTS.md is shown to the model, and its hooks run "
    "when you commit."
)


def clear(app: CoderApp, rest: str) -> None:
    app.conversation.clear()


def quit(app: CoderApp, rest: str) -> None:
    app.call_later(app.action_quit)


COMMANDS = (
    Command("agents", "", "Calls of the small models", panel("agents")),
    Command("cost", "", "Tokens and money by role and model", panel("cost")),
    Command("config", "[WORD]", "The settings, what each means and where it comes from", config),
    Command("trust", "", "Whether this repository is trusted; change it", trust),
    Command("theme", "[NAME]", "Choose the colours; the choice is kept", theme),
    Command("clear", "", "Empty the screen; the session goes on", clear),
    Command("help", "", "Keys and commands", help),
    Command("quit", "", "Leave coder", quit),
)
