"""The slash commands: one table for the composer, the help and the command palette."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coder.errors import CoderError, UserError
from coder.text import visible_line
from coder.tui.confirm import Confirm
from coder.tui.turns import ApprovedPlan

if TYPE_CHECKING:
    from coder.tui.app import CoderApp
    from coder.tui.door import SessionLike


@dataclass(frozen=True, slots=True)
class Command:
    """`run` gets the app and what was written after the name."""

    name: str
    usage: str
    summary: str
    run: Callable[[CoderApp, str], None]


def run(app: CoderApp, text: str) -> bool:
    """Run the command that `text` names. False where it is not a command, so that a path may start a task."""
    name, _, rest = text[1:].partition(" ")
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None and not name.isalpha():
        return False
    if command is None:
        app.conversation.say(f"there is no command /{visible_line(name, 40)}", "warning", "/help lists them")
    else:
        command.run(app, rest.strip())
    return True


def _help(app: CoderApp, rest: str) -> None:
    from coder.tui.help import HelpScreen

    app.push_screen(HelpScreen())


def _quit(app: CoderApp, rest: str) -> None:
    app.call_later(app.action_quit)


def _undo(app: CoderApp, rest: str) -> None:
    def answered(yes: bool | None) -> None:
        if yes:
            _with_session(app, lambda session: session.undo(rest))

    what = f"checkpoint {rest}" if rest else "the last change that coder applied"
    words = [("Files that changed since are left as they are; the undo can itself be undone.", "muted")]
    app.push_screen(Confirm(f"Take back {what}?", words, "Undo", "Keep"), answered)


def _context(app: CoderApp, rest: str) -> None:
    app.side.open("context")
    if app.facts.plan is None or rest:
        _with_session(app, lambda session: _plan(app, session, rest))


async def _plan(app: CoderApp, session: SessionLike, task: str) -> None:
    app.facts.plan = await session.plan(task)
    app.side.update()


def _diff(app: CoderApp, rest: str) -> None:
    if app.proposal is None:
        app.conversation.say("there is no proposal yet")
        return
    from coder.tui.review.screen import ReviewScreen

    app.push_screen(ReviewScreen(app.proposal, read_only=True))


def _panel(name: str) -> Callable[[CoderApp, str], None]:
    return lambda app, rest: app.side.open(name)


def _model(app: CoderApp, rest: str) -> None:
    if not rest:
        app.conversation.say(f"the model is {visible_line(app.facts.model or app.options.model)}")
        return

    async def change(session: SessionLike) -> None:
        session.set_model(rest)
        app.facts.model = rest
        app.refresh_rows()

    _with_session(app, change)


def _effort(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_effort(rest)

    _with_session(app, change)


def _plan_first(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_mode("plan")
        if rest:
            app.submit(rest)

    _with_session(app, change)


def _edit(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_mode("edit")

    _with_session(app, change)


def _go(app: CoderApp, rest: str) -> None:
    """Carry out the last plan, with `edit` as the user's editor leaves it."""

    async def go(session: SessionLike) -> None:
        plan = session.plan_text
        if not plan.strip():
            raise UserError("there is no plan yet", "make one: /plan TASK")
        if rest == "edit":
            from coder.tui.editor import edit

            plan = edit(app, f"{plan.strip()}\n".encode("utf-8", "surrogateescape"), ".md").decode("utf-8", "replace")
        if plan.strip():
            app.submit(ApprovedPlan(plan))

    if app.turns.running:
        app.conversation.say("a plan is carried out once the turn is over", "warning")
    else:
        _with_session(app, go)


def _compact(app: CoderApp, rest: str) -> None:
    if app.turns.running:
        app.conversation.say("the conversation can be compacted once the turn is over", "warning")
    else:
        _with_session(app, lambda session: session.compact())


def _choose(what: str) -> Callable[[CoderApp, str], None]:
    def run(app: CoderApp, rest: str) -> None:
        if rest:
            choose_file(app, rest, what)
        else:
            app.conversation.say("no file was named", "warning", f"as in: /{what} src/app.py")

    return run


def _theme(app: CoderApp, rest: str) -> None:
    if rest in app.available_themes:
        app.theme = rest
    else:
        app.conversation.say(f"themes: {', '.join(app.available_themes)}", hint="/theme NAME chooses one")


def _clear(app: CoderApp, rest: str) -> None:
    app.conversation.clear()


def choose_file(app: CoderApp, path: str, what: str) -> None:
    """Pin a file (in full, first) or drop it, and show the plan that this makes."""

    async def change(session: SessionLike) -> None:
        (session.pin if what == "pin" else session.drop)(path)
        await _plan(app, session, "")

    _with_session(app, change)


def _with_session(app: CoderApp, work: Callable[[SessionLike], Awaitable[object]]) -> None:
    """Run `work` beside the screen; what the user can mend is said in the conversation."""
    session = app.session
    if session is None:
        app.conversation.say("the repository is still being opened", "warning")
        return

    async def done() -> None:
        try:
            await work(session)
        except CoderError as error:
            app.conversation.say(error.message, "error", error.hint)

    app.beside(asyncio.create_task(done()))


COMMANDS: tuple[Command, ...] = (
    Command("help", "", "Keys and commands", _help),
    Command("diff", "", "Look at the last proposal again", _diff),
    Command("undo", "[CHECKPOINT]", "Take back what was applied last", _undo),
    Command("context", "[TASK]", "What the model sees of the repository; pin and drop files", _context),
    Command("pin", "PATH", "Show this file in full from now on", _choose("pin")),
    Command("drop", "PATH", "Leave this file out from now on", _choose("drop")),
    Command("plan", "[TASK]", "Plan first: nothing is edited until /go", _plan_first),
    Command("go", "[edit]", "Carry out the last plan, after editing it in $EDITOR", _go),
    Command("edit", "", "Leave plan mode", _edit),
    Command("test", "", "Test runs of this turn and the triage of failures", _panel("tests")),
    Command("agents", "", "Calls of the small models", _panel("agents")),
    Command("cost", "", "Tokens and money by role and model", _panel("cost")),
    Command("model", "[NAME]", "The model that plans and edits, from the next turn on", _model),
    Command("effort", "LEVEL", "How much it reasons: none, low, medium, high, xhigh", _effort),
    Command("compact", "", "Leave older steps out of the conversation", _compact),
    Command("theme", "[NAME]", "Choose the colours", _theme),
    Command("clear", "", "Empty the screen; the session goes on", _clear),
    Command("quit", "", "Leave coder", _quit),
)
