"""The slash commands of the plain face: one table for the prompt and its help."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from coder.errors import UserError
from coder.events import EvidenceReady
from coder.plain.console import Console
from coder.plain.lines import cost_lines, evidence_lines, plan_lines
from coder.plain.review import edit_text, run_editor, show_diff
from coder.repo.checkpoint import UndoItem
from coder.session.export import export_session
from coder.session.pointing import editor_words, find_place
from coder.session.session import Session
from coder.session.sessions import find_session, fork_session, list_sessions
from coder.store import Places
from coder.text import visible_line
from coder.values import Evidence, Proposal

Value = TypeVar("Value")


@dataclass(slots=True)
class Room:
    """What a command may reach. `wait` runs something of the session to its end; `do` runs a turn."""

    session: Session
    console: Console
    places: Places
    root: str
    wait: Callable[[Awaitable[Value]], Value]
    do: Callable[[Awaitable[object]], None]
    proposal: Proposal | None = None
    tests: EvidenceReady | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """`run` gets what was written after the name."""

    name: str
    usage: str
    summary: str
    run: Callable[[Room, str], None]


def run_command(room: Room, text: str) -> bool:
    """Run the command that `text` names, or what stands after a `!`. False where it names none but may be a path that
    begins a task."""
    if text.startswith("!"):
        _own(room, text[1:].strip())
        return True
    name, _, rest = text[1:].partition(" ")
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None and not name.isalpha():
        return False
    if command is None:
        room.console.say(f"there is no command /{visible_line(name, 40)}; /help lists them")
    else:
        command.run(room, rest.strip())
    return True


def _help(room: Room, rest: str) -> None:
    for command in COMMANDS:
        room.console.say(f"{f'/{command.name} {command.usage}'.strip():<22} {command.summary}")
    room.console.say(f"{'!COMMAND':<22} run a command of your own in the sandbox, after a yes")
    room.console.say("A backslash at the end of a line goes on in the next. Ctrl-C stops a turn, Ctrl-D leaves.")


def _undo(room: Room, rest: str) -> None:
    items = room.wait(room.session.preview_undo(rest))
    if _confirmed(room, items):
        room.wait(room.session.undo(rest))


def _confirmed(room: Room, items: tuple[UndoItem, ...]) -> bool:
    """Show what becomes of the files, and ask. Nothing to ask where no file changes."""
    for item in items:
        room.console.say(f"  {item.path}: {item.blocked or item.action}")
    return not items or room.console.confirm("Restore these files?")


def _commit(room: Room, rest: str) -> None:
    commits = room.session.commits
    paths = commits.paths()
    if not paths:
        raise UserError("nothing that was applied here waits to be committed")
    for path in paths:
        room.console.say(f"  {path}")
    message = rest or _message(room, commits.message())
    if message:
        room.wait(commits.make(message))
    else:
        room.console.say("nothing was committed")


def _message(room: Room, message: str) -> str:
    """The message as the person wants it; "" where they don't."""
    while True:
        room.console.show(message)
        try:
            answer = room.console.ask("commit with this message (e edits it) [y,e,n]? ")
        except EOFError:
            return ""
        if answer != "e":
            return message if answer == "y" else ""
        written = edit_text(room.console, f"{message}\n".encode("utf-8", "surrogateescape"), ".txt")
        message = message if written is None else written.decode("utf-8", "replace").strip() or message


def _rewind(room: Room, rest: str) -> None:
    if not rest.isdecimal():
        for turn in room.session.turns:
            room.console.say(f"  {turn.number}: {visible_line(turn.task, 70)} ({turn.status})")
        raise UserError("to before which turn?", "as in: /rewind 2")
    if _confirmed(room, room.wait(room.session.preview_rewind(int(rest)))):
        room.wait(room.session.rewind(int(rest)))


def _context(room: Room, rest: str) -> None:
    for line in plan_lines(room.wait(room.session.plan(rest))):
        room.console.show(line)


def _pin(room: Room, rest: str) -> None:
    room.session.pin(_named(rest, "/pin src/app.py"))


def _drop(room: Room, rest: str) -> None:
    room.session.drop(_named(rest, "/drop src/app.py"))


def _named(rest: str, example: str) -> str:
    if not rest:
        raise UserError("no file was named", f"as in: {example}")
    return rest


def _cost(room: Room, rest: str) -> None:
    for line in cost_lines(room.wait(room.session.costs())):
        room.console.show(line)


def _diff(room: Room, rest: str) -> None:
    if room.proposal is None:
        room.console.say("there is no proposal yet")
    else:
        show_diff(room.console, room.proposal)


