"""Sessions that only tell events: what the screen is fed in its tests and measurements. Replaces no part of coder."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from coder.config import Settings
from coder.events import (
    Ask,
    Emit,
    Event,
    Question,
    ReplyFinished,
    Review,
    SessionStarted,
    StepStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
    Undone,
)
from coder.repo.checkpoint import UndoItem
from coder.session.aside import CommandEnd
from coder.session.names import FoundSymbol
from coder.session.recorded import RecordedTurn
from coder.values import Checkpoint, ContextPlan, Evidence, FileDiff, Hunk, Proposal, ReviewDecision, TestReport

Script = Callable[["Scripted", str], Awaitable[None]]


class Names:
    """What `@` completes."""

    files: tuple[str, ...] = ()
    found: tuple[FoundSymbol, ...] = ()

    def paths(self) -> tuple[str, ...]:
        return self.files

    def tracked(self) -> tuple[str, ...]:
        return ()

    def symbols(self, typed: str, limit: int) -> tuple[FoundSymbol, ...]:
        return tuple(each for each in self.found if typed in each.name)[:limit]


class Scripted:
    """`script(session, task)` is what a turn does; `answers` are the answers it got to its questions."""

    def __init__(self, emit: Emit, ask: Ask, script: Script) -> None:
        self.id = "scripted"
        self.emit, self.ask, self.script = emit, ask, script
        self.tasks: list[str] = []
        self.answers: list[object] = []
        self.chosen: list[tuple[str, str]] = []
        self.closed = False
        self.plan_text = ""
        self.mode = "edit"
        self.settings = Settings()
        self.max_input = 272_000
        self.turns: list[RecordedTurn] = []
        self.names = Names()
        self.heard: list[str] = []
        self.past: tuple[Event, ...] = ()
        self.planned = ContextPlan(1_000, 10, ())
        emit(SessionStarted("scripted", "/home/ada/shop", "main", "gpt-5.4-mini", "bubblewrap"))

    async def run(self, task: str) -> None:
        self.tasks.append(task)
        self.emit(TurnStarted(len(self.tasks), task))
        await self.script(self, task)
        self.emit(TurnFinished("done", ""))

    async def question(self, question: Question) -> None:
        self.answers.append(await self.ask(question))

    async def preview_undo(self, checkpoint_id: str = "") -> tuple[UndoItem, ...]:
        return (UndoItem("a.py", "restore", None, None),)

    async def undo(self, checkpoint_id: str = "") -> None:
        self.emit(Undone(Checkpoint("k1", 0.0, "the change", ("a.py",)), ("a.py",)))

    async def plan(self, task: str = "") -> ContextPlan:
        return self.planned

    def replay(self) -> tuple[Event, ...]:
        return self.past

    async def carry_out(self, plan: str) -> None:
        self.chosen.append(("carry out", plan))

    async def compact(self) -> None:
        self.chosen.append(("compact", ""))

    async def run_tests(self, *, failed: bool = False) -> None:
        self.chosen.append(("test", "run"))

    async def ask_aside(self, question: str, on_text: Callable[[str], None]) -> str:
        on_text("It is ")
        await asyncio.sleep(0)
        return f"It is {question}."

    async def command(self, line: str, on_output: Callable[[str], None]) -> CommandEnd:
        on_output("one\n")
        await asyncio.sleep(0)
        return CommandEnd(0, "one\ntwo\n", 0.1, "bubblewrap 9/9")

    def steer(self, words: str) -> None:
        self.chosen.append(("steer", words))

    def unheard(self) -> tuple[str, ...]:
        said, self.heard = tuple(self.heard), []
        return said

    def keep_plan(self, plan: str) -> None:
        self.plan_text = plan

    def rename(self, title: str) -> None:
        self.chosen.append(("title", title))

    async def preview_rewind(self, turn: int) -> tuple[UndoItem, ...]:
        return (UndoItem("a.py", "restore", None, None),)

    async def rewind(self, turn: int) -> None:
        self.chosen.append(("rewind", str(turn)))

    def set_mode(self, mode: str) -> None:
        self.mode = mode
        self.chosen.append(("mode", mode))

    def set_model(self, model: str) -> None:
        self.chosen.append(("model", model))

    def set_effort(self, effort: str) -> None:
        self.chosen.append(("effort", effort))

    def pin(self, path: str) -> None:
        self.chosen.append(("pin", path))

    def drop(self, path: str) -> None:
        self.chosen.append(("drop", path))

    async def close(self) -> None:
        self.closed = True


def opener(script: Script, opened: list[Scripted] | None = None) -> Callable[[Emit, Ask], Awaitable[Scripted]]:
    """What the screen calls to get its session; the session is appended to `opened`."""

    async def open_session(emit: Emit, ask: Ask) -> Scripted:
        session = Scripted(emit, ask, script)
        if opened is not None:
            opened.append(session)
        return session

    return open_session


def telling(*events: Event) -> Script:
    """A turn that emits these events."""

    async def script(session: Scripted, task: str) -> None:
        for event in events:
            session.emit(event)

    return script


def reviewing(proposal: Proposal, base: Mapping[str, bytes] | None = None, message: str = "") -> Script:
    """A turn that puts a proposal to the user; `base` is what the files held before."""
    read = {} if base is None else base

    async def script(session: Scripted, task: str) -> None:
        await session.question(Review(proposal, read.get, message))

    return script


async def streaming(session: Scripted, task: str) -> None:
    """A reply at about 200 tokens a second, for as many seconds as the task says."""
    session.emit(StepStarted(1, 50_000))
    words = "the value is **parsed** once at the door and `kept` as it is; see what the test below it says".split()
    chance = random.Random(7)
    whole: list[str] = []
    loop = asyncio.get_running_loop()
    start, sent = loop.time(), 0
    while loop.time() - start < float(task):
        due = int((loop.time() - start) * 200)
        while sent < due:
            whole.append(f"{chance.choice(words)} " if sent % 150 else f"\n\n- item {sent} of a list\n\n")
            session.emit(TextDelta(whole[-1]))
            sent += 1
        await asyncio.sleep(0.01)
    session.emit(ReplyFinished("".join(whole)))


def hunk(*lines: str, start: int = 1, section: str = "") -> Hunk:
    """A hunk of these lines, each with its sign."""
    old = sum(line[0] in " -" for line in lines)
    new = sum(line[0] in " +" for line in lines)
    raw = tuple(f"{line}\n".encode("utf-8", "surrogateescape") for line in lines)
    return Hunk(start, old, start, new, section.encode("utf-8", "surrogateescape"), raw)


def changed(path: str, *hunks: Hunk, protected: str = "") -> FileDiff:
    return FileDiff(path, "modified", path, "100644", "100644", (), hunks, protected=protected)


def proposal_of(*files: FileDiff) -> Proposal:
    report = TestReport(("python", "-m", "unittest"), "t2", 0, 12, 12, duration_s=0.4)
    return Proposal("t1", "t2", files, b"", Evidence("passed", "t2", (report,), fixed=("test_price",)), cost_usd=0.02)


def big_proposal(files: int = 200, lines: int = 20_000) -> Proposal:
    """Many files with hunks of ten changed lines each."""
    hunks = max(1, lines // files // 10)
    body = [f"{sign}    value_{number} = compute({number}, 'text')  # note" for number in range(5) for sign in "-+"]
    made = tuple(hunk(" def f():", *body, " ", start=1 + 20 * number) for number in range(hunks))
    return proposal_of(*(changed(f"src/pkg_{number // 20}/module_{number}.py", *made) for number in range(files)))


def decision(session: Scripted) -> ReviewDecision:
    """The one answer to a review."""
    (answer,) = session.answers
    assert isinstance(answer, ReviewDecision)
    return answer
