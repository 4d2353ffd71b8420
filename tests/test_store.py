"""coder's own files: private whatever the umask, whole after a kill, not steered by links."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from coder.errors import Refused, UserError
from coder.store import Places, append_line, find_places, locked, open_database, private_dir, usable_places, write_whole

SCHEMA = "CREATE TABLE notes (text TEXT NOT NULL)"
needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def in_process(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, "-c", code, *arguments))


# ── places ──


def test_places_follow_the_environment_when_it_is_absolute():
    places = find_places({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "relative"})
    assert (places.config, places.state, places.cache) == (
        Path("/h/.config/coder"),
        Path("/s/coder"),
        Path("/h/.cache/coder"),
    )
    assert places.config_file == Path("/h/.config/coder/config.toml")


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "~"}])
def test_nothing_lands_in_the_current_directory(home):
    assert all(path.is_absolute() for path in (find_places(home).state, find_places(home).cache))


def test_places_that_cannot_be_written_are_replaced_by_private_ones_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("no directory")
    places, remark = usable_places(Places(tmp_path / "c", tmp_path / "file/state", tmp_path / "cache"))
    assert (places.state.parent, places.cache) == (tmp_path, tmp_path / "cache")
    assert places.state.stat().st_mode & 0o777 == 0o700
    assert remark.startswith(f"{tmp_path}/file/state cannot be written")
    places.state.rmdir()
    places.state.symlink_to(tmp_path / "cache")
    with pytest.raises(Refused):
        usable_places(Places(tmp_path / "c", tmp_path / "file/state", tmp_path / "cache"))


# ── private directories ──


def test_private_directories_are_private_whatever_the_umask(tmp_path, no_umask):
    made = private_dir(tmp_path / "a/b/c")
    assert [mode(path) for path in (made, made.parent, made.parent.parent)] == [0o700] * 3


def test_a_directory_that_is_too_open_is_closed(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o777)
    assert mode(private_dir(tmp_path / "d")) == 0o700


def test_a_link_or_a_file_in_the_place_of_a_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "dangling", "file"):
        with pytest.raises(Refused):
            private_dir(tmp_path / name)
    assert mode(tmp_path / "real") == 0o755
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_another_users_directory_is_refused(tmp_path):
    (tmp_path / "d").mkdir()
    os.chown(tmp_path / "d", 65534, 65534)
    with pytest.raises(Refused):
        private_dir(tmp_path / "d")


def test_a_place_that_cannot_be_created_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot create"):
        private_dir(tmp_path / "file/below")


# ── whole files ──


def test_a_file_is_replaced_whole_and_private(tmp_path, no_umask):
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o666)
    write_whole(tmp_path / "f", b"new")
    assert ((tmp_path / "f").read_bytes(), mode(tmp_path / "f"), os.listdir(tmp_path)) == (b"new", 0o600, ["f"])


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "f").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "f", b"new")
    assert ((tmp_path / "target").read_bytes(), (tmp_path / "f").is_symlink()) == (b"target", False)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "f").mkdir()  # a rename over a directory fails
    with pytest.raises(OSError):
        write_whole(tmp_path / "f", b"new")
    assert os.listdir(tmp_path) == ["f"]


def test_a_kill_while_writing_leaves_the_old_or_the_new_file(tmp_path):
    code = (
        "import sys, itertools; from pathlib import Path; from coder.store import write_whole\n"
        "for n in itertools.count(): write_whole(Path(sys.argv[1]), b'%07d' % n * 30_000)"
    )
    file = tmp_path / "f"
    for turn in range(6):
        writer = in_process(code, str(file))
        while not file.exists():
            time.sleep(0.002)
        time.sleep(0.01 * turn)
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        content = file.read_bytes()
        assert content == content[:7] * 30_000


# ── appended records ──


def test_a_torn_tail_costs_no_other_record(tmp_path):
    log = tmp_path / "log"
    append_line(log, b"one")
    with log.open("ab") as file:
        file.write(b'{"torn": ')
    append_line(log, b"two")
    assert log.read_bytes().split(b"\n") == [b"one", b'{"torn": ', b"two", b""]
    assert mode(log) == 0o600


def test_many_writers_lose_no_record(tmp_path):
    code = (
        "import sys, json; from pathlib import Path; from coder.store import append_line\n"
        "for n in range(200):\n"
        "    append_line(Path(sys.argv[1]), json.dumps([sys.argv[2], n, 'x' * (n * 37 % 9000)]).encode())"
    )
    writers = [in_process(code, str(tmp_path / "log"), str(who)) for who in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    records = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert sorted((who, n) for who, n, _ in records) == sorted((str(who), n) for who in range(4) for n in range(200))


def test_a_record_that_does_not_fit_is_taken_out_again(tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path; from coder.store import append_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
        "append_line(Path(sys.argv[1]), b'fits')\n"
        "try: append_line(Path(sys.argv[1]), b'x' * 100)\n"
        "except OSError: sys.exit(7)"
    )
    assert in_process(code, str(tmp_path / "log")).wait() == 7
    assert (tmp_path / "log").read_bytes() == b"fits\n"


def test_records_are_not_appended_through_a_link(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        append_line(tmp_path / "log", b"x")
    assert not (tmp_path / "target").exists()


# ── locks ──


def test_a_lock_is_held_once_and_released_by_a_kill(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from coder.store import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen((sys.executable, "-c", code, str(tmp_path / "lock")), stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with locked(tmp_path / "lock", wait=False) as mine:
        assert not mine
    holder.kill()
    holder.communicate()
    with locked(tmp_path / "lock", wait=False) as mine:
        assert mine


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    with locked(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with locked(tmp_path / "lock", wait=False) as mine:
            assert mine
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# ── databases ──


def test_a_database_is_private_and_keeps_its_rows(tmp_path, no_umask):
    path = tmp_path / "d/x.sqlite"
    first = open_database(path, SCHEMA, 3)
    first.execute("INSERT INTO notes VALUES ('kept')")
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    first.close()
    assert open_database(path, SCHEMA, 3).execute("SELECT * FROM notes").fetchall() == [("kept",)]


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.executescript("CREATE TABLE theirs (x); PRAGMA user_version = 3;")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database, but long enough to be read as one" * 100),
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000),
        lambda path: path.write_bytes(path.read_bytes()[:1500]),
        foreign,
        lambda path: open_database(path, SCHEMA, 2).close(),
    ],
    ids=["text", "garbage", "cut", "foreign", "version"],
)
def test_a_bad_database_is_set_aside_and_a_new_one_made(tmp_path, spoil):
    path = tmp_path / "x.sqlite"
    if spoil is not foreign:
        open_database(path, SCHEMA, 2).close()
    spoil(path)
    bad = path.read_bytes()
    database = open_database(path, SCHEMA, 3)
    assert database.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    assert (tmp_path / "x.sqlite.set-aside").read_bytes() == bad


def test_an_empty_file_becomes_a_database(tmp_path):
    (tmp_path / "x.sqlite").touch()
    open_database(tmp_path / "x.sqlite", SCHEMA, 1).execute("INSERT INTO notes VALUES ('x')")


def test_many_processes_create_one_database(tmp_path):
    code = (
        "import sys; from pathlib import Path; from coder.store import open_database\n"
        f"open_database(Path(sys.argv[1]), {SCHEMA!r}, 1).execute('INSERT INTO notes VALUES (1)')"
    )
    writers = [in_process(code, str(tmp_path / "x.sqlite")) for _ in range(6)]
    assert [writer.wait() for writer in writers] == [0] * 6
    assert open_database(tmp_path / "x.sqlite", SCHEMA, 1).execute("SELECT count(*) FROM notes").fetchone() == (6,)
    assert not (tmp_path / "x.sqlite.set-aside").exists()


def test_a_corrupt_database_is_set_aside_once_by_many(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"corrupt" * 1000)
    opened: list[sqlite3.Connection] = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_database(tmp_path / "x.sqlite", SCHEMA, 1)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened[0].execute("INSERT INTO notes VALUES ('seen by all')")
    assert all(database.execute("SELECT count(*) FROM notes").fetchone() == (1,) for database in opened)
    assert (tmp_path / "x.sqlite.set-aside").read_bytes() == b"corrupt" * 1000


def test_a_locked_database_is_waited_for(tmp_path):
    path = tmp_path / "x.sqlite"
    holder = open_database(path, SCHEMA, 1)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, holder.execute, ("COMMIT",)).start()
    open_database(path, SCHEMA, 1).execute("INSERT INTO notes VALUES ('later')")
    assert not (tmp_path / "x.sqlite.set-aside").exists()


def test_a_link_in_the_place_of_a_database_is_not_followed(tmp_path):
    shutil.copy(__file__, tmp_path / "target")
    before = (tmp_path / "target").read_bytes()
    (tmp_path / "x.sqlite").symlink_to(tmp_path / "target")
    with pytest.raises(sqlite3.OperationalError):
        open_database(tmp_path / "x.sqlite", SCHEMA, 1)
    assert (tmp_path / "target").read_bytes() == before


@needs_user
def test_a_database_in_a_place_that_cannot_be_written_is_an_operational_error(tmp_path):
    open_database(tmp_path / "d/x.sqlite", SCHEMA, 1).close()
    (tmp_path / "d/x.sqlite").chmod(0o400)
    (tmp_path / "d").chmod(0o500)
    with pytest.raises(sqlite3.OperationalError):
        open_database(tmp_path / "d/x.sqlite", SCHEMA, 1)


def test_a_database_below_a_file_is_an_operational_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(sqlite3.OperationalError, match="cannot open"):
        open_database(tmp_path / "file/deeper/x.sqlite", SCHEMA, 1)
