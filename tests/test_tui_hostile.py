"""Strings that want to steer the terminal or the screen: no cell may hold them raw, none becomes a link or a style."""

import re
from collections.abc import Awaitable, Callable

import pytest
from textual import events

from coder.events import (
    Applied,
    ApproveCommand,
    ContextPlanned,
    DraftChanged,
    Event,
    EvidenceReady,
    Notice,
    ProposalReady,
    Question,
    ReplyFinished,
    RetryWaiting,
    Review,
    SessionStarted,
    StepAbandoned,
    StepStarted,
    SubagentFinished,
    SubagentStarted,
    TestFinished,
    TestOutput,
    TestStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    UsageRecorded,
)
from coder.tui.blocks.beside import Aside, OwnCommand
from coder.tui.door import ScreenOptions, TrustQuestion
from coder.tui.picker import Offer, Picker
from coder.tui.plan import PlanScreen
from coder.values import (
    Checkpoint,
    ContextEntry,
    ContextPlan,
    Evidence,
    Proposal,
    TestFailure,
    TestReport,
    TriageCard,
    Usage,
    Withheld,
)
from tests.screen_kit import Shown, drive
from tests.scripted import Scripted, changed, hunk, proposal_of, telling

# Writes the clipboard, clears the screen, sets the title, hides a link; C1, NUL and a lone CR; reversed, invisible,
# private and tag characters; an undecodable byte; markup of Rich and of Textual.
EVIL = (
    "\x1b]52;c;aGk=\x07\x1b[2J\x1b]0;owned\x07\x1b]8;;http://x\x07 \x9b31m\x00\rgone "
    "\u202egnp\u2066\u200b\ue000\U000e0041\udcff [@click=app.quit()]press[/] [bold red]x[/] [link=http://x]y[/link]"
)
RAW = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ue000-\uf8ff\ud800-\udfff\U000e0000-\U000e0fff]"
)

REPORT = TestReport(
    (EVIL, EVIL), "t", 1, 2, 1, 1, failures=(TestFailure(EVIL, EVIL, 1, EVIL, EVIL),), log=EVIL, sandbox=EVIL
)
EVIDENCE = Evidence("failed", "t", (REPORT,), (), (EVIL,), (EVIL,), (EVIL,), (EVIL,), EVIL)
CARD = TriageCard(EVIL, (EVIL,), "unknown", 0.5, ((EVIL, 3),), (EVIL,), EVIL)
FILE = changed(EVIL, hunk(f" {EVIL}", f"-{EVIL}", f"+{EVIL}\t{EVIL}", section=EVIL), protected=EVIL)
PROPOSAL = Proposal("a", "b", (FILE,), b"", EVIDENCE, (CARD,), 0.1, EVIL, (EVIL,))
USAGE = Usage(EVIL, EVIL, 1, 10, 5, 1, 5, 0.1)

EVENTS: tuple[Event, ...] = (
    SessionStarted(EVIL, f"/home/{EVIL}", EVIL, EVIL, EVIL),
    Notice(EVIL, "warning"),
    TurnStarted(1, EVIL),
    ContextPlanned(ContextPlan(10, 5, (ContextEntry(EVIL, "full", 1, (EVIL,)),), (Withheld(EVIL, EVIL),))),
    StepStarted(1, 10),
    TextDelta(f"# {EVIL}\n\n- {EVIL}\n> {EVIL}\n| {EVIL} |\n**{EVIL}** [{EVIL}]({EVIL})\n"),
    TextDelta(f"```{EVIL}\n{EVIL}\n```\n{EVIL}"),
    StepAbandoned(EVIL),
    ReplyFinished(f"```python\n{EVIL}\n```\n{EVIL}"),
    ToolStarted("c", EVIL, EVIL),
    ToolFinished("c", EVIL, False, f"{EVIL}\n{EVIL}"),
    DraftChanged("t", (EVIL,), f"@@ -1 +1 @@ {EVIL}\n-{EVIL}\n+{EVIL}\n".encode("utf-8", "surrogateescape")),
    SubagentStarted("s", EVIL, EVIL, EVIL),
    SubagentFinished("s", EVIL, False, USAGE),
    UsageRecorded(USAGE, 0.1),
    RetryWaiting(1.0, 1, EVIL),
    TestStarted((EVIL,), "draft"),
    TestOutput(f"{EVIL}\n" * 6),
    TestFinished(REPORT, "draft"),
    EvidenceReady(EVIDENCE, (CARD,)),
    ProposalReady(PROPOSAL),
    Applied(Checkpoint("k", 0.0, EVIL, (EVIL,)), (EVIL,)),
)  # fmt: skip


