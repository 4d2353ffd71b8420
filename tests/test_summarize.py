"""`coder summarize`: price first, one payment for one content, whatever interrupts; nothing withheld leaves."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coder.context.summaries import Maker, SummaryStore
from coder.errors import Failed
from coder.store import find_places
from tests.conversation import User
from tests.fake_openai import (
    FakeOpenAI,
    rate_limited,
    refusal,
    status,
    structured,
    text,
    tool_call,
    unauthorized,
    unsupported,
)
from tests.inside import inside
from tests.terminal import Terminal
from tests.work import Ended, git, make_repository

FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "src/shop.py": "def sell(item):\n    return item.price\n",
    "src/cart.py": "class Cart:\n    pass\n",
    "vendor/lib.py": "x = 1\n",
    ".env": "TOKEN=canary-1234567890\n",
    "notes.md": "Be kind.\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", FILES)


def told_in(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The path and the content of each file of a request."""
    return re.findall(r"(?s)<data (?:\w+): file ([^\n]+)>\n(.*?)</data ", body["input"][0]["content"][0]["text"])


def paths_in(body: dict[str, Any]) -> list[str]:
    return [path for path, _ in told_in(body)]


def summary(path: str, content: str) -> dict[str, Any]:
    """What a good model says of a file: what it defines, or else its first words, and a name that it invents."""
    names = (re.findall(r"(?:def|class) (\w+)", content) or re.findall(r"\w+", content))[:6]
    return {"path": path, "purpose": f"About {path}.", "names": [*names, "invented"], "depends_on": [], "pitfalls": []}


def summarizing(body: dict[str, Any]):
    """What a good model answers."""
    return structured({"files": [summary(path, content) for path, content in told_in(body)]})


def summarize(root: Path, server: FakeOpenAI, *args: str, **options: Any) -> Ended:
    return inside(root, "summarize", *args, env=server.environ(), **options)


def sent(server: FakeOpenAI) -> list[str]:
    return sorted(path for body in server.bodies() for path in paths_in(body))


def test_the_price_comes_first_and_nothing_withheld_leaves(root: Path):
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server)
        assert server.refusals == []
    assert ended.code == 0, ended.err
    assert re.search(r"4 files in 1 call, [\d,]+ tokens: about \$0\.\d{4} and at most \$0\.\d{4}", ended.err)
    assert ended.err.index("about $") < ended.err.index("4 of 4 files")
    assert sent(server) == ["calc.py", "notes.md", "src/cart.py", "src/shop.py"]
    assert "canary" not in str(server.bodies()) and ended.out.startswith("4 files summarised; cost: $0.")


def test_what_has_a_summary_is_not_paid_for_again(root: Path):
    with FakeOpenAI(summarizing) as server:
        summarize(root, server)
        again = summarize(root, server)
        assert again.code == 0 and len(server.requests) == 1
        assert again.err == "nothing to summarise; 4 have a summary already\n"
        (root / "calc.py").write_text("def add(a, b):\n    return b + a\n")
        git(root, "mv", "notes.md", "words.md")
        summarize(root, server)
        assert paths_in(server.bodies()[-1]) == ["calc.py"]


def test_only_what_is_named_is_summarised(root: Path):
    with FakeOpenAI(summarizing) as server:
        summarize(root / "src", server, "cart.py", "../vendor")
        assert sent(server) == ["src/cart.py", "vendor/lib.py"]
        assert summarize(root, server, "/etc").code == summarize(root, server, "nosuch.py").code == 2


def test_a_file_of_any_name_gets_its_summary(tmp_path: Path):
    names = ["two\nlines.py", "not-utf8-\udcff.py", "spa ce.py", "\u202edib.py"]
    root = make_repository(tmp_path / "odd", {name: f"x = {place}\n" for place, name in enumerate(names)})
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server)
    assert ended.code == 0 and ended.out.startswith("4 files summarised"), ended.err


def test_bulk_work_asks_for_half_the_price_and_falls_back(root: Path):
    with FakeOpenAI([rate_limited(None), summarizing]) as server:
        ended = summarize(root, server)
    tiers = [body.get("service_tier") for body in server.bodies()]
    assert (ended.code, tiers) == (0, ["flex", None]), ended.err
    with FakeOpenAI([unsupported("service_tier"), summarizing]) as server:
        (root / "calc.py").write_text("changed = 1\n")
        assert summarize(root, server).code == 0


