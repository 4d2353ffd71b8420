"""The conversation, the composer and the commands, as a person uses them."""

import asyncio
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from coder.errors import UserError
from coder.events import (
    ApproveCommand,
    ApproveSpending,
    Ask,
    ContextPlanned,
    Emit,
    Event,
    EvidenceReady,
    Notice,
    ReplyFinished,
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
from coder.session.names import FoundSymbol
from coder.tui.app import CoderApp
from coder.tui.approval import origin_words
from coder.tui.blocks.messages import Task
from coder.tui.commands import COMMANDS
from coder.tui.door import ScreenOptions, TrustQuestion
from coder.tui.facts import Facts
from coder.tui.keys import ALL, shown
from coder.tui.remap import remapped
from coder.values import Approval, ContextEntry, ContextPlan, Evidence, TestReport, TriageCard, Usage
from tests.screen_kit import PLAIN, Shown, drive
from tests.scripted import Scripted, opener, streaming, telling

UNITTEST = ("python", "-m", "unittest")
FAILING = TestReport(UNITTEST, "t", 1, 12, 10, 2, duration_s=0.4, sandbox="bubblewrap 9/9")


async def stuck(session: Scripted, task: str) -> None:
    """A turn that only an interrupt ends."""
    session.emit(StepStarted(1, 1_000))
    session.emit(TextDelta(f"thinking about {task}"))
    await asyncio.sleep(60)


def test_a_turn_is_told_from_task_to_end() -> None:
    usage = Usage("coder", "gpt-5.4-mini", 1, 50_000, 40_000, 0, 500, 0.0123, predicted_tokens=45_000)
    script = telling(
        ContextPlanned(ContextPlan(128_000, 5_000, (ContextEntry("src/a.py", "full", 5_000),))),
        StepStarted(1, 50_000),
        TextDelta("# Pl"),
        TextDelta("an\n\nRead `a.py` **first**."),
        ReplyFinished("# Plan\n\nRead `a.py` **first**."),
        UsageRecorded(usage, 0.0123),
        ToolStarted("c", "read_files", "src/a.py"),
        ToolFinished("c", "read_files", True, "1 file, 20 lines"),
        Notice("the ledger is full", "warning"),
    )

    async def act(screen: Shown) -> None:
        await screen.write("mend it")
        text = await screen.sees("done · $0.0123")
        lines = [line.strip() for line in text.split("\n")]
        order = ["▌ mend it", "◇ context  1 file: 1 full  5k of 128k tokens", "Plan", "Read a.py first."]
        order += ["✓ read_files  src/a.py  1 file, 20 lines", "! the ledger is full"]
        assert [line for line in lines if line in order] == order
        assert "50.5k/272k  80% cached  (90% predicted)" in lines[-2] and lines[-2].endswith("$0.0123")

    drive(script, act)


def test_the_context_in_use_is_that_of_one_real_call() -> None:
    facts = Facts()
    facts.take(UsageRecorded(Usage("coder", "m", 1, 2_000, 0, 0, 500), 0.1))
    facts.take(UsageRecorded(Usage("coder", "m", 1, 2_000, 0, 0, 64_000, estimated=True), 0.2))  # an interrupted one
    assert facts.context_tokens == 2_500
    facts.take(UsageRecorded(Usage("coder", "m", 9, 90_000, 0, 0, 500), 0.3))  # what a session has cost that goes on
    assert facts.context_tokens == 0


def test_the_reply_is_shown_while_it_is_written() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("thinking about x")
        assert "step 1 · gpt-5.4-mini is writing" in screen.text

    drive(stuck, act)


def test_what_never_became_a_reply_is_marked() -> None:
    script = telling(StepStarted(1, 10), TextDelta("half a"), StepAbandoned("the stream was cut"))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("↺ the stream was cut")

    drive(script, act)


def test_escape_interrupts_and_keeps_what_was_said() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("thinking about x")
        await screen.press("escape")
        text = await screen.sees("interrupted")
        assert "thinking about x" in text
        assert "Esc interrupts" not in text

    drive(stuck, act)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
def test_a_message_waits_while_a_turn_runs_and_comes_back_when_it_is_interrupted(key: str) -> None:
    async def act(screen: Shown) -> None:
        await screen.write("one")
        await screen.sees("thinking about one")
        await screen.write("two")
        await screen.sees("1 queued")
        await screen.press(key)
        await screen.sees("interrupted")
        assert (screen.session.tasks, screen.app.composer.text) == (["one"], "two")

    drive(stuck, act)


def test_queued_messages_run_in_order() -> None:
    async def act(screen: Shown) -> None:
        for task in ("0.2", "0.1", "0"):
            await screen.write(task)
        await screen.until(lambda: screen.text.count("done · $0") == 3)
        assert screen.session.tasks == ["0.2", "0.1", "0"]

    drive(streaming, act)


def test_the_task_given_on_the_command_line_is_submitted() -> None:
    async def act(screen: Shown) -> None:
        await screen.sees("done · $0")
        assert screen.session.tasks == ["0"]

    drive(streaming, act, task="0")


def test_a_fault_is_told_and_the_next_turn_works() -> None:
    async def fails(session: Scripted, task: str) -> None:
        if task == "fail":
            raise ValueError("boom")

    async def act(screen: Shown) -> None:
        await screen.write("fail")
        await screen.sees("a bug of coder: ValueError: boom")
        await screen.write("go on")
        await screen.sees("done · $0")

    drive(fails, act)


def test_without_a_session_nothing_that_was_written_is_lost() -> None:
    async def open_session(emit: Emit, ask: Ask) -> Scripted:
        raise UserError("the configuration is wrong", "mend it")

    async def act(screen: Shown) -> None:
        await screen.sees("the configuration is wrong")
        await screen.write("do it")
        await screen.sees("there is no session to do it")
        assert screen.app.composer.text == "do it"

    drive(telling(), act, open_session=open_session)


def test_a_resumed_session_shows_its_past_and_goes_on() -> None:
    async def open_session(emit: Emit, ask: Ask) -> Scripted:
        session = Scripted(emit, ask, telling(ReplyFinished("Once more.")))
        session.past = (TurnStarted(1, "rename it"), ReplyFinished("Renamed."), TurnFinished("done", ""))
        return session

    async def act(screen: Shown) -> None:
        await screen.sees("Renamed.")
        await screen.write("again")
        text = await screen.sees("Once more.")
        assert text.index("▌ rename it") < text.index("▌ again")

    drive(telling(), act, open_session=open_session)


def test_the_past_is_shown_once_and_before_the_session_is_open() -> None:
    past = (TurnStarted(1, "rename it"), ReplyFinished("Renamed."), TurnFinished("done", ""))
    may_open = asyncio.Event()

    async def open_session(emit: Emit, ask: Ask) -> Scripted:
        await may_open.wait()
        session = Scripted(emit, ask, telling(ReplyFinished("Once more.")))
        session.past = past
        return session

    async def act(screen: Shown) -> None:
        await screen.write("again")
        await screen.sees("Renamed.")
        may_open.set()
        assert (await screen.sees("Once more.")).count("Renamed.") == 1

    drive(telling(), act, open_session=open_session, options=replace(PLAIN, past=lambda: past))


def test_a_past_that_cannot_be_read_is_left_to_the_opening() -> None:
    def past() -> tuple[Event, ...]:
        raise FileNotFoundError

    async def act(screen: Shown) -> None:
        await screen.write("go on")
        await screen.sees("done · $0")

    drive(telling(), act, options=replace(PLAIN, past=past))


def test_what_lies_below_a_block_that_grew_is_painted_again() -> None:
    async def act(screen: Shown) -> None:
        view = screen.app.conversation
        for number in range(8):
            view.add(Task("\n".join(f"task {number}, line {line}" for line in range(30))))
        await screen.settled()
        view.page(-9)
        await screen.settled()
        view.blocks[0].folded = False
        view.changed(view.blocks[0])
        assert max(region.bottom for region in view._repaint_regions) == view.size.height
        assert "task 0, line 29" in await screen.sees("task 0, line 20")

    drive(telling(), act)


# ── composer ──


def test_editing_keys_act_in_the_order_they_were_typed() -> None:
    async def act(screen: Shown) -> None:
        screen.send(*"wrong", "ctrl+u", *"righd", "backspace", "t", "enter")
        await screen.sees("done · $0")
        assert screen.session.tasks == ["right"]

    drive(telling(), act)


def test_several_lines_are_one_task() -> None:
    async def act(screen: Shown) -> None:
        await screen.press(*"one", "ctrl+j", *"two", "shift+enter", *"three", "enter")
        await screen.sees("done · $0")
        assert screen.session.tasks == ["one\ntwo\nthree"]

    drive(telling(), act)


def test_what_was_asked_before_comes_back_with_the_arrow_keys(tmp_path: Path) -> None:
    options = ScreenOptions(history=tmp_path / "history")

    async def ask(screen: Shown) -> None:
        await screen.write("first")
        await screen.write("second")
        await screen.sees("▌ second")

    async def recall(screen: Shown) -> None:
        await screen.press(*"draft", "up", "up", "enter")
        await screen.sees("▌ first")
        await screen.press("up", "down")
        assert screen.app.composer.text == ""

    drive(telling(), ask, options=options)
    drive(telling(), recall, options=options)


def test_what_was_asked_before_is_searched() -> None:
    async def act(screen: Shown) -> None:
        for task in ("mend the till", "paint the shop", "mend the shelf"):
            await screen.write(task)
        await screen.sees("▌ mend the shelf")
        await screen.press("ctrl+r", *"mend")
        await screen.sees("› mend the shelf")
        await screen.press("down", "enter")
        assert screen.app.composer.text == "mend the till"
        await screen.press("ctrl+u", "ctrl+r", *"xyz")
        await screen.sees("nothing that was asked holds this")
        await screen.press("escape")
        assert screen.app.composer.text == "xyz"

    drive(telling(), act)


def test_a_long_paste_is_folded_and_sent_whole() -> None:
    from textual import events

    pasted = "\n".join(f"line {number}" for number in range(40))

    async def act(screen: Shown) -> None:
        screen.app.post_message(events.Paste(pasted))
        await screen.sees("[pasted 40 lines #1]")
        await screen.press("enter")
        await screen.until(lambda: screen.session.tasks == [pasted])

    drive(telling(), act)


def test_files_are_completed_after_an_at_sign() -> None:
    entries = tuple(ContextEntry(path, "name", 1) for path in ("src/shop.py", "src/shelf.py", "docs/shop.md"))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done · $0")
        await screen.press(*"see @shop")
        await screen.sees("› @src/shop.py")
        await screen.press("down", "tab", *"now", "enter")
        await screen.until(lambda: screen.session.tasks == ["x", "see @docs/shop.md now"])

    drive(telling(ContextPlanned(ContextPlan(1_000, 10, entries))), act)


def test_declarations_are_completed_beside_files() -> None:
    async def act(screen: Shown) -> None:
        await screen.until(lambda: screen.app.session is not None)
        screen.session.names.files = ("src/price.py",)
        screen.session.names.found = (FoundSymbol("price_of", "src/shop.py", 12),)
        await screen.press(*"rename @price")
        text = await screen.sees("price_of (@src/shop.py:12)")
        assert "› @src/price.py" in text
        await screen.press("down", "tab", *"please", "enter")
        await screen.until(lambda: screen.session.tasks == ["rename price_of (@src/shop.py:12) please"])

    drive(telling(), act)


# ── commands ──


def test_commands_are_completed_with_their_help() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("/")
        await screen.sees(f"1 of {len(COMMANDS)}")
        await screen.press("up")  # round to the last, which was out of sight
        await screen.sees("› /quit")
        await screen.press(*"un")
        await screen.sees("› /undo  Take back what was applied last")
        await screen.press("tab")
        assert screen.app.composer.text == "/undo "

    drive(telling(), act)


def test_the_help_names_every_command_and_every_key() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("f1")
        await screen.sees("Commands")
        rows = screen.app.screen.query_one("#words").rows  # type: ignore[attr-defined]
        words = "\n".join("".join(text for text, _ in row) for row in rows)
        for command in COMMANDS:
            assert f"/{command.name}" in words
        for key in ALL.values():
            assert key.words.split(";")[0][:30] in words
        await screen.press("escape")

    drive(telling(), act, size=(200, 40))


def test_the_palette_offers_the_commands() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("ctrl+p")
        await screen.pilot.pause(0.1)
        await screen.press(*"cost")
        await screen.sees("Tokens and money by role and model")
        await screen.press("escape", "ctrl+p")
        await screen.pilot.pause(0.1)
        await screen.press(*"pin")
        await screen.sees("Show this file in full from now on")
        await screen.press("enter")
        await screen.until(lambda: screen.app.composer.text == "/pin ")  # it needs a word more

    drive(telling(), act)


def test_an_unknown_command_is_not_sent_to_the_model() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/nonsense")
        await screen.sees("there is no command /nonsense")
        await screen.until(lambda: bool(screen.sessions))
        assert screen.session.tasks == []

    drive(telling(), act)


def test_undo_asks_before_it_takes_back() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/undo")
        await screen.sees("Take back the last change that coder applied?")
        await screen.press("enter")  # untouched, it means no
        await screen.write("/undo")
        await screen.press("y")
        await screen.sees("✓ undone  1 file")

    drive(telling(), act)


def test_a_plan_is_made_and_carried_out() -> None:
    async def act(screen: Shown) -> None:
        await screen.until(lambda: bool(screen.sessions))
        await screen.write("/go")
        await screen.sees("there is no plan yet")
        await screen.write("/plan rename the shop")
        await screen.until(lambda: screen.session.tasks == ["rename the shop"])
        screen.session.plan_text = "1. rename it"
        await screen.write("/go")
        await screen.until(lambda: ("carry out", "1. rename it") in screen.session.chosen)
        assert screen.session.chosen[0] == ("mode", "plan")

    drive(telling(), act)


def test_model_effort_pins_and_compaction_reach_the_session() -> None:
    wanted = [("model", "gpt-6-luna"), ("effort", "high"), ("mode", "edit"), ("pin", "a.py"), ("drop", "b.py")]

    async def act(screen: Shown) -> None:
        await screen.until(lambda: bool(screen.sessions))
        await screen.write("/effort")
        await screen.sees("the effort is medium")
        for command in ("/model gpt-6-luna", "/effort high", "/edit", "/pin a.py", "/drop b.py", "/compact"):
            await screen.write(command)
            await screen.pilot.pause(0.02)
        await screen.until(lambda: screen.session.chosen == [*wanted, ("compact", "")])
        await screen.sees("gpt-6-luna")

    drive(telling(), act)


def test_files_are_pinned_and_dropped_from_the_context_panel() -> None:
    entries = (ContextEntry("a.py", "full", 10, ("declares `add`",)), ContextEntry("b.py", "name", 1))
    plan = ContextPlan(1_000, 11, entries, cold_usd=0.0055, cached_usd=0.00055)

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done · $0")
        screen.session.planned = plan
        await screen.press("f2", "tab", "down")
        shown = await screen.sees("$0.00500 cold, $0.00050 cached")
        assert "declares `add`" in shown and "1 file      10" in shown
        await screen.press("down", "p", "up", "d")
        await screen.until(lambda: screen.session.chosen == [("pin", "b.py"), ("drop", "a.py")])
        await screen.press("escape")
        assert screen.app.focused is screen.app.composer

    drive(telling(ContextPlanned(plan)), act)


def test_panels_tell_of_tests_agents_and_cost() -> None:
    usage = Usage("triager", "gpt-5.4-nano", 1, 900, 0, 0, 100, 0.0004, predicted_tokens=450)
    evidence = Evidence("failed", "t", (FAILING,), new_failures=("tests.test_tax.test_rounding",))
    card = TriageCard("rounding", ("tests.test_tax.test_rounding",), "change", locations=(("tax.py", 7),))
    script = telling(
        SubagentStarted("s", "triager", "gpt-5.4-nano", "2 failures"),
        SubagentFinished("s", "triager", True, usage),
        UsageRecorded(usage, 0.0004),
        TestStarted(UNITTEST, "draft"),
        TestOutput("FAILED\n"),
        TestFinished(FAILING, "draft"),
        EvidenceReady(evidence, (card,)),
    )

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done")
        for command, wanted in (
            ("test", "tests.test_tax.test_rounding"),
            ("agents", "2 failures"),
            ("cost", "450  50%"),
        ):
            await screen.write(f"/{command}")
            await screen.until(lambda w=wanted: w in screen.text.partition("│")[2] or w in screen.text, wanted)  # type: ignore[misc]
        assert "bubblewrap 9/9" in screen.text.split("\n")[-2]

    drive(script, act)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (Evidence(), "tests not run"),
        (Evidence("passed", "t", (TestReport(UNITTEST, "t", 0, 2, 2),), fixed=("a",)), "tests passed · 1 fixed"),
        (Evidence("passed", "t", (FAILING,), preexisting=("a", "b")), "no new failures · 2 fail as before"),
        (
            Evidence("failed", "t", (FAILING,), new_failures=("c",), preexisting=("a",)),
            "tests failed · 1 new failure · 1 fails as before",
        ),
    ],
)
def test_the_verdict_cannot_be_misread(evidence: Evidence, words: str) -> None:
    from coder.tui.blocks.results import evidence_words

    assert "".join(text for text, _ in evidence_words(evidence)) == words


