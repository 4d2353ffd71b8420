"""What stands where in a long conversation: one prefix that holds, what later tasks need behind it, edits as diffs."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.config import ContextSettings, Settings
from coder.context.tokens import count_tokens
from coder.events import ContextPlanned, Notice
from coder.model.catalog import Prices
from coder.repo.repository import Repository
from coder.session.beside import Lengths, renewal_is_cheaper
from coder.session.briefing import Briefing
from coder.session.session import SessionOptions
from coder.store import find_places
from tests.context_kit import FILLER, PROJECT, project
from tests.conversation import UNTESTED, User, told
from tests.fake_openai import FakeOpenAI, free_text_call, text, tool_call
from tests.work import git

MINI = Prices(0.75, 0.075, 4.5)
MORE = {f"src/part_{letter}.py": f"def lower_{letter}():\n    return 1\n{FILLER}" for letter in "abcdef"}
RANKED = Settings(context=ContextSettings(budget=5_000, selector="off"))


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(project(tmp_path, {**PROJECT, **MORE}), RANKED)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """A script to fill, played by a server for as long as the test."""
    script: list[object] = []
    with FakeOpenAI(lambda body: script.pop(0)) as fake:
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        script_and_server = [script, fake]
        yield script_and_server


def edit(path: str, number: int) -> str:
    return f"*** Begin Patch\n*** Add File: {path}\n+value = {number}\n*** End Patch\n"


def test_twenty_steps_keep_their_prefix(user: User, serve):
    """At least 98 % of each request was sent before, but for what is new; and it was foreseen so."""
    script, server = serve
    for turn in range(4):
        read = {"files": [{"path": f"src/part_{'abcd'[turn]}.py", "first": 1, "last": 40}]}
        script += [
            tool_call("read_files", read),
            tool_call("search", {"query": "def lower", "regex": False, "paths": None}),
            free_text_call("apply_patch", edit(f"new_{turn}.py", turn)),
            tool_call("list_files", {"paths": ["src"]}),
            text("Done."),
        ]
    user.turns("one", "FileWatcher starts twice", "lower a part_f", "draw the screen twice", "watch words in the guide")
    assert server.refusals == [] and len(server.requests) == 20
    reused = [
        after.usage["cached_tokens"] / before.usage["input_tokens"]
        for before, after in zip(server.requests, server.requests[1:], strict=False)
    ]
    assert min(reused) >= 0.98
    with sqlite3.connect(find_places().state / "ledger.sqlite") as ledger:
        rows = ledger.execute("SELECT cached_tokens, predicted_tokens FROM calls ORDER BY id").fetchall()
    assert rows[0] == (0, 0) and all(abs(cached / predicted - 1) < 0.02 for cached, predicted in rows[1:])


def test_a_later_task_gets_its_files_beside_the_section(user: User, serve):
    script, server = serve
    script += [text("Fine.")] * 3
    user.turns("one", "FileWatcher starts twice", "lower_f in part_f", "lower_f in part_f again")
    first, second, third = (told(body) for body in server.bodies())
    assert '<file path="src/part_f.py"' not in first[0] and second[:2] == first
    assert '<file path="src/part_f.py">\ndef lower_f()' in second[2] and second[3].startswith("lower_f")
    assert third[: len(second)] == second and "part_f.py" not in "".join(third[len(second) : -1])


def test_what_was_put_beside_is_known_after_a_restart(user: User, serve):
    script, server = serve
    script += [text("Fine.")] * 3
    user.turns("one", "FileWatcher starts twice", "lower_f in part_f")
    user.turns("one", "lower_f in part_f again", resume=True)
    assert server.refusals == []
    assert "".join(told(server.bodies()[-1])).count('<file path="src/part_f.py">') == 1
    (*_, shown) = [event.plan for event in user.events if isinstance(event, ContextPlanned)]
    assert {entry.path: entry.mode for entry in shown.entries}["src/part_f.py"] == "full"


def test_a_pinned_file_comes_with_the_next_task(user: User, serve):
    script, server = serve
    script += [text("Fine.")] * 2

    async def work(session) -> None:
        await session.run("FileWatcher starts twice")
        session.pin("src/part_e.py")
        await session.run("go on")

    user.session("one", work)
    assert '<file path="src/part_e.py">' in told(server.bodies()[1])[2]


def test_what_is_dropped_leaves_the_conversation_with_the_next_task(user: User, serve):
    script, server = serve
    script += [text("Fine.")] * 3

    async def work(session) -> None:
        await session.run("FileWatcher starts twice")
        await session.run("lower_f in part_f")
        session.drop("src/watcher.py")
        session.drop("src/part_f.py")
        server.permit_rebuild()
        (user.root / "src/part_f.py").write_text("TOLD = 1\n")
        await session.run("go on")

    user.session("one", work)
    before, after = ("".join(told(body)) for body in server.bodies()[1:])
    for path in ("src/watcher.py", "src/part_f.py"):
        assert f'<file path="{path}">' in before and f'<file path="{path}"' not in after
    assert "TOLD" not in after and "FileWatcher starts twice" in after and server.refusals == []


def test_a_pinned_file_that_cannot_be_shown_in_full_is_told(user: User):
    async def work(session) -> None:
        (user.root / ".env").write_text("A=1\n")
        (user.root / "docs/guide.md").write_text("# Guide\n" + "words " * 6_000)
        for path in ("docs/guide.md", ".env", "src/render.py", "nosuch.py"):
            session.pin(path)
        await session.plan("draw")

    user.session("one", work)
    said = [event.text for event in user.events if isinstance(event, Notice) and "but" in event.text]
    assert said == [
        "docs/guide.md is pinned, but too large for the budget: it is shown as outline",
        ".env is pinned, but withheld: looks like a secret (by its name)",
        "nosuch.py is pinned, but there is no such file to show",
    ]


# ── made anew ────────────────────────────────────────────────────────────────────────────────────


def test_a_section_is_made_anew_once_the_cache_is_cold_and_that_costs_less(user: User, serve):
    script, server = serve
    script += [text("Fine.")] * 2
    user.turns("one", "FileWatcher starts twice")
    with sqlite3.connect(find_places().state / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE calls SET time = time - 7200")
    user.turns("one", "lower_f in part_f", resume=True)
    before, after = server.bodies()
    assert '<file path="src/part_f.py">' in told(after)[0] and told(after)[1] == told(before)[1]
    assert before["prompt_cache_key"] != after["prompt_cache_key"] and server.refusals == []


@pytest.mark.parametrize(
    ("cached", "beside", "renewed", "cheaper"),
    [
        (1.0, 8_000, 100_000, False),  # the cache holds: going on is nearly free
        (0.0, 0, 100_000, False),  # nothing is needed: the same again would be no gain
        (0.0, 8_000, 100_000, True),
        (0.0, 8_000, 108_000, False),
        (0.9, 8_000, 10_000, True),  # a section so much smaller is worth its price
    ],
)
def test_a_new_section_must_cost_less_than_going_on(cached: float, beside: int, renewed: int, cheaper: bool):
    lengths = Lengths(100_000, 20_000, beside, renewed)
    assert renewal_is_cheaper(lengths, MINI, cached=cached, steps=6) == cheaper


# ── project rules ────────────────────────────────────────────────────────────────────────────────

RULES = {
    "AGENTS.md": "Root rule.\n",
    "src/AGENTS.md": "Source rule.\n",
    "far/AGENTS.md": "Far rule.\n",
    "far/away.py": f"def fly():\n    return 1\n{FILLER * 4}",
}


def with_rules(tmp_path: Path, trusted: bool) -> User:
    options = SessionOptions(checks=UNTESTED.checks, trusted=trusted)
    return User(project(tmp_path, {**PROJECT, **RULES}), RANKED, options)


def test_rules_of_a_trusted_repository_have_their_own_place_by_folder(tmp_path: Path, serve):
    script, server = serve
    script += [text("Fine.")] * 2
    with_rules(tmp_path, trusted=True).turns("one", "FileWatcher starts twice", "fly far away")
    section, later = told(server.bodies()[1])[0], told(server.bodies()[1])[2]
    assert "<project_rules>\nRoot rule.\n</project_rules>" in section
    assert '<project_rules folder="src">\nSource rule.\n</project_rules>' in section
    assert '<project_rules folder="far">' not in section
    assert '<project_rules folder="far">\nFar rule.\n</project_rules>' in later and "Root rule" not in later


@pytest.mark.parametrize("budget", [3_000, 128_000])
def test_rules_are_part_of_the_plan_and_told_once(tmp_path: Path, budget: int):
    repository = Repository.open(with_rules(tmp_path, trusted=True).root, find_places(), "one")
    briefing = Briefing(repository, Settings(context=ContextSettings(budget=budget)), find_places(), trusted=True)
    snapshot = briefing.snapshot()
    plan, messages = briefing.open_turn(snapshot, "FileWatcher starts twice")
    assert plan.entries[0].path == "AGENTS.md" and plan.entries[0].reasons == ("project rules",)
    plan = briefing.make_plan(snapshot, "FileWatcher starts twice", exact=True)
    assert 0 <= plan.total_tokens - count_tokens(messages[0]) <= 3 and plan.total_tokens <= plan.budget == budget
    assert messages[0].count("Root rule.") == 1
    briefing.close()


def test_long_rules_with_hidden_characters_are_cut_spelled_out_and_part_of_the_budget(tmp_path: Path, serve):
    script, server = serve
    script.append(text("Fine."))
    user = with_rules(tmp_path, trusted=True)
    (user.root / "AGENTS.md").write_text("Be\u202e kind to those who read this.\n" * 1_000)
    user.turns("one", "FileWatcher starts twice")
    section = told(server.bodies()[0])[0]
    assert (
        "\nBe<U+202E> kind to those who read this.\n[coder: the rest of this file is left out]\n</project_rules>"
        in section
    )
    assert count_tokens(section) <= RANKED.context.budget


def test_rules_of_a_stranger_or_kept_back_by_the_user_are_never_told(tmp_path: Path, serve):
    script, server = serve
    script += [text("Fine.")] * 3
    with_rules(tmp_path / "a", trusted=False).turns("one", "FileWatcher starts twice")
    user = with_rules(tmp_path / "b", trusted=True)
    (user.root / ".coderignore").write_text("AGENTS.md\n")
    git(user.root, "add", "-A")
    user.turns("two", "FileWatcher starts twice")
    (user.root / ".coderignore").unlink()

    async def without_rules(session) -> None:
        session.drop("AGENTS.md")
        session.drop("src/AGENTS.md")
        await session.run("FileWatcher starts twice")

    user.session("three", without_rules)
    assert not any("<project_rules" in "".join(told(body)) for body in server.bodies())
    assert "rule." not in "".join(told(server.bodies()[1]))
