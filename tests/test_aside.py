"""Beside the turns of a session: side questions, commands of the user's own, words to a running turn, edited plans."""

import asyncio
import json
from pathlib import Path

import pytest

from coder.config import Settings, load_config, user_layer
from coder.config.keep import keep_setting
from coder.errors import UserError
from coder.events import Answer, ApproveCommand, Notice, Question, ReplyFinished
from coder.repo.discover import discover
from coder.session.aside import CommandEnd
from coder.session.export import export_session
from coder.session.names import Names
from coder.session.session import Session
from coder.store import Places
from coder.values import Approval
from tests.conversation import User, told
from tests.fake_openai import FakeOpenAI, text, tool_call
from tests.work import make_repository

READ = {"files": [{"path": "calc.py", "first": None, "last": None}]}


class Asked(User):
    """Answers every command with `approval`."""

    approval = Approval("session")

    async def _ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.approval if isinstance(question, ApproveCommand) else True

    def __init__(self, root: Path, server: FakeOpenAI) -> None:
        super().__init__(root, Settings(base_url=server.base_url, api_key_env=""))
        self.asked: list[Question] = []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {"calc.py": "def add(a, b):\n    return a - b\n"})


def test_a_side_question_is_answered_from_the_conversation_and_leaves_it_as_it_was(root: Path) -> None:
    heard: list[str] = []

    async def work(session: Session) -> str:
        await session.run("look")
        answer = await session.ask_aside("is it red?", heard.append)
        await session.run("go on")
        return answer

    with FakeOpenAI([text("Looked."), text("It is red."), text("Went on.")]) as server:
        assert Asked(root, server).session("one", work) == "It is red."
        first, aside, last = server.bodies()
        assert aside["tool_choice"] == "none" and "is it red?" in told(aside)[-1]
        assert aside["input"][: len(first["input"])] == first["input"] and aside["tools"] == first["tools"]
        assert "is it red?" not in json.dumps(last) and "It is red." not in json.dumps(last)
        assert not server.refusals
    assert "".join(heard) == "It is red."


def test_a_side_question_needs_something_to_be_about(root: Path) -> None:
    with FakeOpenAI([]) as server, pytest.raises(UserError, match="nothing was said yet"):
        Asked(root, server).session("one", lambda session: session.ask_aside("why?", print))


def test_a_command_of_ones_own_runs_in_the_sandbox_and_is_told_to_the_model(root: Path) -> None:
    shown: list[str] = []

    async def work(session: Session) -> CommandEnd:
        end = await session.command("cat calc.py | head -1; echo spoiled > calc.py; exit 3", shown.append)
        await session.command("true", shown.append)
        await session.command("true", shown.append)
        await session.run("mend it")
        return end

    with FakeOpenAI([text("Mended.")]) as server:
        user = Asked(root, server)
        end = user.session("one", work)
        assert (end.exit_code, end.output) == (3, "def add(a, b):\n") and end.sandbox
        assert "def add(a, b):" in "".join(shown)
        assert "return a - b" in (root / "calc.py").read_text()
        assert len(user.asked) == 2, "what is allowed for the session is not asked again"
        *_, remark, again, _, task = told(server.bodies()[0])
        assert "exit code 3" in remark and "def add" in remark and "exit code 0" in again and task == "mend it"


def test_a_command_that_is_refused_does_not_run(root: Path) -> None:
    with FakeOpenAI([]) as server:
        user = Asked(root, server)
        user.approval = Approval("no")
        with pytest.raises(UserError, match="was not run"):
            user.session("one", lambda session: session.command("touch here", print))


def test_what_a_command_said_is_still_told_after_a_restart(root: Path) -> None:
    with FakeOpenAI([text("Looked."), text("Yes.")]) as server:
        user = Asked(root, server)

        async def first(session: Session) -> None:
            await session.run("look")
            await session.command("echo forty-two", lambda said: None)

        user.session("one", first)
        user.turns("one", "what was it?", resume=True)
        assert any("forty-two" in words for words in told(server.bodies()[-1]))


def test_words_to_a_running_turn_are_heard_after_its_step(root: Path) -> None:
    async def work(session: Session) -> tuple[str, ...]:
        turn = asyncio.create_task(session.run("say hello"))
        session.steer("in French, please")
        await turn
        return session.unheard()

    with FakeOpenAI([tool_call("read_files", READ), text("Bonjour.")]) as server:
        assert Asked(root, server).session("one", work) == ()
        second = told(server.bodies()[1])
        assert second[-1].endswith("in French, please") and len(server.bodies()) == 2
        assert not server.refusals