def test_a_high_price_is_asked_about(root: Path):
    with FakeOpenAI(summarizing) as server:
        asked = summarize(root, server, "--set", "limits.ask_above=0")
        assert asked.code == 2 and "--yes" in asked.err and server.requests == []
        assert summarize(root, server, "--set", "limits.ask_above=0", "--yes").code == 0


def test_without_a_key_it_says_so(root: Path):
    ended = inside(root, "summarize")
    assert ended.code == 2 and "OPENAI_API_KEY" in ended.err and "about $" in ended.err


def test_a_limit_on_money_holds_and_what_was_paid_for_is_kept(root: Path):
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server, "--max-cost", "0.000001")
    assert (ended.code, server.requests) == (5, []) and ended.out == "0 files summarised; cost: $0.0000\n"


def test_a_limit_on_time_holds(root: Path):
    with FakeOpenAI([lambda body: summarizing(body).late(60)]) as server:
        ended = summarize(root, server, "--timeout", "0.3")
    assert ended.code == 5 and "the time limit of 0.3 s was reached" in ended.err


def test_nothing_is_paid_for_that_cannot_be_kept(root: Path):
    (find_places().cache / "summaries.sqlite").mkdir(parents=True)
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server)
    assert (ended.code, server.requests) == (2, []) and "paid for and lost" in ended.err


def test_a_tier_that_an_account_has_not_is_left_out_whatever_the_words(root: Path):
    no = status(400, "Invalid service_tier argument", param="service_tier")
    with FakeOpenAI([no, summarizing]) as server:
        assert summarize(root, server).code == 0


def test_an_answer_that_is_none_is_asked_for_again_file_by_file(root: Path):
    def answer(body: dict[str, Any]):
        paths = paths_in(body)
        if len(paths) > 1:
            return text("I would rather not.")
        return refusal("no") if paths == ["calc.py"] else summarizing(body)

    with FakeOpenAI(answer) as server:
        ended = summarize(root, server)
    assert ended.code == 1 and ended.out.startswith("3 files summarised, 1 could not be")


def test_what_is_said_of_one_file_is_never_kept_for_another(root: Path, tmp_path: Path):
    def confused(body: dict[str, Any]):
        files = [summary(path, content) for path, content in told_in(body)]
        pairs = zip(files, [*files[1:], files[0]], strict=True)
        return structured({"files": [{**file, "path": other["path"]} for file, other in pairs]})

    with FakeOpenAI(confused) as server:
        ended = summarize(root, server, "--export", str(tmp_path / "kept"))
        assert len(server.requests) == 5  # all at once, then each alone
    assert ended.code == 0, ended.err
    kept = {row["oid"]: row["text"] for row in map(json.loads, (tmp_path / "kept").read_text().splitlines())}
    assert kept[git(root, "hash-object", "calc.py").strip()] == "About calc.py.\ndefines: add" and len(kept) == 4


def test_what_another_process_pays_for_meanwhile_is_not_paid_for_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("coder.session.summaries.PARALLEL", 1)
    for number in range(12):
        (root / f"f{number}.py").write_text(f"def f{number}():\n    return {number}\n")
    kept, store = tmp_path / "kept", find_places().cache / "summaries.sqlite"
    with FakeOpenAI(summarizing) as server:
        summarize(root, server, "--export", str(kept))
        assert len(server.requests) == 2
    store.unlink()

    def meanwhile(body: dict[str, Any]):
        with SummaryStore.open(find_places()) as other, kept.open("rb") as file:
            other.take_in(file, Maker("", ""))
        return summarizing(body)

    with FakeOpenAI(meanwhile) as server:
        ended = summarize(root, server)
        assert len(server.requests) == 1 and ended.out.startswith("16 files summarised")


