"""The screen: one conversation, its composer and its status. Each message has one small handler here.

Heavy work (opening the repository, importing the SDK) happens in threads after the first frame.
"""

import asyncio
import gc
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.theme import Theme
from textual.widgets import Input, TextArea

from coder.amounts import money
from coder.events import ContextPlanned, Event, ProposalReady, Review, SessionStarted, TurnFinished
from coder.tui import commands
from coder.tui.activity import ASKING, activity_of
from coder.tui.announce import announce
from coder.tui.bridge import Bridge
from coder.tui.commands.work import choose_file, show_plan
from coder.tui.completion import Completions
from coder.tui.composer import Composer
from coder.tui.confirm import ask_trust
from coder.tui.conversation import Conversation
from coder.tui.door import OpenSession, ScreenOptions, SessionLike
from coder.tui.driver import ScreenDriver
from coder.tui.facts import Facts
from coder.tui.grace import Grace, moves
from coder.tui.hands import Hands
from coder.tui.history import History
from coder.tui.inline import InlineDriver
from coder.tui.keys import foot_hints, hint
from coder.tui.mentions import Mentions
from coder.tui.paste import Pastes
from coder.tui.questions import show_question, warm_review
from coder.tui.remap import remapped
from coder.tui.side import Side
from coder.tui.status import Activity, Hints, Status
from coder.tui.terminal import Terminal
from coder.tui.theme import PLAIN, first_theme, theme_variables, themes
from coder.tui.turns import Turns
from coder.values import Proposal

MANY_EVENTS = 100  # in one delivery: the past of a session