# ── questions ──


def test_a_command_runs_only_after_a_yes_that_was_meant() -> None:
    async def asks(session: Scripted, task: str) -> None:
        await session.question(ApproveCommand((("rm", "-rf", "build"),), "pyproject.toml", "bubblewrap"))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("May this command run?")
        assert "○ waiting for your answer" in screen.text
        await screen.press("y", "enter")
        assert not screen.session.answers
        await screen.grace()
        await screen.press("y")
        await screen.until(lambda: screen.session.answers == [Approval("session")])
        assert "waiting for your answer" not in await screen.sees("done · $0")

    drive(asks, act)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["o"], Approval("once")),
        (["a"], Approval("always")),
        (["enter"], Approval("no")),
        (["right", "enter"], Approval("once")),
        (["escape"], Approval("no")),
        (["r", *"too slow", "enter"], Approval("no", "too slow")),
        (["r", *"x", "escape", "n"], Approval("no")),
    ],
)
def test_a_command_is_allowed_once_or_always_or_refused_with_a_reason(keys: list[str], answer: Approval) -> None:
    async def asks(session: Scripted, task: str) -> None:
        await session.question(ApproveCommand((("make", "test"),), "Makefile", "bubblewrap"))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("May this command run?")
        await screen.grace()
        await screen.press(*keys)
        await screen.until(lambda: screen.session.answers == [answer])

    drive(asks, act)


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("detected: pyproject.toml", "It was found by looking at pyproject.toml."),
        ("you typed it", "You typed it."),
        ("flag", "The command line names it."),
        ("configuration", "The configuration names it."),
    ],
)
def test_an_approval_says_who_named_the_command(origin: str, words: str) -> None:
    assert origin_words(origin) == words


