"""Commands about the work: plans, models, tests, what lands, and what is asked or run beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.events import Review
from coder.text import visible_line
from coder.tui.commands.command import Command, at_rest, with_session
from coder.tui.confirm import Confirm
from coder.tui.turns import ApprovedPlan, Retest

if TYPE_CHECKING:
    from coder.tui.app import CoderApp
    from coder.tui.door import SessionLike
    from coder.tui.plan import Verdict


def plan_first(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_mode("plan")
        if rest:
            app.submit(rest)

    with_session(app, change)


def edit_mode(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_mode("edit")

    with_session(app, change)


def go(app: CoderApp, rest: str) -> None:
    """Carry out the last plan; with `edit`, show it as a document first."""

    async def start(session: SessionLike) -> None:
        plan = session.plan_text
        if not plan.strip():
            raise UserError("there is no plan yet", "make one: /plan TASK")
        if rest == "edit":
            show_plan(app, asked=False)
        else:
            app.submit(ApprovedPlan(plan))

    if at_rest(app, "a plan is carried out"):
        with_session(app, start)


def show_plan(app: CoderApp, *, asked: bool) -> None:
    """The plan as a document, and what the user decides about it."""
    from coder.tui.plan import PlanScreen

    session = app.session
    assert session is not None

    def decided(verdict: Verdict | None) -> None:
        if verdict is None:
            return
        if verdict.plan != session.plan_text.strip():
            session.keep_plan(verdict.plan)
        app.plan_changed()
        if verdict.what == "go":
            app.submit(ApprovedPlan(verdict.plan))
        elif verdict.what == "revise":
            app.submit(f"Revise your plan. I wrote my remarks and changes into it:\n\n{verdict.plan}")

    app.push_screen(PlanScreen(session.plan_text, asked=asked), decided)


def model(app: CoderApp, rest: str) -> None:
    if not rest:
        app.conversation.say(f"the model is {visible_line(app.facts.model or app.options.model)}")
        return

    async def change(session: SessionLike) -> None:
        session.set_model(rest)
        app.facts.model, app.facts.context_cap = rest, session.max_input
        app.refresh_rows()

    with_session(app, change)


def effort(app: CoderApp, rest: str) -> None:
    async def change(session: SessionLike) -> None:
        session.set_effort(rest)

    with_session(app, change)


def compact(app: CoderApp, rest: str) -> None:
    if at_rest(app, "the conversation can be compacted"):
        with_session(app, lambda session: session.compact())


def test(app: CoderApp, rest: str) -> None:
    """Show the tests; with `run` or `failed`, run them as a turn is run, so that Esc interrupts them."""
    app.side.open("tests")
    if rest in ("run", "failed") and at_rest(app, "the tests can be run"):
        app.submit(Retest(f"/test {rest}"))


def open_place(app: CoderApp, rest: str) -> None:
    from coder.session.pointing import editor_words, find_place
    from coder.tui.editor import run

    async def show(session: SessionLike) -> None:
        path, line = find_place(Path(app.options.root), app.facts.triage, rest)
        run(app, lambda editor: editor_words(editor, path, line))

    with_session(app, show)


def triage(app: CoderApp, rest: str) -> None:
    app.side.open("tests")
    if not app.facts.triage:
        app.conversation.say("there are no failures to triage", hint="/test run runs the tests")


def diff(app: CoderApp, rest: str) -> None:
    if app.proposal is None:
        app.conversation.say("there is no proposal yet")
        return
    from coder.tui.review.screen import ReviewScreen

    reviewed = app.reviewed
    known = reviewed is not None and reviewed.proposal is app.proposal
    app.push_screen(ReviewScreen(reviewed if reviewed and known else Review(app.proposal), read_only=True))


def undo(app: CoderApp, rest: str) -> None:
    def answered(yes: bool | None) -> None:
        if yes:
            with_session(app, lambda session: session.undo(rest))

    what = f"checkpoint {rest}" if rest else "the last change that coder applied"
    words = [("Files that changed since are left as they are; the undo can itself be undone.", "muted")]
    app.push_screen(Confirm(f"Take back {what}?", words, "Undo", "Keep"), answered)


def context(app: CoderApp, rest: str) -> None:
    app.side.open("context")
    if app.facts.plan is None or rest:
        with_session(app, lambda session: _plan(app, session, rest))


async def _plan(app: CoderApp, session: SessionLike, task: str) -> None:
    app.facts.plan = await session.plan(task)
    app.side.update()


def choose(what: str) -> Callable[[CoderApp, str], None]:
    def run(app: CoderApp, rest: str) -> None:
        if rest:
            choose_file(app, rest, what)
        else:
            app.conversation.say("no file was named", "warning", f"as in: /{what} src/app.py")

    return run


def choose_file(app: CoderApp, path: str, what: str) -> None:
    """Pin a file (in full, first) or drop it, and show the plan that this makes."""

    async def change(session: SessionLike) -> None:
        (session.pin if what == "pin" else session.drop)(path)
        await _plan(app, session, "")

    with_session(app, change)


def aside(app: CoderApp, rest: str) -> None:
    """A question beside the work, answered in a block of its own; also while a turn runs."""
    if not rest:
        app.conversation.say("what is the question?", "warning", "as in: /btw what does parse() return?")
        return

    async def ask(session: SessionLike) -> None:
        from coder.tui.blocks.beside import Aside

        block = Aside(rest)
        app.conversation.add(block)

        def feed(text: str) -> None:
            block.feed(text)
            app.conversation.changed(block)

        try:
            block.finish(await session.ask_aside(rest, feed))
        except BaseException:
            block.fail()
            raise
        finally:
            app.conversation.changed(block)

    with_session(app, ask)


def own_command(app: CoderApp, line: str) -> None:
    """`!`: a command of the user's own, in the sandbox."""
    if not line:
        app.conversation.say("which command?", "warning", "as in: !git log --oneline -5")
        return

    async def run(session: SessionLike) -> None:
        from coder.tui.blocks.beside import OwnCommand

        block = OwnCommand(line)
        app.conversation.add(block)

        def feed(text: str) -> None:
            app.call_later(app.conversation.feed, block, text)

        try:
            end = await session.command(line, feed)
        except BaseException:
            block.fail()
            raise
        else:
            block.finish(end.output, end.exit_code, end.duration_s, end.sandbox)
        finally:
            app.conversation.changed(block)

    with_session(app, run)


COMMANDS = (
    Command("plan", "[TASK]", "Plan first: nothing is edited until /go", plan_first),
    Command("go", "[edit]", "Carry out the last plan, or show it as a document to edit first", go),
    Command("edit", "", "Leave plan mode", edit_mode),
    Command("context", "[TASK]", "What the model sees of the repository; pin and drop files", context),
    Command("pin", "PATH", "Show this file in full from now on", choose("pin")),
    Command("drop", "PATH", "Leave this file out from now on", choose("drop")),
    Command("model", "[NAME]", "The model that plans and edits, from the next turn on", model),
    Command("effort", "LEVEL", "How much it reasons: none, low, medium, high, xhigh", effort),
    Command("test", "[run/failed]", "What the tests said; `run` runs them, `failed` only those that failed", test),
    Command("open", "[N]", "Open $EDITOR where cause N of the failures is, or at PATH:LINE", open_place),
    Command("triage", "", "What is behind the failures", triage),
    Command("diff", "", "Look at the last proposal again", diff),
    Command("undo", "[CHECKPOINT]", "Take back what was applied last", undo),
    Command("btw", "QUESTION", "A side question, also while a turn runs; the conversation stays as it is", aside),
    Command("compact", "", "Leave older steps out of the conversation", compact),
)