class CoderApp(Hands):
    """Consumes events, answers questions, and sends what the user writes to the session."""

    colorless = False
    CSS_PATH: ClassVar[Any] = ["app.tcss", "review/review.tcss"]
    TITLE = "coder"

    class Delivered(Message):
        def __init__(self, batch: list[Event]) -> None:
            self.batch = batch
            super().__init__()

    class Ended(Message):
        def __init__(self, error: BaseException | None) -> None:
            self.error = error
            super().__init__()

    def __init__(
        self,
        open_session: OpenSession,
        options: ScreenOptions,
        task: str = "",
        terminal: Terminal | None = None,
    ) -> None:
        self.terminal = terminal
        self.options = options
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (96, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
        self.colorless = colorless = "NO_COLOR" in os.environ
        # Before Textual's own: set afterwards, it would have all styles read and the screen laid out a second time.
        self.set_reactive(CoderApp.theme, first_theme(options.theme, dark=options.dark, color=not colorless))
        driver = InlineDriver if options.inline else ScreenDriver
        super().__init__(driver_class=driver if terminal else None, ansi_color=colorless or None)
        self.animation_level = "none"
        self.keys = remapped(options.keys)
        self.set_keymap(self.keys)
        self.facts = Facts()
        self.turns = Turns(open_session, task, self._turn_ended, options.warm)
        self.proposal: Proposal | None = None
        self.reviewed: Review | None = None
        self._bridge: Bridge | None = None
        self._words = ""
        self._planned = False  # whether a turn ran: a plan found at the opening is shown when asked for
        self._warmed = False
        self._beside: set[asyncio.Task[None]] = set()
        self._mentions = Mentions(self._offer_names)

    @property
    def available_themes(self) -> dict[str, Theme]:
        return {PLAIN.name: PLAIN} if self.colorless else themes()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_variables(self.current_theme)

    def compose(self) -> ComposeResult:
        self.conversation = Conversation(id="conversation")
        with Horizontal(id="body"):
            yield self.conversation
            yield Side(self.facts)
        completions, pastes = Completions(), Pastes()
        yield Activity(still=self.options.still)
        yield completions
        yield pastes
        yield Composer(History(self.options.history), completions, pastes)
        yield Status(self.facts, self.options)
        yield Hints(foot_hints(False, self.keys))

    # ── life ──

    def on_mount(self) -> None:
        self._bridge = Bridge(self._deliver, partial(show_question, self))
        if self.terminal is not None:
            loop = asyncio.get_running_loop()

            def leave(code: int) -> None:
                loop.call_soon_threadsafe(self._leave_soon, code)

            self.terminal.leave = leave
        self.app_resume_signal.subscribe(self, self._draw_all)  # after Ctrl+Z and fg
        self._seconds = self.set_interval(1.0, self._tick, pause=True)
        self.composer.focus()
        if self.options.banner:
            self.conversation.say(self.options.banner)
        self.call_after_refresh(self._open)

    def _open(self) -> None:
        gc.enable()  # it rested until the first frame
        trust = self.options.trust
        if trust is None:
            self._go_on()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                trust.remember()
            self._go_on()

        self.push_screen(ask_trust(trust), answered)

    def _go_on(self) -> None:
        """Open the session; where it has a past, once that is in sight."""
        if self.options.past is None:
            self._open_session()
        else:
            self.beside(asyncio.create_task(self._tell_past(self.options.past)))

    async def _tell_past(self, past: Callable[[], Sequence[Event]]) -> None:
        told: Sequence[Event] = ()
        with suppress(OSError):  # the opening says so
            told = await asyncio.to_thread(past)
        if self.is_left:
            return
        self._deliver(list(told))
        self.call_after_refresh(self._open_session, past_is_told=bool(told))

    def _open_session(self, *, past_is_told: bool = False) -> None:
        assert self._bridge is not None
        self.turns.open(self._bridge.emit, self._bridge.ask, past_is_told=past_is_told)

    async def action_quit(self) -> None:
        await self._leave(0)

    async def _leave(self, code: int) -> None:
        """Stop what runs, close the session, end with `code`."""
        await self.turns.close()
        self.exit(code)

    def _leave_soon(self, code: int) -> None:
        self.beside(asyncio.create_task(self._leave(code)))

    def beside(self, task: "asyncio.Task[None]") -> None:
        """Keep a task that runs beside the turns until it is done."""
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def on_resize(self) -> None:
        if isinstance(self._driver, ScreenDriver):
            self._driver.forget()

    def _draw_all(self, app: App[int]) -> None:
        """The terminal shows what the shell left there, though nothing changed here."""
        self.refresh(layout=True)

    async def on_event(self, event: events.Event) -> None:
        """Keys typed before a question was there must not answer it; all others act in the order they were typed."""
        if isinstance(event, events.Key | events.Paste | events.MouseDown) and not event.is_forwarded:
            grace = getattr(self.screen, "grace", None) if self.screen_stack else None
            active = None
            if isinstance(event, events.Key) and not isinstance(self.focused, TextArea | Input):
                active = self.screen.active_bindings.get(event.key)
            if isinstance(grace, Grace) and grace.blocks(event.time) and not (active and moves(active.binding.action)):
                return
            if active is not None and active.enabled:
                await self.run_action(active.binding.action, active.node)
                return
        await super().on_event(event)

    # ── what comes from the session ──

    def _deliver(self, batch: list[Event]) -> None:
        self.post_message(self.Delivered(batch))

    def on_coder_app_delivered(self, message: Delivered) -> None:
        if self.is_left:
            return
        many = self.conversation.arriving() if len(message.batch) > MANY_EVENTS else nullcontext()
        with self.batch_update(), many:
            for event in message.batch:
                self._tell(event)
        self.refresh_rows()

    def _tell(self, event: Event) -> None:
        self.facts.take(event)
        self.conversation.tell(event, money(self.facts.session_usd))
        self._words = activity_of(event, self.facts) or self._words
        if isinstance(event, ContextPlanned) and not self._warmed:
            self._warmed = True
            paths = [entry.path for entry in event.plan.entries]
            self.beside(asyncio.create_task(asyncio.to_thread(warm_review, paths)))
        elif isinstance(event, ProposalReady):
            self.proposal = event.proposal
        elif isinstance(event, TurnFinished):
            announce(self)

    def refresh_rows(self) -> None:
        if self.is_left:
            return
        base, running = self.screen_stack[0], self.turns.running
        self.facts.mode = self.session.mode if self.session else "edit"
        base.query_one(Status).renew()
        words, stop = (ASKING, "") if self.facts.asking else (self._words, hint(["app.interrupt"], "", self.keys)[0])
        base.query_one(Activity).show(words if running else "", len(self.turns.waiting), stop)
        base.query_one(Hints).show(() if self.facts.asking else foot_hints(running, self.keys))
        self.side.update()

    def _tick(self) -> None:
        if not self.is_left and (len(self.screen_stack) == 1 or self.screen.is_modal):  # it is in sight
            self.screen_stack[0].query_one(Activity).renew()

    # ── turns ──

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        self.quit_armed = False
        text = message.text
        if text.startswith(("/", "!")) and commands.run(self, text):
            return
        if message.steer and self.turns.running and self.session is not None:
            self.session.steer(text)
        else:
            self.submit(text)

    def submit(self, task: str) -> None:
        """Run the task, after those that wait."""
        self.turns.waiting.append(task)
        self._next_turn()

    def reopen(self, id: str) -> None:
        """Go on with another session, in place of this one."""
        self.beside(asyncio.create_task(self._reopen(id)))

    async def _reopen(self, id: str) -> None:
        if self.options.reopen is None:
            return
        await self.turns.close()
        self.facts.forget()
        self.conversation.clear()
        self.proposal, self._planned = None, False
        self.turns = Turns(self.options.reopen(id), "", self._turn_ended)
        self._open_session()
        self.refresh_rows()

    async def show_past(self, session: SessionLike) -> None:
        """Tell the session anew, after it went back."""
        past = await asyncio.to_thread(session.replay)
        self.facts.forget()
        self.conversation.clear()
        self._deliver([SessionStarted(session.id, self.options.root, self.options.branch, self.facts.model, ""), *past])
        self.plan_changed()

    def _next_turn(self) -> None:
        if self.turns.start():
            self._planned = True
            self._words = "preparing"
            self._seconds.resume()
        self.give_back()
        self.refresh_rows()

    def _turn_ended(self, error: BaseException | None) -> None:
        if self._bridge is not None:
            self._bridge.flush()
        self.post_message(self.Ended(error))

    def on_coder_app_ended(self, message: Ended) -> None:
        """A turn, or the opening of the session, is over."""
        if self.is_left:
            return
        self._seconds.pause()
        if self.facts.running or self.facts.testing:  # what ended early does not say so itself
            stopped = isinstance(message.error, asyncio.CancelledError)
            exit = getattr(message.error, "exit", None)
            self._tell(TurnFinished("interrupted" if stopped else exit.status if exit else "failed", ""))
        if message.error is not None and not isinstance(message.error, asyncio.CancelledError):
            self.conversation.tell_fault(message.error, self.options.log)
        if self.session is not None:
            self.facts.context_cap = self.session.max_input
            self.turns.waiting[:0] = self.session.unheard()
            self._take_plan(self.session)
        self._next_turn()

    def _take_plan(self, session: SessionLike) -> None:
        """Show a plan that the turn made, to be edited and approved."""
        is_new = session.plan_text.strip() not in ("", self.facts.plan_text.strip())
        self.plan_changed()
        if is_new and session.mode == "plan" and self._planned and not self.turns.waiting:
            show_plan(self, asked=True)

    def plan_changed(self) -> None:
        """The panel shows the session's plan as it is now."""
        self.facts.plan_text = self.session.plan_text if self.session else ""
        self.side.update()

    def on_composer_edited(self, message: Composer.Edited) -> None:
        offers = [(command.name, command.summary) for command in commands.COMMANDS]
        mentioned = self.composer.completions.offer(message.text, offers)
        if mentioned is None:
            self._mentions.forget()
        else:
            paths = [entry.path for entry in self.facts.plan.entries] if self.facts.plan else []
            self._mentions.look(self.session.names if self.session else None, mentioned, paths)

    def _offer_names(self, typed: str, found: list[tuple[str, str]]) -> None:
        if not self.is_left:
            self.composer.completions.offer_names(typed, found)

    def on_side_chosen(self, message: Side.Chosen) -> None:
        choose_file(self, message.path, message.what)