def test_words_that_come_too_late_are_not_lost(root: Path) -> None:
    async def work(session: Session) -> tuple[str, ...]:
        await session.run("say hello")
        session.steer("in French")
        return session.unheard()

    with FakeOpenAI([text("Hello.")]) as server:
        user = Asked(root, server)
        assert user.session("one", work) == ("in French",)
    assert any(isinstance(event, Notice) and "in French" in event.text for event in user.events)


def test_a_plan_as_it_was_edited_outlives_the_process(root: Path) -> None:
    async def plan(session: Session) -> None:
        session.set_mode("plan")
        await session.run("rename add")
        session.keep_plan("1. Rename it to plus.")

    async def carry_out(session: Session) -> None:
        await session.carry_out(session.plan_text)

    with FakeOpenAI([text("1. Rename it."), text("Renamed.")]) as server:
        user = Asked(root, server)
        user.session("one", plan)
        user.session("one", carry_out, resume=True)
        assert "1. Rename it to plus." in told(server.bodies()[-1])[-1]


def test_a_rewind_shows_only_what_is_left(root: Path) -> None:
    async def work(session: Session) -> list[str]:
        await session.run("one")
        await session.run("two")
        await session.rewind(2)
        return [event.text for event in session.replay() if isinstance(event, ReplyFinished)]

    with FakeOpenAI([text("First."), text("Second.")]) as server:
        assert Asked(root, server).session("one", work) == ["First."]


def test_a_compaction_keeps_rules_plan_and_edits_word_for_word(root: Path) -> None:
    async def work(session: Session) -> None:
        await session.run("look at it")
        await session.carry_out("1. Keep add as it is.")
        await session.compact()
        await session.run("go on")

    long = "word " * 4_000
    with FakeOpenAI([text(long), text("Kept."), text("Done.")]) as server:
        Asked(root, server).session("one", work)
        section, *_, last = told(server.bodies()[-1])
        assert "return a - b" in section and last == "go on"
        assert any("1. Keep add as it is." in words for words in told(server.bodies()[-1]))
        assert long not in json.dumps(server.bodies()[-1])


@pytest.mark.parametrize(("name", "holds"), [("out.md", "# Session one"), ("out.json", '"id": "one"')])
def test_a_session_is_written_out_once(root: Path, tmp_path: Path, name: str, holds: str) -> None:
    with FakeOpenAI([text("Hello.")]) as server:
        user = Asked(root, server)
        user.turns("one", "greet")
    export_session(user.places, "one", str(tmp_path / name))
    assert holds in (tmp_path / name).read_text() and "Hello." in (tmp_path / name).read_text()
    with pytest.raises(UserError, match="is there already"):
        export_session(user.places, "one", str(tmp_path / name))


def test_files_and_declarations_are_found_by_a_part_of_their_name(root: Path) -> None:
    (root / "new file.py").write_text("def fresh():\n    return 1\n")

    async def work(session: Session) -> tuple[tuple[str, ...], list[tuple[str, str, int]]]:
        await session.run("look")
        found = await asyncio.to_thread(session.names.symbols, "ad", 5)
        return await asyncio.to_thread(session.names.paths), [(each.name, each.path, each.line) for each in found]

    with FakeOpenAI([text("Looked.")]) as server:
        paths, found = Asked(root, server).session("one", work)
    assert paths == ("calc.py", "new file.py")
    assert found == [("add", "calc.py", 1)]


def test_tracked_files_are_named_before_the_working_tree_was_read(tmp_path: Path, root: Path) -> None:
    (root / "new file.py").write_text("def fresh():\n    return 1\n")
    places = Places(*(tmp_path / name for name in ("config", "state", "cache")))
    names = Names(discover(root), places, "one")
    assert names.tracked() == ("calc.py",)
    assert names.paths() == ("calc.py", "new file.py")
    assert names.tracked() == ()


def test_a_setting_is_kept_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "coder" / "config.toml"
    keep_setting(path, "screen.theme", "nord")
    path.write_text("# mine\nmodel = 'gpt-5.4-nano' # cheap\n\n[screen]\nnotify = 'bell'\n")
    keep_setting(path, "screen.theme", "coder-light")
    assert path.read_text() == (
        "# mine\nmodel = 'gpt-5.4-nano' # cheap\n\n[screen]\nnotify = 'bell'\ntheme = \"coder-light\"\n"
    )
    layer = user_layer(path)
    assert layer is not None and load_config([layer]).settings.screen.theme == "coder-light"
    path.write_text("nonsense = 1\n")
    with pytest.raises(UserError):
        keep_setting(path, "screen.theme", "nord")
    assert path.read_text() == "nonsense = 1\n"
