"""The commands of the screen that reach beyond the turn: sessions, plans, settings, and what happens beside it."""

import asyncio
from pathlib import Path

import pytest
from textual import events

from coder.config import load_config, user_layer
from coder.events import ApproveCommand, Ask, Emit, ReplyFinished, StepStarted, TextDelta, TurnFinished, TurnStarted
from coder.session.commands import SettingRow
from coder.session.record import write_records
from coder.session.recorded import RecordedTurn
from coder.store import Places, find_places
from coder.tui.app import CoderApp
from coder.tui.door import OpenSession, ScreenOptions
from coder.tui.lines import plain
from coder.tui.status import Activity
from tests.screen_kit import Shown, drive
from tests.scripted import Scripted, opener, streaming, telling

ROOT = "/home/ada/shop"


async def stuck(session: Scripted, task: str) -> None:
    """A turn that only an interrupt ends."""
    session.emit(StepStarted(1, 1_000))
    session.emit(TextDelta(f"thinking about {task}"))
    await asyncio.sleep(60)


async def planning(session: Scripted, task: str) -> None:
    session.plan_text = f"1. {task}\n2. test it"


def recorded(places: Places, *tasks: str) -> None:
    """A session with each of these tasks, the last one used last."""
    places.state.mkdir(parents=True, exist_ok=True)
    (places.state / "sessions").mkdir(exist_ok=True)
    for number, task in enumerate(tasks):
        head = {"kind": "session", "root": ROOT, "model": "gpt-5.4-mini", "time": 1_000.0 + number}
        write_records(places, f"s{number}", [head, {"kind": "task", "text": task, "time": 2_000.0 + number}])


def reopening(opened: list[str], sessions: list[Scripted]) -> ScreenOptions:
    """Options whose sessions tell which one was opened."""

    def reopen(id: str) -> OpenSession:
        async def open_session(emit: Emit, ask: Ask) -> Scripted:
            opened.append(id)
            session = Scripted(emit, ask, telling())
            session.id = id
            session.past = (TurnStarted(1, f"task of {id}"), ReplyFinished("Then."), TurnFinished("done", ""))
            sessions.append(session)
            return session

        return open_session

    return ScreenOptions(root=ROOT, branch="main", model="gpt-5.4-mini", places=find_places(), reopen=reopen)


def test_another_session_is_chosen_and_goes_on_in_place_of_this_one() -> None:
    recorded(find_places(), "paint the shop", "mend the till")
    opened: list[str] = []
    later: list[Scripted] = []

    async def act(screen: Shown) -> None:
        await screen.write("now")
        await screen.sees("done · $0")
        await screen.write("/sessions")
        text = await screen.sees("› 1970")
        assert text.index("mend the till") < text.index("paint the shop")
        await screen.press(*"paint", "enter")
        text = await screen.sees("task of s0")
        assert "▌ now" not in text and opened == ["s0"] and screen.session.closed
        await screen.write("again")
        await screen.until(lambda: later[0].tasks == ["again"])
        await screen.write("/resume s1")
        await screen.sees("task of s1")

    drive(telling(), act, options=reopening(opened, later))


def test_a_fork_goes_on_in_the_copy() -> None:
    recorded(find_places(), "paint the shop")
    opened: list[str] = []

    async def act(screen: Shown) -> None:
        await screen.until(lambda: screen.app.session is not None)
        screen.session.id = "s0"
        await screen.write("/fork")
        await screen.until(lambda: len(opened) == 1)
        assert opened != ["s0"] and len(list((find_places().state / "sessions").glob("*.jsonl"))) == 2

    drive(telling(), act, options=reopening(opened, []))


def test_a_running_turn_keeps_its_session() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("thinking about x")
        for command in ("/sessions", "/fork", "/rewind", "/compact"):
            await screen.write(command)
        await screen.sees("can be compacted once the turn is over")
        assert len(screen.app.screen_stack) == 1

    drive(stuck, act)