def test_without_a_sandbox_a_command_is_allowed_once_only() -> None:
    async def asks(session: Scripted, task: str) -> None:
        await session.question(ApproveCommand((("make", "test"),), "Makefile", "none", "there is no sandbox"))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        text = await screen.sees("it can do whatever you can do")
        assert "Always" not in text and "This session" not in text
        await screen.grace()
        await screen.press("a", "y", "o")
        await screen.until(lambda: screen.session.answers == [Approval("once")])

    drive(asks, act)


def test_spending_is_refused_by_default() -> None:
    async def asks(session: Scripted, task: str) -> None:
        await session.question(ApproveSpending(2.5, 3.0))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        text = await screen.sees("Spend this much?")
        assert "$2.50" in text
        await screen.grace()
        await screen.press("enter")
        await screen.until(lambda: screen.session.answers == [False])

    drive(asks, act)


@pytest.mark.parametrize(("key", "remembered"), [("y", ["yes"]), ("enter", []), ("escape", [])])
def test_trust_is_asked_before_the_repository_is_opened(key: str, remembered: list[str]) -> None:
    told: list[str] = []
    question = TrustQuestion("/home/ada/shop", ["AGENTS.md: its text"], lambda: told.append("yes"))

    async def act(screen: Shown) -> None:
        await screen.sees("Do you trust this repository?")
        await screen.press("y")  # typed before anyone could read it
        assert not screen.sessions
        await screen.grace()
        await screen.press(key)
        await screen.until(lambda: len(screen.sessions) == 1)
        assert told == remembered

    drive(telling(), act, options=ScreenOptions(trust=question))


