"""The slash commands of the plain face: one table for the prompt and its help."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from coder.errors import UserError
from coder.events import EvidenceReady
from coder.plain.console import Console
from coder.plain.lines import cost_lines, evidence_lines, plan_lines, triage_lines
from coder.plain.review import edit_text, run_editor, show_diff
from coder.repo.checkpoint import UndoItem
from coder.session.commands import Command, SettingRow, needed, run_command, settings_with, turn_number
from coder.session.export import export_session
from coder.session.pointing import editor_words, find_place
from coder.session.session import Session
from coder.session.sessions import find_session, fork_session, list_sessions
from coder.session.trusting import change, trust_state
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
    settings: Callable[[], Sequence[SettingRow]]
    proposal: Proposal | None = None
    tests: EvidenceReady | None = None
    go_on_with: str = ""  # the id of another session, in place of this one
    leaving: bool = False


def _help(room: Room, rest: str) -> None:
    for command in COMMANDS:
        room.console.say(f"{f'/{command.name} {command.usage}'.strip():<22} {command.summary}")
    room.console.say(f"{'!COMMAND':<22} Run a command of your own in the sandbox, after a yes")
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
    if not rest:
        for turn in room.session.turns:
            room.console.say(f"  {turn.number}: {visible_line(turn.task, 70)} ({turn.status})")
    number = turn_number(needed(rest, "to before which turn?", "/rewind 2"))
    if _confirmed(room, room.wait(room.session.preview_rewind(number))):
        room.wait(room.session.rewind(number))


def _context(room: Room, rest: str) -> None:
    for line in plan_lines(room.wait(room.session.plan(rest))):
        room.console.show(line)


def _pin(room: Room, rest: str) -> None:
    room.session.pin(needed(rest, "no file was named", "/pin src/app.py"))


def _drop(room: Room, rest: str) -> None:
    room.session.drop(needed(rest, "no file was named", "/drop src/app.py"))


def _cost(room: Room, rest: str) -> None:
    for line in cost_lines(room.wait(room.session.costs())):
        room.console.show(line)


def _diff(room: Room, rest: str) -> None:
    if room.proposal is None:
        room.console.say("there is no proposal yet")
    else:
        show_diff(room.console, room.proposal)


def _review(room: Room, rest: str) -> None:
    room.do(room.session.review())


def _test(room: Room, rest: str) -> None:
    if rest in ("run", "failed"):
        room.wait(room.session.run_tests(failed=rest == "failed"))
        if rest == "failed":
            return
    tests = room.tests or EvidenceReady(Evidence())
    for line in evidence_lines(tests.evidence, tests.triage):
        room.console.show(line)


def _triage(room: Room, rest: str) -> None:
    lines = triage_lines(room.tests.triage) if room.tests else []
    for line in lines or ["there are no failures to triage; /test run runs the tests"]:
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


def _fork(room: Room, rest: str) -> None:
    info = find_session(room.places, room.session.id)
    room.go_on_with = fork_session(room.places, info, turn_number(rest or "0"))
    room.console.say(f"this is now {room.go_on_with}, a copy of {info.id}")


def _sessions(room: Room, rest: str) -> None:
    for info in list_sessions(room.places, room.root):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.updated))
        here = " (this one)" if info.id == room.session.id else ""
        room.console.show(f"{info.id}  {when}  {info.status}  {visible_line(info.title or info.task, 60)}{here}")


def _resume(room: Room, rest: str) -> None:
    """Go on with the session that `rest` is the beginning of; without it, list them."""
    if not rest:
        _sessions(room, rest)
    room.go_on_with = find_session(room.places, needed(rest, "which session?", "/resume ID"), room.root).id


def _config(room: Room, rest: str) -> None:
    for row in settings_with(room.settings(), rest):
        room.console.show(f"{row.key} = {row.value}  [{row.origin}]\n    {row.meaning}")


def _trust(room: Room, rest: str) -> None:
    now = trust_state(room.places, room.root)
    room.console.say(f"{now.root}\n{now.words}")
    if room.console.confirm(now.question):
        room.console.say(change(room.places, now))


def _export(room: Room, rest: str) -> None:
    name = export_session(room.places, room.session.id, rest)
    room.console.say(f"this session was written to {name}")


def _btw(room: Room, rest: str) -> None:
    question = needed(rest, "what is the question?", "/btw what does parse() return?")
    room.wait(room.session.ask_aside(question, room.console.stream))
    room.console.stream("\n")


def _own(room: Room, line: str) -> None:
    """A command of the user's own, in the sandbox."""
    end = room.wait(room.session.command(line, room.console.stream))
    words = "was stopped" if end.exit_code is None else f"ended with {end.exit_code}"
    room.console.say(f"it {words}; the model is told with your next task")


def _quit(room: Room, rest: str) -> None:
    room.leaving = True


COMMANDS: tuple[Command[Room], ...] = (
    Command("help", _help),
    Command("plan", _plan),
    Command("go", _go),
    Command("edit", _edit),
    Command("context", _context),
    Command("pin", _pin),
    Command("drop", _drop),
    Command("diff", _diff),
    Command("review", _review),
    Command("test", _test),
    Command("open", _open),
    Command("triage", _triage),
    Command("undo", _undo),
    Command("commit", _commit),
    Command("rewind", _rewind),
    Command("compact", _compact),
    Command("cost", _cost),
    Command("model", _model),
    Command("effort", _effort),
    Command("sessions", _sessions),
    Command("resume", _resume),
    Command("rename", _rename),
    Command("fork", _fork),
    Command("export", _export),
    Command("config", _config),
    Command("trust", _trust),
    Command("btw", _btw),
    Command("quit", _quit),
)


def run(room: Room, text: str) -> bool:
    """Run the command that `text` names. False where it names none; raises UserError for what it lacks."""
    return run_command(COMMANDS, _own, room, text)
