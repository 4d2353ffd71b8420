"""The session's turns as the screen runs them: one at a time, the next ones waiting, each can be interrupted."""

import asyncio
from collections.abc import Callable, Sequence

from coder.events import Ask, Emit
from coder.tui.door import OpenSession, SessionLike

CLOSING_S = 2.0  # how long a cancelled turn may take to put things in order before the screen leaves without it


class ApprovedPlan(str):
    """A waiting task that is a plan to be carried out."""


class Retest(str):
    """A waiting command that runs tests: "/test run", or "/test failed" for those that failed."""


class Undecided(str):
    """A waiting command that shows a proposal again, to be decided about."""


class Turns:
    """`ended` is called after the opening and after each turn, with what ended it early or None."""

    def __init__(
        self,
        open_session: OpenSession,
        first: str,
        ended: Callable[[BaseException | None], None],
        warm: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.session: SessionLike | None = None
        self.waiting: list[str] = [first] if first else []
        self._open_session = open_session
        self._ended = ended
        self._warm = warm
        self._task: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # open, or known not to be

    @property
    def running(self) -> bool:
        return self._task is not None

    @property
    def has_no_session(self) -> bool:
        """Whether the session could not be opened."""
        return self._settled.is_set() and self.session is None

    def open(self, emit: Emit, ask: Ask, *, past_is_told: bool = False) -> None:
        self._opening = asyncio.create_task(self._open(emit, ask, past_is_told))

    async def opened(self) -> SessionLike | None:
        """The session, once it is open; None where it could not be opened."""
        await self._settled.wait()
        return self.session

    async def _open(self, emit: Emit, ask: Ask, past_is_told: bool) -> None:
        try:
            session = await self._open_session(emit, ask)
            for event in () if past_is_told else await asyncio.to_thread(session.replay):
                emit(event)
            self.session = session
        except Exception as error:
            self._ended(error)
        else:
            self._ended(None)
            self._warming = asyncio.create_task(self._warm_up())
        finally:
            self._settled.set()

    async def _warm_up(self) -> None:
        for warm in self._warm:
            await asyncio.to_thread(warm)

    def start(self) -> bool:
        """Start the oldest waiting task, if the session is open and nothing runs."""
        if self._task is not None or self.session is None or not self.waiting:
            return False
        self._task = asyncio.create_task(self._run(self.session, self.waiting.pop(0)))
        return True

    async def _run(self, session: SessionLike, task: str) -> None:
        fault: BaseException | None = None
        try:
            match task:
                case Retest():
                    await session.run_tests(failed=task.endswith("failed"))
                case Undecided():
                    await session.review()
                case ApprovedPlan():
                    await session.carry_out(task)
                case _:
                    await session.run(task)
        except (Exception, asyncio.CancelledError) as error:
            fault = error
        self._task = None
        self._ended(fault)

    def interrupt(self) -> str:
        """Cancel the running turn. What was waiting, one task a line, so that it can be written anew."""
        if self._task is not None:
            self._task.cancel()
        waiting, self.waiting = self.waiting, []
        return "\n".join(waiting)

    async def close(self) -> None:
        for task in (self._task, self._opening, self._warming):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=CLOSING_S)
        if self.session is not None:
            await self.session.close()