def test_a_rewind_shows_the_files_asks_and_tells_the_rest_anew() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("first")
        await screen.write("second")
        await screen.sees("▌ second")
        screen.session.turns = [RecordedTurn(1, "first", "done"), RecordedTurn(2, "second", "done")]
        screen.session.past = (TurnStarted(1, "first"), TurnFinished("done", ""))
        await screen.write("/rewind")
        await screen.sees("Back to before which turn?")
        await screen.press("enter")
        text = await screen.sees("Back to before turn 2?")
        assert "a.py: restore" in text
        await screen.press("y")
        await screen.until(lambda: ("rewind", "2") in screen.session.chosen and "▌ second" not in screen.text)
        assert "▌ first" in screen.text

    drive(telling(), act)


def test_a_session_is_exported_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded(find_places(), "paint the shop")

    async def act(screen: Shown) -> None:
        await screen.until(lambda: screen.app.session is not None)
        screen.session.id = "s0"
        await screen.write("/export shop.md")
        await screen.sees("was written to shop.md")
        await screen.write("/export shop.md")
        await screen.sees("shop.md is there already")
        await screen.write("/rename The shop")
        await screen.until(lambda: screen.session.chosen == [("title", "The shop")])

    drive(telling(), act, options=reopening([], []))
    assert "# Session s0" in (tmp_path / "shop.md").read_text()


# ── plans ──


def test_a_plan_opens_as_a_document_is_edited_and_carried_out() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/plan rename it")
        await screen.sees("nothing is edited until you carry it out")
        screen.send("ctrl+s")  # typed before anyone could read it
        await screen.grace()
        assert not [what for what, _ in screen.session.chosen if what == "carry out"]
        await screen.press("down", "end", *" twice", "ctrl+s")
        wanted = ("carry out", "1. rename it\n2. test it twice")
        await screen.until(lambda: wanted in screen.session.chosen)
        assert screen.session.plan_text == wanted[1]

    drive(planning, act)


def test_a_plan_goes_back_with_remarks_or_waits() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("/plan rename it")
        await screen.sees("nothing is edited until")
        await screen.grace()
        await screen.press(*"no: ", "ctrl+r")
        await screen.until(lambda: len(screen.session.tasks) == 2)
        assert screen.session.tasks[1].endswith("no: 1. rename it\n2. test it")
        await screen.sees("nothing is edited until")
        await screen.grace()
        await screen.press("escape")
        await screen.write("/go edit")
        await screen.sees("nothing is edited until")
        await screen.press("escape", "f2", "f2")
        assert "gpt-5.4-mini  plan mode" in await screen.sees("/go carries it out")

    drive(planning, act)


# ── beside the turn ──


def test_words_are_said_to_the_running_turn() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("Ctrl+S steer")
        await screen.press(*"in French", "ctrl+s")
        await screen.until(lambda: screen.session.chosen == [("steer", "in French")])
        screen.session.heard = ["too late"]
        await screen.press("escape")
        await screen.until(lambda: screen.session.tasks == ["x", "too late"])

    drive(stuck, act)


def test_a_side_question_is_answered_while_a_turn_runs() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("x")
        await screen.sees("thinking about x")
        await screen.write("/btw blue")
        text = await screen.sees("It is blue.")
        assert "by the way: blue" in text and screen.session.tasks == ["x"]

    drive(stuck, act)


def test_a_command_of_ones_own_shows_its_end() -> None:
    async def act(screen: Shown) -> None:
        await screen.until(lambda: screen.app.session is not None)
        await screen.write("!make test")
        text = await screen.sees("exit 0 · 0.1 s · bubblewrap 9/9")
        assert "$ make test" in text and "two" in text and screen.session.tasks == []

    drive(telling(), act)


def test_a_folded_paste_is_previewed_until_it_is_sent() -> None:
    pasted = "".join(f"line {number}\n" for number in range(40))

    async def act(screen: Shown) -> None:
        screen.app.post_message(events.Paste(pasted))
        text = await screen.sees("… 36 more lines …")
        assert "[pasted 40 lines #1]" in text
        assert "line 0" in text and "line 39" in text and "line 9\n" not in text
        await screen.press("ctrl+u")
        await screen.until(lambda: "more lines" not in screen.text)

    drive(telling(), act)


# ── taste and trust ──


