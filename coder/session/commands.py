"""The slash commands as both faces have them: their words, how one is found in what was typed, what its words name.

What a command shows, and how it asks, is each face's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from coder.errors import UserError
from coder.text import visible_line

Place = TypeVar("Place")  # what a face's commands work on

WORDS: Mapping[str, tuple[str, str]] = {  # what may follow the name; what it does
    "plan": ("[TASK]", "Plan first: nothing is edited until /go"),
    "go": ("[edit]", "Carry out the last plan, or show it as a document to edit first"),
    "edit": ("", "Leave plan mode"),
    "context": ("[TASK]", "What the model sees of the repository; pin and drop files"),
    "pin": ("PATH", "Show this file in full from now on"),
    "drop": ("PATH", "Leave this file out from now on"),
    "model": ("[NAME]", "The model that plans and edits, from the next turn on"),
    "effort": ("[LEVEL]", "How much it reasons: none, low, medium, high, xhigh"),
    "test": ("[run/failed]", "What the tests said; `run` runs them, `failed` only those that failed"),
    "open": ("[N]", "Open $EDITOR where cause N of the failures is, or at PATH:LINE"),
    "triage": ("", "What is behind the failures"),
    "diff": ("", "Look at the last proposal again"),
    "review": ("", "Decide about the last proposal, where its review was broken off"),
    "undo": ("[CHECKPOINT]", "Take back what was applied last"),
    "btw": ("QUESTION", "A side question, also while a turn runs; the conversation stays as it is"),
    "compact": ("", "Leave older steps out of the conversation"),
    "commit": ("[MESSAGE]", "Commit what was applied, with a message to edit first"),
    "sessions": ("", "Sessions of this repository; choose one to go on with"),
    "resume": ("[ID]", "Go on with another session"),
    "fork": ("[TURN]", "Go on in a copy of this session, whole or as it was before a turn"),
    "rewind": ("[TURN]", "Go back to before a turn: the conversation and the files"),
    "rename": ("[TITLE]", "Name this session"),
    "export": ("[FILE]", "Write this session to a file, as Markdown or, named .json, as JSON"),
    "agents": ("", "Calls of the small models"),
    "cost": ("", "Tokens and money by role and model"),
    "config": ("[WORD]", "The settings, what each means and where it comes from"),
    "trust": ("", "Whether this repository is trusted; change it"),
    "theme": ("[NAME]", "Choose the colours; the choice is kept"),
    "clear": ("", "Empty the screen; the session goes on"),
    "help": ("", "Keys and commands"),
    "quit": ("", "Leave coder"),
}


class Command(Struct, Generic[Place], frozen=True):
    """`run` gets the place it works on and what was written after the name."""

    name: str
    run: Callable[[Place, str], None]

    @property
    def usage(self) -> str:
        return WORDS[self.name][0]

    @property
    def summary(self) -> str:
        return WORDS[self.name][1]


def run_command(commands: Sequence[Command[Place]], own: Callable[[Place, str], None], place: Place, text: str) -> bool:
    """Run the command that `text` names: `/NAME …`, or `own` with what stands after a `!`.

    False where it is neither, so that a path may begin a task. Raises UserError for a name that there is not.
    """
    if text.startswith("!"):
        line = text[1:].strip()
        if not line:
            raise UserError("which command?", "as in: !git log --oneline -5")
        own(place, line)
        return True
    name, _, rest = text[1:].partition(" ")
    command = next((command for command in commands if command.name == name), None)
    if command is None and not name.isalpha():
        return False
    if command is None:
        raise UserError(f"there is no command /{visible_line(name, 40)}", "/help lists them")
    command.run(place, rest.strip())
    return True


def needed(rest: str, what: str, example: str) -> str:
    """What was written after a name that needs it. Raises UserError, with an example, where nothing was."""
    if not rest:
        raise UserError(what, f"as in: {example}")
    return rest


def turn_number(text: str) -> int:
    """The turn that was written after a command. Raises UserError where that is none."""
    if not text.isdecimal():
        raise UserError(f"{text!r} is no turn", "as in: /rewind 3")
    return int(text)


class SettingRow(Struct, frozen=True):
    """One setting as a list shows it."""

    key: str
    value: str
    meaning: str
    origin: str


def settings_with(rows: Sequence[SettingRow], word: str) -> list[SettingRow]:
    """The settings whose key, value, meaning or origin holds `word`. Raises UserError where none does."""
    found = [row for row in rows if word.lower() in f"{row.key} = {row.value} {row.meaning} {row.origin}".lower()]
    if not found:
        raise UserError(f"no setting has {word!r} in its name or meaning" if word else "there are no settings here")
    return found
