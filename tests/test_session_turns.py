"""Beside an ordinary turn: a section that is too long, exclusions, planning, compaction, choices."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coder.config import ContextSettings, Settings
from coder.context.tokens import count_tokens
from coder.errors import ApiError, UserError
from coder.session.session import Session
from tests.conversation import User, told
from tests.fake_openai import FakeOpenAI, free_text_call, reasoning, text, too_long, tool_call
from tests.work import CALC, FIX, FIXED, make_repository

READ = {"files": [{"path": "calc.py", "first": None, "last": None}]}


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(make_repository(tmp_path / "repo"))


def serving(monkeypatch: pytest.MonkeyPatch, script: object) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(script) as fake:
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Starts a server that plays a script, for as long as the test."""
    running: list[Iterator[FakeOpenAI]] = []

    def start(script: object) -> FakeOpenAI:
        running.append(serving(monkeypatch, script))
        return next(running[-1])

    yield start
    for server in running:
        next(server, None)


def crowd(user: User) -> None:
    for number in range(40):
        (user.root / f"f{number}.py").write_text(f"def f{number}(value):\n    return value + {number}\n" * 40)


def test_a_first_request_that_is_too_long_goes_out_again_with_half_the_section(user: User, serve):
    crowd(user)
    server = serve([too_long(), text("Fine.")])
    (outcome,) = user.turns("one", "look")
    assert outcome.summary == "Fine."
    first, second = (len(told(body)[0]) for body in server.bodies())
    assert second < 0.65 * first and told(server.bodies()[1])[1:] == ["look"]
    assert any("too long for the server" in notice for notice in user.notices())


def test_a_section_is_halved_until_it_fits_but_not_for_ever(user: User, serve):
    crowd(user)
    server = serve([too_long()] * 3 + [text("Fine.")] + [too_long()] * 9)
    fine, ended = user.turns("one", "look", "again")
    sizes = [len(told(body)[0]) for body in server.bodies()]
    assert fine.summary == "Fine." and sizes[3] < sizes[2] < sizes[1] < sizes[0]
    assert isinstance(ended, ApiError) and len(server.requests) <= 4 + 5


def test_a_small_section_is_halved_too(user: User, serve):
    server = serve([too_long(), text("Fine.")])
    (outcome,) = user.turns("one", "look")
    assert outcome.summary == "Fine." and len(told(server.bodies()[1])[0]) < len(told(server.bodies()[0])[0])


def test_a_server_that_counts_more_is_never_sent_too_much(user: User, serve):
    """It counts a tenth more than we do, and takes no more than 30,000 tokens."""
    crowd(user)
    user.places.config.mkdir(parents=True, exist_ok=True)
    (user.places.config / "models.toml").write_text('[models."gpt-5.4-mini"]\nmax_input = 30_000\n')
    asked: list[int] = []

    def answer(body: dict[str, Any]):
        asked.append(int(1.1 * count_tokens(json.dumps(body, ensure_ascii=False).replace("\\n", "\n"))))
        if asked[-1] > 30_000:
            return too_long(asked[-1])
        if len(asked) == 25:
            return text("Fine.")
        read = {"files": [{"path": f"f{len(asked)}.py", "first": 1, "last": 80}]}
        return tool_call("read_files", read).using(input_tokens=asked[-1])

    user.settings = Settings(context=ContextSettings(budget=1_000_000, selector="off"))
    server = serve(answer)
    server.strict = False  # the conversation is compacted on the way
    (outcome,) = user.turns("one", "look at all of them")
    assert outcome.summary == "Fine." and 20_000 < max(asked) <= 30_000 and len(asked) == 25


def test_a_session_with_a_halved_section_goes_on(user: User, serve):
    crowd(user)
    server = serve([too_long(), text("Fine."), text("Still fine.")])
    user.turns("one", "look")
    user.turns("one", "again", resume=True)
    assert server.refusals == []
    assert told(server.bodies()[2])[:2] == told(server.bodies()[1])[:2]


def test_what_the_user_excludes_is_neither_shown_nor_read(user: User, serve):
    (user.root / ".coderignore").write_text("calc.py\n")
    later = "*** Begin Patch\n*** Add File: private/later.txt\n+canary\n*** End Patch\n"
    read_later = {"files": [{"path": "private/later.txt", "first": None, "last": None}]}
    server = serve(
        [
            tool_call("read_files", READ),
            free_text_call("apply_patch", later),
            tool_call("read_files", read_later),
            text("Done."),
        ]
    )
    user.settings = Settings(context=ContextSettings(exclude=("private/",)))
    user.turns("one", "look")
    outputs = [item["output"] for item in server.bodies()[-1]["input"] if item["type"].endswith("_output")]
    assert "excluded by .coderignore" in outputs[0] and CALC not in told(server.bodies()[0])[0]
    assert "excluded by you" in outputs[1] and outputs[2].startswith("error: ")


def test_an_exception_of_the_user_holds_for_the_tools_as_in_the_section(user: User, serve):
    (user.root / ".env.test").write_text("GREETING=hello\n")
    user.settings = Settings(context=ContextSettings(exclude=("!.env.test",)))
    server = serve([tool_call("read_files", {"files": [{"path": ".env.test", "first": 1, "last": 1}]}), text("Done.")])
    user.turns("one", "look")
    (output,) = [item["output"] for item in server.bodies()[-1]["input"] if item["type"].endswith("_output")]
    assert "GREETING=hello" in told(server.bodies()[0])[0] and "GREETING=hello" in output


