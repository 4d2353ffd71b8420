"""The plain face: a prompt, a turn, a review, and again. One loop of its own runs whatever the session awaits."""

import asyncio
import shlex
import signal
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import Any, Literal

from msgspec import Struct

from coder import events
from coder.errors import CoderError, Exit, Interrupted, LimitReached
from coder.events import Ask, Emit
from coder.plain.commands import Room, run
from coder.plain.console import Console
from coder.plain.lines import event_line, price_words
from coder.plain.review import review
from coder.session.commands import SettingRow
from coder.session.outcome import Outcome
from coder.session.session import Session
from coder.store import Places
from coder.values import Approval, ReviewDecision

ANSWERS = frozenset("ynoadsecjkgq?")
SCOPES: dict[str, Literal["no", "once", "session", "always"]] = {
    "y": "session", "yes": "session", "o": "once", "a": "always"
}  # fmt: skip
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class PlainOptions(Struct, frozen=True):
    """The first task, if any, and what is said before it. `timeout` bounds a turn whose answers are scripted;
    `settings` gives the effective settings."""

    places: Places
    root: str
    settings: Callable[[], Sequence[SettingRow]]
    task: str = ""
    banner: str = ""
    timeout: float | None = None


class Face:
    """Shows events, answers questions, and gives the session what the person writes."""

    def __init__(self, console: Console, options: PlainOptions) -> None:
        self._console = console
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._running: asyncio.Future[Any] | None = None
        self._signal = 0
        self._streamed = False
        self._code = Exit.DONE
        self._session_usd: float | None = 0.0
        self._room: Room | None = None

    def run(self, openers: Callable[[str], Callable[[Emit, Ask], Session]], id: str) -> Exit:
        """Until the person leaves; `openers` gives what opens the session of an id, or a new one for "".

        A scripted run ends with the code of its last turn, any other with 0.
        """
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, *ENDING)}
        try:
            task, going = self._options.task, True
            while going:
                id = self._converse(openers(id), task)
                task, going = "", bool(id)
            return self._code if self._console.scripted else Exit.DONE
        finally:
            self._loop.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _converse(self, open_session: Callable[[Emit, Ask], Session], task: str) -> str:
        """One session; the id of that to go on with, "" where the person leaves."""
        session, options = open_session(self.emit, self.ask), self._options
        room = Room(session, self._console, options.places, options.root, self._wait, self._do, options.settings)
        self._room = room
        try:
            for event in session.replay():
                self.emit(event)
            if options.banner:
                self._console.say(options.banner)
            self._console.say("/help lists the commands; Ctrl-D leaves")
            if task:
                self._do(session.run(task))
            self._read_tasks(room)
        finally:
            self._loop.run_until_complete(session.close())
        return room.go_on_with

    def _read_tasks(self, room: Room) -> None:
        while not room.leaving and not room.go_on_with:
            try:
                text = self._console.read_task("plan> " if room.session.mode == "plan" else "coder> ")
            except EOFError:
                self._console.say("")
                return
            except KeyboardInterrupt:
                self._console.say("\nCtrl-D leaves")
                continue
            self._take(room, text)

    def _take(self, room: Room, text: str) -> None:
        if not text:
            return
        if text in ANSWERS:  # meant for a question that was not asked
            self._console.say(f"{text!r} answers no question; write a task, or /help")
            return
        try:
            if text.startswith(("/", "!")) and run(room, text):
                return
        except CoderError as error:
            self._say_error(error)
            return
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._console.say("interrupted")
            return
        self._do(room.session.run(text))

    # ── a turn ──

    def _do(self, turn: Awaitable[object]) -> None:
        """A turn to its end, however it ends. Scripted answers to a turn that failed would be taken for tasks."""
        try:
            ended = self._wait(self._in_time(turn))
            self._code = ended.exit if isinstance(ended, Outcome) else Exit.DONE
        except CoderError as error:
            self._say_error(error)
            self._code = error.exit
            assert self._room is not None
            self._room.leaving = self._console.scripted
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._console.say("interrupted; what was said stays in the conversation")
            self._code = Exit.INTERRUPT
        if self._session_usd != 0.0:
            self._console.say(price_words(self._session_usd))

    async def _in_time(self, turn: Awaitable[object]) -> object:
        limit = self._options.timeout if self._console.scripted else None
        try:
            async with asyncio.timeout(limit):
                return await turn
        except TimeoutError:
            raise LimitReached(f"the time limit of {limit:g} s was reached", "raise --timeout") from None

    def _wait(self, work: Awaitable[Any]) -> Any:
        self._running = asyncio.ensure_future(work, loop=self._loop)
        try:
            return self._loop.run_until_complete(self._running)
        finally:
            self._running = None
            if self._signal:
                raise Interrupted(self._signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """An interrupt stops a turn, or the question that is open; the others also end the program."""
        if number != signal.SIGINT:
            self._signal = number
        if self._running is not None and not self._console.reading:
            self._loop.call_soon_threadsafe(self._running.cancel)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Interrupted(number)

    # ── what the session says and asks ──

    def emit(self, event: events.Event) -> None:
        """Show an event. Called in this thread only."""
        match event:
            case events.TextDelta(text):
                self._console.stream(text)
                self._streamed = True
            case events.ReplyFinished(text):
                if not self._streamed and text:
                    self._console.show(text)
                self._streamed = False
            case events.StepAbandoned():
                self._streamed = False
            case events.UsageRecorded():
                self._session_usd = event.session_usd
            case events.ProposalReady(proposal) if self._room is not None:
                self._room.proposal = proposal
            case events.EvidenceReady() if self._room is not None:
                self._room.tests = event
            case events.TurnStarted() if self._running is None:  # of a session that is resumed
                self._console.say(f"\n> {event.task}")
            case events.TurnFinished():
                self._console.say(f"turn ended: {event.status}")
            case _:
                pass
        line = event_line(event)
        if line:
            self._console.say(line)

    async def ask(self, question: events.Question) -> events.Answer:
        """Ask the person. An interrupt here stops the turn."""
        try:
            return self._answer(question)
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None

    def _answer(self, question: events.Question) -> events.Answer:
        console = self._console
        match question:
            case events.Review(proposal):
                decision: ReviewDecision = review(console, proposal)
                return decision
            case events.ApproveCommand():
                return self._approve(question)
            case events.ApproveSpending():
                limit = "no limit is set" if question.limit_usd is None else f"the limit is ${question.limit_usd:.2f}"
                return console.confirm(f"This turn may cost ${question.forecast_usd:.2f}; {limit}. Go on?")

    def _approve(self, question: events.ApproveCommand) -> Approval:
        """May these commands run? Whatever is no clear yes is a no; what stands after an `n` is told to the model."""
        console, free = self._console, question.sandbox in ("", "none", "off")
        console.say(f"coder would run {'WITHOUT a sandbox' if free else 'in a sandbox'} ({question.origin}):")
        for command in question.commands:
            console.say(f"  {shlex.join(command)}")
        if question.why:
            console.say(f"  {question.why}")
        if free:
            return Approval("once" if console.confirm("Run it once?") else "no")
        try:
            answer = console.ask("Run it? y in this session, o once, a always, n REASON not [y/N] ")
        except EOFError:
            return Approval()
        word, _, reason = answer.partition(" ")
        return Approval(SCOPES.get(word.lower(), "no"), reason.strip() if word.lower() == "n" else "")

    def _say_error(self, error: CoderError) -> None:
        self._console.say(f"coder: {error.message}" + (f"\n  {error.hint}" if error.hint else ""), "loud")
