"""The slash commands: one table for the composer, the help and the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.session.commands import run_command
from coder.tui.commands import commits, looks, sessions, work
from coder.tui.commands.command import Command

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

COMMANDS: tuple[Command, ...] = (*work.COMMANDS, *commits.COMMANDS, *sessions.COMMANDS, *looks.COMMANDS)


def run(app: CoderApp, text: str) -> bool:
    """Run the command that `text` names; what it lacks is said in the conversation. False where it names none."""
    try:
        return run_command(COMMANDS, work.own_command, app, text)
    except UserError as error:
        app.conversation.say(error.message, "warning", error.hint)
        return True