# ── taste and size ──


def test_keys_follow_the_configuration() -> None:
    options = ScreenOptions(keys={"app.help": "F3", "composer.send": "ctrl+y", "help.close": "!"})

    async def act(screen: Shown) -> None:
        text = await screen.sees("F3 help")
        assert "Ctrl+Y send" in text
        screen.send(*"one", "enter", *"two")
        await screen.press("ctrl+y")
        await screen.until(lambda: screen.sessions != [] and screen.session.tasks == ["one\ntwo"])
        await screen.press("f3")
        await screen.until(lambda: len(screen.app.screen_stack) == 2)
        await screen.press("escape", "!")
        await screen.until(lambda: len(screen.app.screen_stack) == 1)

    drive(telling(), act, options=options)


def test_the_keys_of_an_approval_and_of_other_questions_follow_the_configuration() -> None:
    keys = {"approve.session": "n", "approve.no": "y", "confirm.yes": "j"}
    answers = []

    async def script(session: Scripted, task: str) -> None:
        answers.append(await session.ask(ApproveCommand((("pytest",),), "detected", "namespaces")))
        answers.append(await session.ask(ApproveSpending(1.0, 2.0)))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        assert "No (y)" in await screen.sees("This session (n)")
        await screen.grace()
        await screen.press("n")
        await screen.sees("Spend (j)")
        await screen.grace()
        await screen.press("y", "j")
        await screen.until(lambda: answers == [Approval("session"), True])

    drive(script, act, options=ScreenOptions(keys=keys))