def assert_harmless(screen: Shown) -> None:
    for strip in screen.app.screen._compositor.render_strips():
        assert not RAW.search(strip.text), repr(strip.text)
        for segment in strip:
            meta = {} if segment.style is None else segment.style.meta
            assert "@click" not in meta
            assert segment.style is None or segment.style.link is None


def test_no_event_reaches_the_terminal_raw() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done")
        screen.app.conversation.toggle_folds()
        screen.app.conversation.page(-100)
        for _ in range(40):
            await screen.pilot.pause(0)
            assert_harmless(screen)
            screen.app.conversation.page(0.9)
        for panel in ("context", "tests", "agents", "cost"):
            screen.app.side.open(panel)
            await screen.pilot.pause(0.02)
            assert_harmless(screen)

    drive(telling(*EVENTS), act, size=(110, 40), options=ScreenOptions(root=EVIL, branch=EVIL, model=EVIL, banner=EVIL))


def test_what_runs_now_is_told_harmlessly() -> None:
    async def act(screen: Shown) -> None:
        screen.app.turns._task = True  # type: ignore[assignment]  # as while a turn runs
        for event in EVENTS:
            if not isinstance(event, TurnFinished):
                screen.app._tell(event)
                screen.app.refresh_rows()
                await screen.pilot.pause(0)
                assert_harmless(screen)
        screen.app.turns._task = None

    drive(telling(), act)


@pytest.mark.parametrize("question", [Review(PROPOSAL), ApproveCommand(((EVIL, "-x"),), EVIL, EVIL)])
def test_no_question_reaches_the_terminal_raw(question: Question) -> None:
    async def asks(session: Scripted, task: str) -> None:
        await session.question(question)

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.until(lambda: len(screen.app.screen_stack) == 2)
        await screen.grace()
        assert_harmless(screen)
        for key in ("s", "w", "s", "u", "t", "c", "r"):
            await screen.press(key)
            assert_harmless(screen)
        screen.app.post_message(events.Paste(EVIL))
        await screen.press("enter", "enter", "a")
        await screen.pilot.pause(0.05)
        assert_harmless(screen)

    drive(asks, act, size=(110, 60))


def test_a_repository_of_any_name_is_asked_about_harmlessly() -> None:
    async def act(screen: Shown) -> None:
        await screen.sees("Do you trust this repository?")
        assert_harmless(screen)

    drive(telling(), act, options=ScreenOptions(trust=TrustQuestion(EVIL, [EVIL], lambda: None)))


async def in_a_picker(screen: Shown) -> None:
    screen.app.push_screen(Picker(EVIL, [Offer(EVIL, EVIL, EVIL)]))


async def in_a_plan(screen: Shown) -> None:
    screen.app.push_screen(PlanScreen(EVIL))
    await screen.pilot.pause(0)
    screen.app.post_message(events.Paste(EVIL))


async def beside(screen: Shown) -> None:
    command, aside = OwnCommand(EVIL), Aside(EVIL)
    for block in (command, aside):
        screen.app.conversation.add(block)
        block.feed(EVIL)
        screen.app.conversation.changed(block)
    command.finish(EVIL, 1, 0.1, EVIL)
    screen.app.conversation.changed(command)


async def in_a_folded_paste(screen: Shown) -> None:
    screen.app.post_message(events.Paste("\n".join([EVIL] * 20)))


@pytest.mark.parametrize("show", [in_a_picker, in_a_plan, beside, in_a_folded_paste])
def test_nothing_beside_the_turn_reaches_the_terminal_raw(show: Callable[[Shown], Awaitable[None]]) -> None:
    async def act(screen: Shown) -> None:
        await show(screen)
        await screen.until(lambda: "]52;c" in screen.text)
        assert_harmless(screen)

    drive(telling(), act)


async def pasted(screen: Shown) -> None:
    screen.app.post_message(events.Paste(EVIL))


async def recalled(screen: Shown) -> None:
    screen.app.composer._history.add(EVIL)
    await screen.press("up")


async def completed(screen: Shown) -> None:
    await screen.press("@")
    await screen.sees("› ")
    await screen.press("tab")


@pytest.mark.parametrize("write", [pasted, recalled, completed])
def test_the_composer_shows_nothing_raw(write: Callable[[Shown], Awaitable[None]]) -> None:
    plan = ContextPlan(10, 5, (ContextEntry(EVIL, "full", 1),))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done")
        await write(screen)
        await screen.until(lambda: "press" in screen.app.composer.text)
        assert_harmless(screen)

    drive(telling(ContextPlanned(plan)), act)


def test_markup_is_only_text() -> None:
    words = "[@click=app.quit()]press[/] [bold]x[/bold]"
    proposal = proposal_of(changed("a.py", hunk(f"+{words}")))

    async def act(screen: Shown) -> None:
        await screen.write(words)
        await screen.until(lambda: screen.text.count(words) == 2)

    drive(telling(Notice(words), ProposalReady(proposal)), act)
