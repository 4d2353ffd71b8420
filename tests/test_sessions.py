"""Sessions outlive their process: resumed, forked, renamed, rewound, pruned; and nothing a kill tears is fatal."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.config import Settings
from coder.errors import Exit, UserError
from coder.events import (
    Applied,
    EvidenceReady,
    Notice,
    ProposalReady,
    ReplyFinished,
    Review,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    UsageRecorded,
)
from coder.session.checks import CheckOptions
from coder.session.housekeeping import prune, prune_daily
from coder.session.policy import accept_all
from coder.session.record import session_path
from coder.session.recorded import load_history
from coder.session.session import Session, SessionOptions
from coder.session.sessions import (
    delete_session,
    find_session,
    fork_session,
    list_sessions,
    newest_session,
    rename_session,
)
from coder.session.undecided import UNDECIDED
from coder.values import ReviewDecision
from tests.conversation import User, told
from tests.fake_openai import FakeOpenAI, free_text_call, reasoning, text
from tests.inside import inside
from tests.work import CALC, FIX, FIXED, UNITTEST, make_repository

FIXES = [reasoning() + free_text_call("apply_patch", FIX), text("add() now adds.")]
NEXT = "*** Begin Patch\n*** Update File: calc.py\n@@\n-    return a + b\n+    return b + a\n*** End Patch\n"


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(make_repository(tmp_path / "repo"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    """Plays FIXES, then "Noted." for ever."""

    def script():
        yield from FIXES
        while True:
            yield text("Noted.")

    with FakeOpenAI(script()) as fake:
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        yield fake
        assert fake.refusals == []


def test_a_resumed_session_goes_on_with_the_same_prefix_and_cache_key(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    user.turns("one", "and now?", resume=True)
    first, last = server.bodies()[1], server.bodies()[-1]
    assert last["input"][: len(first["input"])] == first["input"]
    assert first["prompt_cache_key"] == last["prompt_cache_key"] == "coder:one"
    assert told(last)[1:] == ["mend add", "and now?"]


def test_what_changed_meanwhile_is_told_as_a_difference(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    (user.root / "calc.py").write_text(FIXED + "\n\ndef sub(a, b):\n    return a - b\n")
    user.turns("one", "and now?", resume=True)
    *_, difference, task = told(server.bodies()[-1])
    assert "+def sub(a, b):" in difference and "-    return" not in difference and task == "and now?"


def test_a_section_whose_tree_is_gone_is_built_anew(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    for shadow in (user.places.state / "shadows").iterdir():
        shutil.rmtree(shadow)
    (user.root / "calc.py").write_text(FIXED + "# new\n")
    server.permit_rebuild()
    user.turns("one", "and now?", resume=True)
    section, *_, remark, task = told(server.bodies()[-1])
    assert "# new" in section and "made anew" in remark and task == "and now?"
    assert server.bodies()[-1]["prompt_cache_key"] == "coder:one:1"


def test_a_rejected_hunk_is_told_after_a_restart_too(user: User, server: FakeOpenAI):
    user.review = lambda question: ReviewDecision()
    user.turns("one", "mend add")
    user.turns("one", "why?", resume=True)
    *_, remark, difference, task = told(server.bodies()[-1])
    assert "calc.py: rejected whole" in remark and "-    return a + b" in difference and task == "why?"


def test_pins_model_and_effort_are_kept(user: User, server: FakeOpenAI):
    async def choose(session: Session) -> None:
        session.pin("calc.py")
        session.set_model("gpt-5.4")
        session.set_effort("high")

    user.turns("one", "mend add")
    user.session("one", choose, resume=True)
    assert "the model is now gpt-5.4 (it was gpt-5.4-mini)" in user.notices()
    user.turns("one", "and now?", resume=True)
    body = server.bodies()[-1]
    assert (body["model"], body["reasoning"]["effort"]) == ("gpt-5.4", "high")
    assert '"pinned": ["calc.py"]' in session_path(user.places, "one").read_text()


def test_a_model_named_since_then_wins_over_the_one_chosen_in_the_session(user: User, server: FakeOpenAI):
    async def choose(session: Session) -> None:
        session.set_model("gpt-5.4")

    user.turns("one", "mend add")
    user.session("one", choose, resume=True)
    user.settings = Settings(model="gpt-5.4-nano")
    user.turns("one", "and now?", resume=True)
    assert server.bodies()[-1]["model"] == "gpt-5.4-nano"
    assert "this session was with gpt-5.4; it goes on with gpt-5.4-nano" in user.notices()


def test_the_past_is_told_as_events(user: User, server: FakeOpenAI):
    user.options = SessionOptions(checks=CheckOptions(commands=(UNITTEST,)))
    user.turns("one", "mend add")
    kinds = (
        TurnStarted, ToolStarted, ToolFinished, ReplyFinished, EvidenceReady, ProposalReady, Applied, TurnFinished,
    )  # fmt: skip
    lived = [event for event in user.events if isinstance(event, kinds) and event != ReplyFinished("")]

    async def past(session: Session) -> list[object]:
        return list(session.replay())

    seen = user.session("one", past, resume=True)
    replayed = [event for event in seen if isinstance(event, kinds)]
    assert [type(event) for event in replayed] == [type(event) for event in lived]
    assert replayed[:3] == lived[:3] and replayed[-2:] == lived[-2:]
    before, after = (next(e for e in events if isinstance(e, ProposalReady)).proposal for events in (lived, replayed))
    assert (after.patch, after.files, after.evidence) == (before.patch, before.files, before.evidence)
    assert [event.text for event in seen if isinstance(event, ReplyFinished)] == ["add() now adds."]
    (spent,) = (event for event in seen if isinstance(event, UsageRecorded))
    assert (spent.usage.role, spent.usage.model, spent.usage.requests) == ("coder", "gpt-5.4-mini", 2)


def test_a_torn_tail_costs_only_the_torn_record(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    path = session_path(user.places, "one")
    whole = load_history(path)
    with path.open("ab") as file:
        file.write(b'{"kind": "items", "at": 2, "items": [{"ty')
    assert load_history(path) == whole
    user.turns("one", "and now?", resume=True)
    assert told(server.bodies()[-1])[-2:] == ["mend add", "and now?"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_turn_that_a_kill_ended_goes_on_from_its_last_whole_step(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    path = session_path(user.places, "one")
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if b'"kind": "items"' in line)
    path.write_bytes(b"".join(lines[:last]))  # the edit was answered; the reply after it never came
    (user.root / "calc.py").write_text(CALC)
    server.permit_rebuild()
    user.turns("one", "go on", resume=True)
    *_, difference, task = told(server.bodies()[-1])
    assert "-    return a + b" in difference and task == "go on"

    async def past(session: Session) -> list[object]:
        return [event for event in session.replay() if isinstance(event, TurnFinished)]

    assert [event.status for event in user.session("one", past, resume=True)] == ["interrupted", "unchanged"]


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_what_was_read_of_a_reply_is_there_after_its_end(how: str, user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coder.session.recorder.REPLY_S", 0.0 if how == "killed" else 60.0)

    async def broken_off(session: Session) -> None:
        turn = asyncio.create_task(session.run("explain add"))
        while not any(isinstance(event, TextDelta) for event in user.events):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.wait([turn])

    async def past(session: Session) -> list[object]:
        return list(session.replay())

    with FakeOpenAI([text("It adds two numbers, and more.").stall(6)]) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        user.session("one", broken_off)
    if how == "killed":
        path = session_path(user.places, "one")
        path.write_bytes(path.read_bytes().partition(b'{"kind": "outcome"')[0])
    read = "".join(event.text for event in user.events if isinstance(event, TextDelta))
    assert user.session("one", past, resume=True)[-3:-1] == [
        ReplyFinished(f"{read} […]"),
        TurnFinished("interrupted", ""),
    ]


def killed_in_review(user: User) -> None:
    """A session whose process ended while its proposal was looked at."""
    user.turns("one", "mend add")
    path = session_path(user.places, "one")
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if b'"kind": "proposal"' in line)
    path.write_bytes(b"".join(lines[: last + 1]))
    (user.root / "calc.py").write_text(CALC)


def test_a_proposal_whose_review_a_kill_ended_is_decided_about_later(user: User, server: FakeOpenAI):
    killed_in_review(user)
    (user.root / "other.txt").write_text("mine, and written since\n")
    asked: list[Review] = []
    user.review = lambda question: asked.append(question) or accept_all(question.proposal.files)

    async def decide(session: Session) -> None:
        assert UNDECIDED in [event.text for event in user.events if isinstance(event, Notice)]
        assert (await session.review()).exit is Exit.DONE
        with pytest.raises(UserError, match="no proposal to decide about"):
            await session.review()

    user.session("one", decide, resume=True)
    assert len(asked) == 1 and "changed while you reviewed" in asked[0].proposal.warnings[0]
    assert "return a + b" in (user.root / "calc.py").read_text() and (user.root / "other.txt").exists()

    async def past(session: Session) -> list[str]:
        return [type(event).__name__ for event in session.replay()][-4:-1]

    assert user.session("one", past, resume=True) == ["ProposalReady", "Applied", "TurnFinished"]


def test_one_process_at_a_time_continues_a_session(user: User, server: FakeOpenAI):
    async def again(session: Session) -> None:
        with pytest.raises(UserError, match="open in another"):
            await reopen()

    async def reopen() -> None:
        import asyncio

        await asyncio.to_thread(user.turns, "one", "me too", resume=True)

    user.turns("one", "mend add")
    user.session("one", again, resume=True)


def test_a_fork_has_the_history_and_leaves_the_old_session_as_it_is(user: User, server: FakeOpenAI):
    user.turns("one", "mend add", "and now?")
    before = session_path(user.places, "one").read_bytes()
    forked = fork_session(user.places, find_session(user.places, "one"))
    user.turns(forked, "another way", resume=True)
    assert told(server.bodies()[-1])[-2:] == ["and now?", "another way"]
    assert server.bodies()[-1]["prompt_cache_key"] == "coder:one"
    assert session_path(user.places, "one").read_bytes() == before
    assert find_session(user.places, forked).parent == "one"


def test_a_fork_may_begin_before_a_turn(user: User, server: FakeOpenAI):
    user.turns("one", "mend add", "and now?")
    forked = fork_session(user.places, find_session(user.places, "one"), turn=2)
    server.permit_rebuild()
    user.turns(forked, "another way", resume=True)
    assert told(server.bodies()[-1])[-2:] == ["mend add", "another way"]


def test_a_renamed_session_is_listed_by_its_name(user: User, server: FakeOpenAI):
    async def rename(session: Session) -> None:
        session.rename("the adder")

    user.turns("one", "mend add")
    user.session("one", rename, resume=True)
    assert find_session(user.places, "one").title == "the adder"
    rename_session(find_session(user.places, "one"), "adding")
    assert find_session(user.places, "o").title == "adding"


def test_the_session_that_was_used_last_is_the_newest(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    user.turns("two", "look")
    user.turns("one", "and now?", resume=True)
    assert newest_session(user.places, str(user.root)).id == "one"
    assert [info.id for info in list_sessions(user.places)] == ["one", "two"]
    with pytest.raises(UserError, match="no session"):
        newest_session(user.places, "/elsewhere")


def test_a_session_that_was_only_opened_leaves_no_record(user: User):
    user.turns("one")
    assert list_sessions(user.places) == []


# ── rewind ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def edited(user: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    """A session "one" with two turns that changed the same line."""

    def script():
        yield from FIXES
        yield from (free_text_call("apply_patch", NEXT), text("Turned round."))
        while True:
            yield text("Noted.")

    with FakeOpenAI(script()) as fake:
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        user.turns("one", "mend add", "turn it round")
        yield fake


def test_a_rewind_takes_conversation_and_files_back(user: User, edited: FakeOpenAI):
    async def rewind(session: Session) -> None:
        (item,) = await session.preview_rewind(1)
        assert (item.path, item.action, item.then) == ("calc.py", "restore", CALC.encode())
        made = await session.rewind(1)
        assert (len(made), session.turns, (user.root / "calc.py").read_text()) == (2, (), CALC)
        edited.permit_rebuild()
        await session.run("try again")

    user.session("one", rename_first(rewind), resume=True)
    assert told(edited.bodies()[-1])[1:] == ["try again"]
    info = find_session(user.places, "one")
    assert (info.turns, info.task, info.title) == (1, "try again", "kept")


def rename_first(work):
    async def both(session: Session) -> None:
        session.rename("kept")
        await work(session)

    return both


def test_a_rewind_to_the_second_turn_keeps_the_first(user: User, edited: FakeOpenAI):
    async def rewind(session: Session) -> None:
        await session.rewind(2)

    user.session("one", rewind, resume=True)
    assert (user.root / "calc.py").read_text() == FIXED
    edited.permit_rebuild()
    user.turns("one", "go on", resume=True)
    assert told(edited.bodies()[-1])[1:] == ["mend add", "go on"]


def test_a_rewind_of_the_conversation_alone_tells_the_model_what_the_files_are(user: User, edited: FakeOpenAI):
    async def rewind(session: Session) -> None:
        await session.rewind(2, files=False)
        edited.permit_rebuild()
        await session.run("go on")

    user.session("one", rewind, resume=True)
    assert "return b + a" in (user.root / "calc.py").read_text()
    *_, difference, task = told(edited.bodies()[-1])
    assert "+    return b + a" in difference and task == "go on"


def test_a_rewind_over_files_that_changed_since_changes_nothing(user: User, edited: FakeOpenAI):
    (user.root / "calc.py").write_text("mine\n")
    before = session_path(user.places, "one").read_bytes()

    async def rewind(session: Session) -> None:
        (item,) = await session.preview_rewind(1)
        assert item.blocked
        with pytest.raises(Exception, match="changed since"):
            await session.rewind(1)

    user.session("one", rewind, resume=True)
    assert (user.root / "calc.py").read_text() == "mine\n"
    assert session_path(user.places, "one").read_bytes() == before


def test_there_is_no_rewind_to_a_turn_that_never_was(user: User, edited: FakeOpenAI):
    async def rewind(session: Session) -> None:
        for turn in (0, 3):
            with pytest.raises(UserError, match="no turn"):
                await session.rewind(turn)

    user.session("one", rewind, resume=True)


# ── keeping house ────────────────────────────────────────────────────────────────────────────────


def test_what_is_older_than_the_retention_goes_once_a_day(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    user.turns("two", "look")
    logs = user.places.state / "logs" / "one"
    logs.mkdir(parents=True)
    (logs / "draft.log").write_text("")
    old = time.time() - 40 * 86_400
    for path in (logs / "draft.log", logs, session_path(user.places, "one")):
        os.utime(path, (old, old))
    assert prune_daily(user.places, 30) and not prune_daily(user.places, 30)
    assert [info.id for info in list_sessions(user.places)] == ["two"] and not logs.exists()


@pytest.mark.parametrize("days", [4_000, -4_000])
def test_a_clock_that_jumps_costs_no_session(user: User, days: int):
    kept, stamp = session_path(user.places, "one"), user.places.state / "pruned"
    kept.parent.mkdir(parents=True)
    for path, age in ((kept, 40), (stamp, days)):
        path.touch()
        os.utime(path, (time.time() - age * 86_400,) * 2)
    assert not prune_daily(user.places, 30) and kept.exists()
    assert abs(stamp.stat().st_mtime - time.time()) < 3_600


def test_a_session_that_is_open_is_neither_pruned_nor_deleted(user: User, server: FakeOpenAI):
    async def keep(session: Session) -> None:
        os.utime(session_path(user.places, "one"), (0, 0))
        prune(user.places, 30)
        with pytest.raises(UserError, match="open in another"):
            delete_session(user.places, find_session(user.places, "one"))

    user.turns("one", "mend add")
    user.session("one", keep, resume=True)
    delete_session(user.places, find_session(user.places, "one"))
    assert list_sessions(user.places) == []


def test_a_session_of_500_turns_is_resumed_in_a_second(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    path = session_path(user.places, "one")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    reply = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "word " * 400}]}
    at = len(load_history(path))
    with path.open("a") as file:
        for turn in range(2, 501):
            items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "more"}]}, reply]
            for record in ({"kind": "task", "text": "more"}, {"kind": "items", "at": at, "items": items}, records[-1]):
                file.write(json.dumps({**record, "time": 1.0 + turn}) + "\n")
            at += 2

    async def past(session: Session) -> int:
        return len(session.replay())

    begun = time.process_time()
    assert user.session("one", past, resume=True) > 1_500
    assert time.process_time() - begun < 2.0


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def test_the_command_lists_shows_exports_renames_forks_and_deletes(user: User, server: FakeOpenAI):
    user.turns("one", "mend add")
    root = user.root
    assert "mend add" in inside(root, "sessions").out
    assert inside(root, "sessions", "rename", "one", "the", "adder").code == 0
    exported = inside(root, "sessions", "export", "o")
    assert exported.out.startswith("# the adder\n") and "add() now adds." in exported.out
    shown = inside(root, "sessions", "show", "one", "--output", "json").result
    assert (shown["title"], shown["turns"], shown["history"]) == (
        "the adder",
        1,
        load_history(session_path(user.places, "one")),
    )
    forked = inside(root, "sessions", "fork", "one").out.strip()
    before = inside(root, "sessions", "fork", "one", "--before", "1").out.strip()
    infos = {info["id"]: info for info in inside(root, "sessions", "--output", "json").result}
    assert (infos[forked]["parent"], infos[forked]["turns"], infos[before]["turns"]) == ("one", 1, 0)
    assert inside(root, "sessions", "delete", "one").code == 0
    assert {info.id for info in list_sessions(user.places)} == {forked, before}


@pytest.mark.parametrize("args", ["show", "rename", "fork one --before 9", "list one", "show one two", "delete nosuch"])
def test_the_command_says_what_is_wrong(user: User, server: FakeOpenAI, args: str):
    user.turns("one", "mend add")
    ended = inside(user.root, "sessions", *args.split())
    assert ended.code == 2 and ended.err.startswith("coder: ")


@pytest.mark.parametrize(
    "args", ["--continue run x", "--plain --continue --resume one", "--resume= --plain", "--plain ask x"]
)
def test_going_on_is_for_the_faces_with_a_person(tmp_path: Path, args: str):
    assert inside(make_repository(tmp_path / "repo"), *args.split()).code == 2