def _test(room: Room, rest: str) -> None:
    if rest in ("run", "failed"):
        room.wait(room.session.run_tests(failed=rest == "failed"))
        if rest == "failed":
            return
    tests = room.tests or EvidenceReady(Evidence())
    for line in evidence_lines(tests.evidence, tests.triage):
        room.console.show(line)


def _open(room: Room, rest: str) -> None:
    path, line = find_place(Path(room.root), room.tests.triage if room.tests else (), rest)
    run_editor(room.console, lambda editor: editor_words(editor, path, line))


def _plan(room: Room, rest: str) -> None:
    room.session.set_mode("plan")
    if rest:
        room.do(room.session.run(rest))


def _edit(room: Room, rest: str) -> None:
    room.session.set_mode("edit")


def _go(room: Room, rest: str) -> None:
    plan = room.session.plan_text
    if not plan:
        raise UserError("there is no plan yet", "make one: /plan TASK")
    if rest == "edit":
        written = edit_text(room.console, f"{plan.strip()}\n".encode(), ".md")
        if written is None:
            return
        plan = written.decode("utf-8", "replace")
    if plan.strip():
        room.do(room.session.carry_out(plan))


def _model(room: Room, rest: str) -> None:
    if rest:
        room.session.set_model(rest)
    else:
        room.console.say(f"the model is {room.session.settings.model}")


def _effort(room: Room, rest: str) -> None:
    if rest:
        room.session.set_effort(rest)
    else:
        room.console.say(f"the reasoning effort is {room.session.settings.effort}")


def _compact(room: Room, rest: str) -> None:
    room.wait(room.session.compact())


def _rename(room: Room, rest: str) -> None:
    room.session.rename(rest)
    room.console.say(f"this session is now called {rest!r}" if rest else "this session has no name any more")


def _fork(room: Room, rest: str) -> None:
    made = fork_session(room.places, find_session(room.places, room.session.id))
    room.console.show(f"forked as {made}; go on there with: coder --plain --resume {made}")


def _sessions(room: Room, rest: str) -> None:
    for info in list_sessions(room.places, room.root):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.updated))
        here = " (this one)" if info.id == room.session.id else ""
        room.console.show(f"{info.id}  {when}  {info.status}  {visible_line(info.title or info.task, 60)}{here}")


def _export(room: Room, rest: str) -> None:
    name = rest or f"session-{room.session.id}.md"
    export_session(room.places, room.session.id, name)
    room.console.say(f"this session was written to {name}")


def _btw(room: Room, rest: str) -> None:
    if not rest:
        raise UserError("what is the question?", "as in: /btw what does parse() return?")
    room.wait(room.session.ask_aside(rest, room.console.stream))
    room.console.stream("\n")


def _own(room: Room, line: str) -> None:
    """A command of the user's own, in the sandbox."""
    if not line:
        raise UserError("which command?", "as in: !git log --oneline -5")
    end = room.wait(room.session.command(line, room.console.stream))
    words = "was stopped" if end.exit_code is None else f"ended with {end.exit_code}"
    room.console.say(f"it {words}; the model is told with your next task")


def _quit(room: Room, rest: str) -> None:
    room.leaving = True


COMMANDS: tuple[Command, ...] = (
    Command("help", "", "these commands", _help),
    Command("plan", "[TASK]", "plan first: nothing is edited until /go", _plan),
    Command("go", "[edit]", "carry out the last plan, after editing it in $EDITOR", _go),
    Command("edit", "", "leave plan mode", _edit),
    Command("context", "[TASK]", "what the model sees of the repository", _context),
    Command("pin", "PATH", "show this file in full from now on", _pin),
    Command("drop", "PATH", "leave this file out from now on", _drop),
    Command("diff", "", "the last proposal again", _diff),
    Command("test", "[run/failed]", "what the tests said; run them now, or only those that failed", _test),
    Command("open", "[N]", "open $EDITOR where cause N of the failures is, or at PATH:LINE", _open),
    Command("undo", "[CHECKPOINT]", "take back what was applied last", _undo),
    Command("commit", "[MESSAGE]", "commit what was applied; without a message, edit one first", _commit),
    Command("rewind", "TURN", "conversation and files back to before a turn", _rewind),
    Command("compact", "", "leave older steps out of the conversation", _compact),
    Command("cost", "", "tokens and money of this session", _cost),
    Command("model", "[NAME]", "the model that plans and edits", _model),
    Command("effort", "[LEVEL]", "how much it reasons", _effort),
    Command("sessions", "", "sessions of this repository", _sessions),
    Command("rename", "TITLE", "name this session", _rename),
    Command("fork", "", "a second session with this history", _fork),
    Command("export", "[FILE]", "write this session to a file, as Markdown or, named .json, as JSON", _export),
    Command("btw", "QUESTION", "a side question; the conversation stays as it is", _btw),
    Command("quit", "", "leave", _quit),
)
