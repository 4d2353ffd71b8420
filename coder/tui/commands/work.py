"""Commands about the work: plans, models, tests, what lands, and what is asked or run beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coder.errors import UserError
from coder.events import Review
from coder.session.commands import Command, needed
from coder.text import visible_line
from coder.tui.commands.command import at_rest, with_session
from coder.tui.confirm import Confirm, file_words
from coder.tui.turns import ApprovedPlan, Retest, Undecided

if TYPE_CHECKING:
    from coder.tui.app import CoderApp
    from coder.tui.blocks.beside import Aside, OwnCommand
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
        if rest:
            session.set_effort(rest)
        else:
            app.conversation.say(f"the effort is {session.settings.effort}")

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


def review(app: CoderApp, rest: str) -> None:
    if at_rest(app, "a proposal is reviewed"):
        app.submit(Undecided("/review"))


def undo(app: CoderApp, rest: str) -> None:
    """Say what becomes of the files, and ask."""

    async def ask(session: SessionLike) -> None:
        items = await session.preview_undo(rest)

        def answered(yes: bool | None) -> None:
            if yes:
                with_session(app, lambda session: session.undo(rest))

        what = f"checkpoint {rest}" if rest else "the last change that coder applied"
        words = [*file_words(items), ("The undo can itself be undone.", "muted")]
        app.push_screen(Confirm(f"Take back {what}?", words, "Undo", "Keep"), answered)

    with_session(app, ask)


def context(app: CoderApp, rest: str) -> None:
    app.side.open("context")
    if app.facts.plan is None or rest:
        with_session(app, lambda session: _plan(app, session, rest))


async def _plan(app: CoderApp, session: SessionLike, task: str) -> None:
    app.facts.plan = await session.plan(task)
    app.side.update()


def choose(what: str) -> Callable[[CoderApp, str], None]:
    return lambda app, rest: choose_file(app, needed(rest, "no file was named", f"/{what} src/app.py"), what)


def choose_file(app: CoderApp, path: str, what: str) -> None:
    """Pin a file (in full, first) or drop it, and show the plan that this makes."""

    async def change(session: SessionLike) -> None:
        (session.pin if what == "pin" else session.drop)(path)
        await _plan(app, session, "")

    with_session(app, change)


def aside(app: CoderApp, rest: str) -> None:
    """A question beside the work, answered in a block of its own; also while a turn runs."""
    from coder.tui.blocks.beside import Aside

    block = Aside(needed(rest, "what is the question?", "/btw what does parse() return?"))

    async def ask(session: SessionLike, feed: Callable[[str], None]) -> None:
        block.finish(await session.ask_aside(rest, feed))

    _in_block(app, block, ask)


def own_command(app: CoderApp, line: str) -> None:
    """`!`: a command of the user's own, in the sandbox."""
    from coder.tui.blocks.beside import OwnCommand

    block = OwnCommand(line)

    async def run(session: SessionLike, feed: Callable[[str], None]) -> None:
        end = await session.command(line, feed)
        block.finish(end.output, end.exit_code, end.duration_s, end.sandbox)

    _in_block(app, block, run)


def _in_block(
    app: CoderApp,
    block: Aside | OwnCommand,
    work: Callable[[SessionLike, Callable[[str], None]], Awaitable[None]],
) -> None:
    """Run `work` beside the turns; what it feeds is shown in `block` as it comes."""

    def feed(text: str) -> None:
        block.feed(text)
        app.conversation.changed(block)

    async def run(session: SessionLike) -> None:
        app.conversation.add(block)
        try:
            await work(session, feed)
        except BaseException:
            block.fail()
            raise
        finally:
            app.conversation.changed(block)

    with_session(app, run)


COMMANDS = (
    Command("plan", plan_first),
    Command("go", go),
    Command("edit", edit_mode),
    Command("context", context),
    Command("pin", choose("pin")),
    Command("drop", choose("drop")),
    Command("model", model),
    Command("effort", effort),
    Command("test", test),
    Command("open", open_place),
    Command("triage", triage),
    Command("diff", diff),
    Command("review", review),
    Command("undo", undo),
    Command("btw", aside),
    Command("compact", compact),
)