def test_a_theme_is_tried_by_the_mark_and_kept_in_the_configuration() -> None:
    places = find_places()

    async def act(screen: Shown) -> None:
        await screen.write("/theme")
        await screen.sees("Colours")
        await screen.press("down")
        assert screen.app.theme == "coder-light"
        await screen.press("escape")
        assert screen.app.theme == "coder-dark" and not places.config_file.exists()
        await screen.write("/theme")
        await screen.press(*"light", "enter")
        await screen.until(places.config_file.exists)

    drive(telling(), act, options=ScreenOptions(places=places))
    layer = user_layer(places.config_file)
    assert layer is not None and load_config([layer]).settings.screen.theme == "coder-light"


def test_settings_are_listed_with_where_they_come_from() -> None:
    rows = [SettingRow("model", '"m"', "The model.", "default"), SettingRow("effort", '"low"', "How much.", "flag")]

    async def act(screen: Shown) -> None:
        await screen.write("/config effort")
        text = await screen.sees('effort = "low"')
        assert "[flag]" in text and "The model." not in text
        await screen.press("enter")
        await screen.sees("Set it in your configuration")

    drive(telling(), act, options=ScreenOptions(settings=lambda: rows))


def test_trust_is_told_and_taken_back(tmp_path: Path) -> None:
    from coder.repo.trust import TrustStore
    from tests.work import make_repository

    root, places = make_repository(tmp_path / "repo"), find_places()

    async def act(screen: Shown) -> None:
        for wanted, trusted in (("Trust this repository?", True), ("no longer?", False)):
            await screen.write("/trust")
            await screen.sees(wanted)
            await screen.press("y")
            await screen.until(lambda now=trusted: TrustStore(places).is_trusted(root) is now)  # type: ignore[misc]

    async def open_session(emit: Emit, ask: Ask) -> Scripted:
        return await opener(telling())(lambda event: None, ask)

    drive(telling(), act, options=ScreenOptions(root=str(root), places=places), open_session=open_session)


@pytest.mark.parametrize(("still", "seconds"), [(False, True), (True, False)])
def test_nothing_moves_by_itself_where_motion_is_reduced(still: bool, seconds: bool) -> None:
    now = [0.0]
    row = Activity(lambda: now[0], still=still)
    row._words, row._since = "waiting", 0.0
    now[0] = 7.0
    assert ("7.0 s" in plain(row.line(80))) is seconds


@pytest.mark.parametrize("size", [(80, 24), (40, 15)])
def test_every_question_fits_a_small_screen(size: tuple[int, int]) -> None:
    rows = [SettingRow(f"key{number}", "1", "What it means, at some length.", "default") for number in range(60)]

    async def asks(session: Scripted, task: str) -> None:
        if task == "ask":
            await session.question(ApproveCommand((("make", "test", "-j", "8"),), "Makefile", "bubblewrap 9/9"))
        else:
            session.plan_text = "\n".join(f"{number}. step" for number in range(40))

    async def act(screen: Shown) -> None:
        await screen.write("/config")
        await screen.sees("Enter chooses")
        assert "key0 = 1" in screen.text
        await screen.press("escape")
        await screen.write("ask")
        await screen.sees("No (n)")
        assert "make test -j 8" in screen.text and "No, because (r)" in screen.text
        await screen.grace()
        await screen.press("n")
        await screen.sees("done · $0")
        await screen.write("/plan it")
        await screen.sees("Ctrl+S carry it out")
        await screen.grace()
        await screen.press("escape")
        await screen.write("/undo")
        assert "a.py: restore" in await screen.sees("Keep (n)")

    drive(asks, act, size=size, options=ScreenOptions(settings=lambda: rows))


@pytest.mark.parametrize(("notify", "told"), [("off", 0), ("bell", 1), ("osc9", 1)])
def test_the_end_of_a_turn_is_told_to_who_looks_elsewhere(
    notify: str, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def act(screen: Shown) -> None:
        monkeypatch.setattr(CoderApp, "bell", lambda app: said.append("bell"))
        write = screen.app._driver.write  # type: ignore[union-attr]
        monkeypatch.setattr(
            screen.app._driver, "write", lambda data: said.append("osc9") if "\x1b]9;" in data else write(data)
        )
        await screen.write("0.3")
        screen.app.app_focus = False  # a key would mean that the terminal has the focus
        await screen.sees("done · $0")
        assert said == [notify] * told

    drive(streaming, act, options=ScreenOptions(notify=notify))
