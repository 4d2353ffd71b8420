"""The way between a session and the screen: `emit` from any thread, `ask` from the session's task.

Pieces of text are gathered to about ten deliveries a second; every other event is delivered at once and in order.
"""

import asyncio
import threading
from collections.abc import Callable

from coder.events import Answer, Event, Question, TestOutput, TextDelta

FLUSH_S = 0.1
MAX_OUTPUT_CHARS = 64_000  # test output kept between two deliveries; the log on disk has all of it


class Bridge:
    """Delivers events in order, in the loop it was made in, and hands questions to `show_question`.

    `deliver` gets lists of events. `show_question` gets a question and what to call with its answer; it returns what
    takes the question back when the asker is cancelled.
    """

    def __init__(
        self,
        deliver: Callable[[list[Event]], None],
        show_question: Callable[[Question, Callable[[Answer], None]], Callable[[], None]],
    ) -> None:
        self._deliver, self._show_question = deliver, show_question
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._waiting: list[Event] = []
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False

    def emit(self, event: Event) -> None:
        patient = isinstance(event, TextDelta | TestOutput)
        with self._lock:
            first = not self._waiting
            self._waiting.append(event) if not patient else self._gather(event)
            wake = first or (not patient and not self._urgent)
            self._urgent = self._urgent or not patient
        if not wake:
            return
        if threading.get_ident() == self._thread:
            self._wake(patient)
        else:
            try:
                self._loop.call_soon_threadsafe(self._wake, patient)
            except RuntimeError:  # the screen is gone; nobody is left to tell
                pass

    async def ask(self, question: Question) -> Answer:
        """Show the question and wait; a cancelled asker takes it off the screen again."""
        self.flush()
        answer: asyncio.Future[Answer] = self._loop.create_future()
        withdraw = self._show_question(question, lambda value: None if answer.done() else answer.set_result(value))
        try:
            return await answer
        except asyncio.CancelledError:
            withdraw()
            raise

    def flush(self) -> None:
        """Deliver what is waiting, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._urgent = False
        if waiting:
            self._deliver(waiting)

    def _wake(self, patient: bool) -> None:
        if not patient:
            self._loop.call_soon(self.flush)
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self.flush)

    def _gather(self, event: Event) -> None:
        """Join a piece of text with the piece before it."""
        match self._waiting[-1] if self._waiting else None, event:
            case TextDelta(before), TextDelta(text):
                self._waiting[-1] = TextDelta(before + text)
            case TestOutput(before), TestOutput(text):
                self._waiting[-1] = TestOutput((before + text)[-MAX_OUTPUT_CHARS:])
            case _:
                self._waiting.append(event)