def test_asking_again_costs_no_more_than_was_said(root: Path):
    """Here the first call costs what was said to be the most of all."""

    def dear(body: dict[str, Any]):
        return text("I would rather not.").using(input_tokens=1_000, output_tokens=6_000)

    with FakeOpenAI(dear) as server:
        ended = summarize(root, server)
        assert len(server.requests) == 1
    assert ended.code == 1 and ended.out.startswith("0 files summarised, 4 could not be")


def test_a_kill_loses_only_what_was_under_way(root: Path):
    for number in range(40):
        (root / f"f{number}.py").write_text(f"def f{number}():\n    return {number}\n")
    slow = [summarizing, summarizing, *[lambda body: summarizing(body).late(30)] * 20]
    with FakeOpenAI(slow) as server:
        running = subprocess.Popen(
            [sys.executable, "-m", "coder", "summarize"],
            cwd=root,
            env={**os.environ, **server.environ()},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert running.stderr is not None
        kept = 0
        while kept < 20:  # two of the four calls were answered
            found = re.match(rb"(\d+) of 44 files", running.stderr.readline())
            kept = int(found[1]) if found else kept
            assert running.poll() is None
        running.kill()
        running.wait()
        running.stderr.close()
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server)
        assert len(sent(server)) == 44 - kept and f"{kept} have a summary already" in ended.err


def test_what_is_under_way_when_the_work_ends_is_waited_for_and_kept(root: Path):
    for number in range(20):
        (root / f"f{number}.py").write_text(f"def f{number}():\n    return {number}\n")
    with FakeOpenAI([lambda body: summarizing(body).late(0.2), unauthorized()]) as server:
        ended = summarize(root, server)
    assert ended.code == 4 and ended.out.startswith("12 files summarised")


def test_threads_share_the_store():
    with SummaryStore.open(find_places()) as store, ThreadPoolExecutor(8) as threads:
        maker, oids = Maker("v", "m"), [f"{number:040x}" for number in range(400)]
        list(threads.map(lambda oid: store.keep({oid: "text"}, maker), oids))
        assert store.known(oids, maker).keys() == set(oids)


def test_what_a_full_disk_does_not_take_is_known_and_said_and_written_later(tmp_path: Path):
    maker, oids = Maker("v", "m"), [f"{number:040x}" for number in range(4)]
    with SummaryStore.open(find_places()) as store:
        store._database.execute("PRAGMA max_page_count = 2")
        store.keep({oids[0]: "short"}, maker)
        for oid in oids[1:3]:
            with pytest.raises(Failed, match=r"[12] summaries cannot be kept: database or disk is full"):
                store.keep({oid: "long " * 700}, maker)
        with (tmp_path / "f").open("wb") as file:
            assert store.export(oids, maker, file) == 3
        store._database.execute("PRAGMA max_page_count = 1000")
        store.keep({oids[3]: "short"}, maker)
    with SummaryStore.open(find_places()) as store:
        assert store.known(oids, maker).keys() == set(oids)


def test_a_terminal_shows_a_bar_that_fills(root: Path):
    with FakeOpenAI(summarizing) as server:
        environ = {**os.environ, **server.environ(), "TERM": "xterm-256color"}
        with Terminal([sys.executable, "-m", "coder", "summarize"], env=environ, cwd=str(root)) as terminal:
            terminal.wait_for("files summarised", 60)
            shown = terminal.raw.decode()
    assert f"\r[{'.' * 30}] 0 of 4 files" in shown and f"\r[{'#' * 30}] 4 of 4 files" in shown
    assert re.search(r"\r\x1b\[K[^\r\n]+\r\n\r\[", shown)  # what is said meanwhile stands above the bar


