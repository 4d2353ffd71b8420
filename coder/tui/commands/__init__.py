"""The slash commands: one table for the composer, the help and the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coder.text import visible_line
from coder.tui.commands import commits, looks, sessions, work
from coder.tui.commands.command import Command

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

COMMANDS: tuple[Command, ...] = (*work.COMMANDS, *commits.COMMANDS, *sessions.COMMANDS, *looks.COMMANDS)


def run(app: CoderApp, text: str) -> bool:
    """Run the command that `text` names: `/NAME …`, or `!` and a command line of the user's own.

    False where it is neither, so that a path may start a task.
    """
    if text.startswith("!"):
        work.own_command(app, text[1:].strip())
        return True
    name, _, rest = text[1:].partition(" ")
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None and not name.isalpha():
        return False
    if command is None:
        app.conversation.say(f"there is no command /{visible_line(name, 40)}", "warning", "/help lists them")
    else:
        command.run(app, rest.strip())
    return True
