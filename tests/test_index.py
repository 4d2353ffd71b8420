"""The index and its worker processes: what is read anew, what is lost with a worker, and that none outlives coder."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from coder.config import ContextSettings, Settings
from coder.context.behind import Behind
from coder.context.facts import facts_key
from coder.context.index import Index
from coder.context.plan import make_plan
from coder.context.pool import Job, Pool
from coder.context.tree import load_tree
from coder.context.withheld import NO_RULES
from coder.repo.repository import Repository
from coder.session.briefing import Briefing
from coder.store import Places
from coder.values import ContextPlan
from tests.context_kit import plan_of, project
from tests.desk import places_in


def facts_of(root: Path, *, read: bool = True) -> tuple[int, int]:
    """How many files the index reads anew (if it is to), and how many it knows in the end."""
    totals: list[int] = []
    with (
        Repository.open(root, places_in(root.parent), "test") as repository,
        Index.open(places_in(root.parent)) as index,
    ):
        files = repository.snapshot().files
        if read:
            index.update(repository, files, lambda done, total: totals.append(total))
        keys = [facts_key(file.oid, file.path) for file in files]
        return (totals[0] if totals else 0), len(dict(index.facts(keys)))


def test_the_index_reads_only_what_changed(tmp_path: Path):
    root = project(tmp_path)
    assert facts_of(root) == (5, 5)
    (root / "src" / "render.py").write_text("def draw():\n    pass\n")
    assert facts_of(root) == (1, 5)
    assert facts_of(root) == (0, 5)


@pytest.mark.parametrize("damage", [b"garbage" * 1_000, b"", "foreign"])
def test_a_damaged_or_foreign_index_is_set_aside_and_built_again(tmp_path: Path, damage: bytes | str):
    root = project(tmp_path)
    facts_of(root)
    path = tmp_path / "cache" / "context.sqlite"
    for file in path.parent.glob("context.sqlite*"):
        file.unlink()
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE theirs (x)")
    assert facts_of(root) == (5, 5)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE facts SET counts = x'00'",
        "UPDATE symbols SET symbols = CAST(x'ff' AS TEXT)",
        "UPDATE tokens SET tokens = 1",
        "UPDATE history SET commits = '{}'",
        "DROP TABLE tokens",
        "",
    ],
)
def test_an_index_damaged_within_is_set_aside_built_again_and_told(tmp_path: Path, damage: str):
    root = project(tmp_path)
    first = plan_of(root, "draw", 2_000)
    path = tmp_path / "cache" / "context.sqlite"
    if damage:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(damage)
    else:
        with path.open("r+b") as file:  # behind the head that is looked at when it is opened
            file.seek(4_096)
            file.write(b"\xff" * (path.stat().st_size - 4_096))
    plan = plan_of(root, "draw", 2_000)
    assert plan.notes == (f"the index was damaged or of another version: it is now {path}.set-aside, and built anew",)
    assert (first.notes, plan.entries) == ((), first.entries)


def test_without_a_writable_cache_the_index_lives_in_memory(tmp_path: Path):
    root = project(tmp_path)
    (tmp_path / "file").write_text("in the way")
    places = places_in(tmp_path)
    nowhere = Places(places.config, places.state, tmp_path / "file" / "cache")
    with Repository.open(root, places, "test") as repository, Index.open(nowhere) as index:
        assert index.update(repository, repository.snapshot().files) == []


def test_an_index_that_another_process_writes_is_left_as_it_is(tmp_path: Path):
    places = places_in(tmp_path)
    with Index.open(places) as index:
        other = sqlite3.connect(places.cache / "context.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        index._database.execute("PRAGMA busy_timeout=1")
        index.keep_tokens({"a": 1})
        other.execute("ROLLBACK")
        other.close()
        assert index.tokens(["a"]) == {}
        index.keep_tokens({"a": 1})
        assert index.tokens(["a"]) == {"a": 1}


def test_a_plan_is_the_same_while_the_index_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = project(tmp_path)
    first = plan_of(root, "draw", 2_000)
    path = tmp_path / "cache" / "context.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript("DELETE FROM facts; DELETE FROM symbols; BEGIN IMMEDIATE")
        monkeypatch.setattr("coder.store.BUSY_SECONDS", 0.05)
        plan = plan_of(root, "draw", 2_000)
    assert (plan.entries, plan.notes) == (first.entries, (f"the index is not kept: {path} cannot be written",))


# ── behind a session ─────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def planning(root: Path) -> Iterator[tuple[Callable[[], ContextPlan], Behind]]:
    """A way to make plans without patience, and what reads behind them."""
    places = places_in(root.parent)
    with Repository.open(root, places, "test") as repository:
        behind = Behind(repository.shadow.place, places)
        plan = partial(make_plan, repository, repository.snapshot(), "draw", ContextSettings(budget=2_000), places)
        yield partial(plan, patience=0.0, behind=behind), behind
        behind.end()


def test_a_large_index_is_read_behind_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coder.context.index.GLANCE_SECONDS", 0.0)
    with planning(project(tmp_path)) as (plan, behind):
        first = plan()
        assert (first.unread, first.files) == (4, 5)
        wait_until(lambda: not behind.works)
        assert plan().unread == 0


def test_the_files_that_the_task_names_are_read_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coder.context.index.GLANCE_SECONDS", 0.0)
    root = project(tmp_path)
    places = places_in(tmp_path)
    with Repository.open(root, places, "test") as repository, Index.open(places) as index:
        files = repository.snapshot().files
        corpus = load_tree(repository, files, NO_RULES, index, patience=0.0, task="what does render draw?")
    assert [document.path for document in corpus.documents if document.lines] == ["src/render.py"]


def test_the_past_of_a_large_repository_is_read_while_its_first_snapshot_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("coder.session.briefing.LARGE_INDEX", 0)
    places = places_in(tmp_path)
    with Repository.open(project(tmp_path), places, "test") as repository:
        assert Briefing(repository, Settings(), places, trusted=False).snapshot() == repository.snapshot()
        with Index.open(places) as index:
            assert "src/watcher.py" in (index.history(repository.location.head) or "")


def test_of_a_giant_tree_the_files_are_ranked_whose_names_or_words_the_task_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, most in (("MOST_RANKED", 2), ("MOST_HELD", 1), ("MOST_NAMED", 1)):
        monkeypatch.setattr(f"coder.context.tree.{name}", most)
    files = {f"a{number}.py": b"x = %d\n" % number for number in range(6)}
    root = project(tmp_path, {**files, "b/anchor.py": b"y = 1\n", "c/ship.py": b"def lower_the_mast():\n    pass\n"})
    places = places_in(tmp_path)
    with Repository.open(root, places, "test") as repository, Index.open(places) as index:
        corpus = load_tree(repository, repository.snapshot().files, NO_RULES, index, task="anchor the mast")
    assert [document.path for document in corpus.documents] == ["b/anchor.py", "c/ship.py"]


BUILDING = """
import sys, time
from pathlib import Path
from tests.test_index import planning
with planning(Path(sys.argv[1])) as (plan, behind):
    plan()
    print(behind._process.pid, flush=True)
    time.sleep(600)