def test_an_interrupt_ends_it_with_its_code(root: Path):
    with FakeOpenAI([lambda body: summarizing(body).late(30)]) as server:
        running = subprocess.Popen(
            [sys.executable, "-m", "coder", "summarize"],
            cwd=root,
            env={**os.environ, **server.environ()},
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130


def test_summaries_travel_as_a_file(root: Path, tmp_path: Path):
    kept = tmp_path / "summaries.jsonl"
    with FakeOpenAI(summarizing) as server:
        summarize(root, server, "--export", str(kept))
    assert len(kept.read_text().splitlines()) == 4
    (find_places().cache / "summaries.sqlite").unlink()
    kept.write_bytes(kept.read_bytes() + b'{"oid": "x"}\n[1]\nnonsense\n')
    ended = inside(root, "summarize", "--import", str(kept))
    assert ended.code == 0 and "4 summaries taken in, 3 lines were none" in ended.err
    flags = ["--import", "-", "--export", "-", "calc.py"]
    piped = inside(root, "summarize", *flags, stdin=kept.read_text())
    assert [json.loads(line)["text"] for line in piped.out.splitlines()] == ["About calc.py.\ndefines: add"]
    other = inside(root, "summarize", *flags, "--set", "subagent_model=other", stdin=kept.read_text())
    assert "0 summaries taken in, 4 by another model or prompt, which are not used now, 3 lines were none" in other.err


def test_a_file_that_cannot_be_written_is_said_before_anything_is_paid_for(root: Path):
    with FakeOpenAI(summarizing) as server:
        ended = summarize(root, server, "--export", "no/such/folder")
    assert (ended.code, server.requests) == (2, []) and "cannot write no/such/folder" in ended.err


def test_what_is_taken_in_replaces_nothing(tmp_path: Path):
    maker, oid = Maker("v", "m"), "a" * 40
    (tmp_path / "f").write_text(json.dumps({"oid": oid, "version": "v", "model": "m", "text": "Trust me."}))
    with SummaryStore.open(find_places()) as store, (tmp_path / "f").open("rb") as file:
        store.keep({oid: "Mine."}, maker)
        assert store.take_in(file, maker).own == 1 and store.known([oid], maker) == {oid: "Mine."}


def test_what_is_taken_in_is_bounded_and_redacted(tmp_path: Path):
    maker, oid = Maker("v", "m"), "a" * 40
    rows = [
        {"oid": oid, "version": "v", "model": "m", "text": f"key AKIA{'A' * 16}\x1b[31m"},
        {"oid": "b" * 40, "version": "v", "model": "m", "text": "x" * 5_000},
        {"oid": "c" * 40, "version": "v", "model": "m", "text": ""},
        {"oid": "\ud800" * 40, "version": "v", "model": "m", "text": "of no blob"},
    ]
    (tmp_path / "f").write_text("".join(json.dumps(row) + "\n" for row in rows) + "y" * 50_000)
    with SummaryStore.open(find_places()) as store, (tmp_path / "f").open("rb") as file:
        taken = store.take_in(file, maker)
        assert taken.own == 1 and taken.refused >= 4 and taken.whole
        assert store.known([oid, "b" * 40], maker) == {oid: "key [redacted AWS key]\u241b[31m"}
        assert store.known([oid], Maker("other", "m")) == {}


def put_garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


def break_a_page(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def rename_a_column(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE summaries RENAME COLUMN model TO other")


@pytest.mark.parametrize("damage", [put_garbage, break_a_page, rename_a_column])
def test_the_store_is_private_and_a_damaged_one_is_set_aside(damage: Callable[[Path], None]):
    places = find_places()
    with SummaryStore.open(places) as store:
        store.keep({"a" * 40: "text"}, Maker("v", "m"))
    path = places.cache / "summaries.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600
    damage(path)
    with SummaryStore.open(places) as store:
        assert store.known(["a" * 40], Maker("v", "m")) == {}
        assert store.note.startswith(f"the summaries were damaged or of another version: they are now {path}.set-aside")


def test_the_main_model_gets_known_summaries_without_a_call(root: Path, monkeypatch: pytest.MonkeyPatch):
    ask = {"job": "summarize", "paths": ["calc.py"], "question": None}
    script = {
        "gpt-5.4-mini": [tool_call("delegate", ask), text("Fine."), tool_call("delegate", ask), text("Fine.")],
        "gpt-5.4-nano": [summarizing],
    }
    with FakeOpenAI(script) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        User(root).turns("one", "look")
        User(root).turns("two", "look again")
        outputs = [item["output"] for item in server.bodies()[-1]["input"] if item["type"].endswith("_output")]
    assert len(server.bodies("gpt-5.4-nano")) == 1
    assert "About calc.py." in outputs[0] and "defines: add" in outputs[0] and "invented" not in outputs[0]