def test_the_keys_of_a_list_follow_the_configuration() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/theme")
        await screen.sees("F9 chooses")
        await screen.press("f8", "f9")
        await screen.until(lambda: screen.app.theme != "coder-dark" and len(screen.app.screen_stack) == 1)

    drive(telling(), act, options=ScreenOptions(keys={"picker.down": "f8", "picker.take": "f9"}))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"app.hlep": "f4"}, "there is no action app.hlep"),
        ({"review.accept": "x"}, "x is review.accept and review.reject"),
        ({"review.accept": "Ctrl+Q"}, "Ctrl+Q is review.accept and app.quit"),
        ({"approve.always": "o"}, "o is approve.once and approve.always"),
        ({"picker.take": "Esc"}, "Esc is picker.take and picker.leave"),
        ({"review.accept": "ctl+a"}, "review.accept names no key with ctl+a"),
        ({"review.accept": ""}, "review.accept names no key with nothing"),
        ({"composer.past": "r"}, "r is text where composer.past is used"),
        ({"composer.past": "/"}, "/ is text where composer.past is used"),
    ],
)
def test_a_key_that_cannot_be_is_refused_at_the_start(keys: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        CoderApp(opener(telling(), []), ScreenOptions(keys=keys))


def test_actions_may_exchange_their_keys_and_have_several() -> None:
    keys = {"review.accept": "x, F7", "review.reject": "a", "review.help": "?"}
    assert remapped(keys) == {"review.accept": "x,f7", "review.reject": "a", "review.help": "question_mark"}


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("done · $0")
        for strip in screen.app.screen._compositor.render_strips():
            for segment in strip:
                style = segment.style
                assert style is None or (style.color is None or style.color.is_default), segment
                assert style is None or (style.bgcolor is None or style.bgcolor.is_default), segment

    drive(telling(ReplyFinished("```python\nx = 1\n```\n**bold**")), act)


@pytest.mark.parametrize("size", [(80, 24), (40, 15)])
def test_a_small_screen_is_usable(size: tuple[int, int]) -> None:
    async def act(screen: Shown) -> None:
        await screen.write("0.05")
        text = await screen.sees("done · $0")
        assert len(text.split("\n")) == size[1]
        assert "gpt-5.4-mini" in text
        await screen.press("f2")
        await screen.sees("context  plan  tests")
        await screen.press("escape")
        await screen.sees("done · $0")

    drive(streaming, act, size=size, options=PLAIN)


def test_a_storm_of_resizes_breaks_nothing() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("1.5")
        for number in range(20):
            await screen.resize(1 + (number * 37) % 200, 1 + (number * 13) % 60)
        await screen.resize(100, 30)
        await screen.sees("done · $0")

    drive(streaming, act)


def test_the_end_is_followed_until_the_reader_scrolls_away() -> None:
    lines = "\n\n".join(f"paragraph {number}" for number in range(60))

    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("paragraph 59")
        await screen.press("pageup")
        await screen.until(lambda: "paragraph 59" not in screen.text)
        here = screen.text.split("\n")[0]
        screen.session.emit(Notice("something new"))
        await screen.pilot.pause(0.3)
        assert screen.text.split("\n")[0] == here
        await screen.press("ctrl+end")
        await screen.sees("something new")

    drive(telling(ReplyFinished(lines)), act)


def test_the_readme_names_every_key_and_command_of_the_screen() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    for key in ALL.values():
        assert f"`{key.id}` | {key.words} |" in readme
        assert all(f"`{name}`" in readme for name in shown(key.keys).split(", "))
    for command in COMMANDS:
        assert f"`/{command.name}{f' {command.usage}' if command.usage else ''}` | {command.summary} |" in readme