"""


def test_nothing_reads_on_behind_a_coder_that_is_killed(tmp_path: Path):
    text = b"".join(b"def f%d():\n    pass\n" % number for number in range(9_000))
    root = project(tmp_path, {f"src/f{number}.py": text + b"# %d\n" % number for number in range(30)})
    script = [sys.executable, "-c", BUILDING, str(root)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as coder:
        assert coder.stdout is not None
        process = int(coder.stdout.readline())
        coder.kill()
    wait_until(lambda: not lives(process))
    assert 0 < facts_of(root, read=False)[1] < 30


# ── workers ──────────────────────────────────────────────────────────────────────────────────────

JOBS = [Job(str(number), f"f{number}.py", b"def f():\n    pass\n") for number in range(40)]


def test_a_worker_that_dies_costs_one_file_its_grammar():
    with Pool(1) as pool:
        answers = pool.read(JOBS)
        read = [next(answers)]
        os.kill(pids(pool)[0], signal.SIGKILL)
        read += answers
        left = pids(pool)
    assert {job.key for job, _ in read} == {job.key for job in JOBS}
    assert {tuple(symbol.name for symbol in facts.outline()) for _, facts in read} == {("f",)}
    assert sum(job.plain for job, _ in read) <= 1  # none, if all had been read by then
    assert not any(map(lives, left))


def test_a_worker_that_hangs_is_replaced():
    with Pool(1, seconds=5) as pool:
        answers = pool.read(JOBS)
        read = [next(answers)]
        (stopped,) = pids(pool)
        os.kill(stopped, signal.SIGSTOP)
        read += answers
    assert {job.key for job, _ in read} == {job.key for job in JOBS}
    assert not lives(stopped)


def test_a_file_that_no_worker_survives_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with Pool(1) as pool:
        ((job, facts),) = pool.read(JOBS[:1])
    assert (job.plain, facts.why) == (True, "could not be read by the indexer")


HOSTILE = {"deep.js": b"[" * 9_000, "open.vue": (b"<!--" * 50 + b"\n") * 1_000, "open.kt": (b"/*" * 99 + b"\n") * 1_000}


def test_hostile_files_are_read_within_bounds():
    jobs = [Job(path, path, content) for path, content in HOSTILE.items()]
    with Pool(1) as pool:
        read = {job.path: (job.plain, facts.why) for job, facts in pool.read(jobs)}
    assert read == {"deep.js": (False, "minified"), "open.vue": (False, ""), "open.kt": (False, "")}


ENDLESS = """
from coder.context.pool import Job, Pool
with Pool(100_000_000) as pool:
    for _ in pool.read(Job(str(n), "a.py", b"def f():\\n    pass\\n" * 2_000) for n in range(300)):
        print(*(worker._process.pid for worker in pool._workers), flush=True)
"""


def test_no_worker_outlives_a_coder_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as coder:
        assert coder.stdout is not None
        workers = [int(pid) for pid in coder.stdout.readline().split()]
        coder.kill()
    assert workers
    wait_until(lambda: not any(map(lives, workers)))


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pids(pool: Pool) -> list[int]:
    return [worker._process.pid for worker in pool._workers if worker._process]


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended may wait for ever to be fetched where nobody is init."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone meanwhile, or a system without /proc
        return not Path("/proc/self").exists()