# ── planning ─────────────────────────────────────────────────────────────────────────────────────


def test_planning_and_editing_share_their_prefix(user: User, serve):
    server = serve(
        [text("1. Turn the minus into a plus."), reasoning() + free_text_call("apply_patch", FIX), text("Done.")]
    )

    async def work(session: Session) -> None:
        session.set_mode("plan")
        await session.run("mend add")
        assert session.plan_text == "1. Turn the minus into a plus."
        await session.carry_out(session.plan_text + "\n2. No more.")
        assert session.mode == "edit"

    user.session("one", work)
    planned, edited = server.bodies()[0], server.bodies()[1]
    assert server.refusals == []
    assert planned["tool_choice"]["type"] == "allowed_tools" and "tool_choice" not in edited
    assert [planned[key] for key in ("instructions", "tools")] == [edited[key] for key in ("instructions", "tools")]
    assert told(edited)[-1].endswith("1. Turn the minus into a plus.\n2. No more.")
    assert (user.root / "calc.py").read_text() == FIXED


def test_nothing_is_edited_while_planning_whatever_the_model_does(user: User, serve):
    server = serve([free_text_call("apply_patch", FIX), tool_call("run_tests", {}), text(f"The plan:\n\n{FIX}")])

    async def work(session: Session) -> None:
        session.set_mode("plan")
        outcome = await session.run("mend add")
        assert (outcome.exit, session.draft_patch()[1]) == (0, b"")

    user.session("one", work)
    outputs = [item["output"] for item in server.bodies()[-1]["input"] if item["type"].endswith("_output")]
    assert all("there is no tool" in output for output in outputs)
    assert (user.root / "calc.py").read_text() == CALC


def test_a_plan_outlives_its_process(user: User, serve):
    serve([text("1. Turn it.")])

    async def plan(session: Session) -> None:
        session.set_mode("plan")
        await session.run("mend add")

    async def read(session: Session) -> str:
        return session.plan_text

    user.session("one", plan)
    assert user.session("one", read, resume=True) == "1. Turn it."


# ── compaction and choices ───────────────────────────────────────────────────────────────────────


def test_a_compaction_keeps_what_was_said_and_what_landed(user: User, serve):
    big = "word " * 4_000
    server = serve([free_text_call("apply_patch", FIX), text("Done."), text(big), text("Yes."), text("Right.")])

    async def work(session: Session) -> tuple[int, int]:
        for task in ("mend add", "explain", "really?"):
            await session.run(task)
        sizes = await session.compact()
        await session.run("and now?")
        return sizes

    before, after = user.session("one", work)
    body = server.bodies()[-1]
    assert after < before / 2 and server.refusals == [] and body["prompt_cache_key"] == "coder:one:1"
    said = told(body)
    assert [task for task in said if len(task) < 10] == ["mend add", "explain", "really?", "and now?"]
    assert any("+    return a + b" in text for text in said) and big not in str(body["input"])


def test_a_second_compaction_tells_the_edits_once(user: User, serve):
    script = [free_text_call("apply_patch", FIX), text("Done."), *(text("word " * 4_000) for _ in range(4))]
    server = serve(script)

    async def work(session: Session) -> None:
        await session.run("mend add")
        for task in ("one", "two", "three"):
            await session.run(task)
            await session.compact()
        await session.run("four")

    user.session("one", work)
    assert str(server.bodies()[-1]["input"]).count("+    return a + b") == 1


def test_there_may_be_nothing_to_compact(user: User, serve):
    serve([text("Fine.")])

    async def work(session: Session) -> None:
        await session.run("look")
        before, after = await session.compact()
        assert before == after

    user.session("one", work)
    assert "there are no older steps to leave out" in user.notices()


def test_model_and_effort_change_from_the_next_turn_on_and_it_is_said(user: User, serve):
    server = serve(lambda body: text("Fine."))

    async def work(session: Session) -> None:
        await session.run("look")
        session.set_model("gpt-5.4")
        session.set_effort("low")
        server.permit_rebuild()
        await session.run("again")
        with pytest.raises(UserError, match="no effort"):
            session.set_effort("heroic")
        session.set_model("my-own-model")

    user.session("one", work)
    sent = [(body["model"], body["reasoning"]["effort"]) for body in server.bodies()]
    assert sent == [("gpt-5.4-mini", "medium"), ("gpt-5.4", "low")]
    assert "the effort is now low (it was medium)" in user.notices()
    assert any("my-own-model is not in the catalog" in notice for notice in user.notices())


MOVE = """*** Begin Patch
*** Update File: calc.py
*** Move to: lib/sums.py
@@
-    return a - b
+    return a + b
*** End Patch
"""


def test_a_file_that_the_change_moves_keeps_its_mode(user: User, serve):
    (user.root / "calc.py").write_text(CALC + "# so long that git calls it a rename\n" * 9)
    (user.root / "calc.py").chmod(0o750)
    serve([free_text_call("apply_patch", MOVE), text("Moved.")])
    (outcome,) = user.turns("one", "move it")
    moved = user.root / "lib" / "sums.py"
    assert outcome.exit.status == "done" and not (user.root / "calc.py").exists()
    assert moved.read_text().startswith(FIXED) and moved.stat().st_mode & 0o777 == 0o750
