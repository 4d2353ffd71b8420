"""Applying under faults of the system: every system call fails or kills once, and the tree is all old or all new."""

import ctypes
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.errors import CoderError, Failed, Interrupted
from coder.repo.apply import apply, recover
from coder.repo.checkpoint import list_checkpoints
from coder.repo.journal import Vault
from coder.store import Places
from tests.apply_tools import MEMORY, Picture, Spot, create, delete, modify, new_spot, picture, write

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount or to become another user")

# By architecture and C library a call goes by different names. strace counts each name apart.
CALLS = (
    "openat",
    "write",
    "fsync",
    "renameat2",
    "?rename,?renameat",
    "unlinkat",
    "?unlink",
    "fchmod",
    "?mkdir,mkdirat",
)


@pytest.fixture
def base() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coder-test-", dir=MEMORY) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def three(spot: Spot) -> Picture:
    write(spot.root / "mod.py", b"old\n" * 50, 0o640)
    write(spot.root / "gone/b.py", b"bye\n", 0o755)
    return picture(spot.root)


CHANGES = (
    modify("mod.py", b"old\n" * 50, b"new\n" * 60),
    create("sub/deep/c.py", b"hello\n"),
    delete("gone/b.py", b"bye\n"),
)
NEW = {"mod.py", "sub", "sub/deep", "sub/deep/c.py", ".git"}


def fork(work: Callable[[], object], ready: int | None = None) -> int:
    """Run `work` in a child, after a byte comes through `ready`. Ends with 0 when done, 1 when coder refused."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: let strace attach
        if ready is not None:
            os.read(ready, 1)
        work()
        code = 0
    except CoderError:
        code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def inject(work: Callable[[], object], *faults: str, meanwhile: Callable[[], object] | None = None) -> tuple[int, bool]:
    """Run `work` in a child under faults of strace. Returns its wait status and whether one of them happened."""
    ready, go = os.pipe()
    child = fork(work, ready)
    injections = [part for fault in faults for part in ("-e", f"inject={fault}")]
    command = (str(STRACE), "-f", "-qq", "-p", str(child), "-e", "trace=all", *injections, "-e", "signal=none")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        wait_for_tracer(child)
        os.write(go, b"x")
        if meanwhile:
            meanwhile()
        log = tracer.communicate(timeout=20)[1]
    os.close(go)
    os.close(ready)
    status = os.waitpid(child, 0)[1]
    return status, "INJECTED" in log or os.WIFSIGNALED(status)


def wait_for_tracer(child: int) -> None:
    for _ in range(2000):
        if not re.search(r"TracerPid:\t0\n", Path(f"/proc/{child}/status").read_text()):
            return
        time.sleep(0.001)
    pytest.skip("strace may not attach to a process here")


def check(spot: Spot, places: Places, old: Picture, *, after: str) -> bool:
    """All old or all new, no temporary name; whether it is new."""
    now = picture(spot.root)
    assert not [name for name in now if ".coder-" in name], after
    if now == old:
        return False
    assert set(now) == NEW, after
    assert now["mod.py"] == ("-", 0o640, b"new\n" * 60), after
    assert now["sub/deep/c.py"] == ("-", 0o644, b"hello\n"), after
    return True


def kill_turns(
    base: Path,
    call: str,
    work: Callable[[Spot, Places], object],
    *,
    at: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> None:
    """Kill `work` at each of its calls; recover; all old or all new. `at` leaves an interrupted apply first."""
    for turn in range(1, 100):
        spot, places = new_spot(base / str(turn))
        old = three(spot)
        if at:
            assert inject(lambda spot=spot, places=places: apply(spot, places, CHANGES, "first"), *at)[1]
        status, _ = inject(
            lambda spot=spot, places=places: work(spot, places), f"{call}:signal=KILL:when={turn}", *also
        )
        recover(spot, places)
        is_new = check(spot, places, old, after=f"{call} {turn}")
        assert bool(list_checkpoints(spot, places)) == is_new
        assert recover(spot, places) == ()
        if status == 0:
            return
    raise AssertionError("never ran clean")


@needs_strace
@pytest.mark.parametrize("call", CALLS)
def test_a_kill_anywhere_leaves_all_old_or_all_new(base, call):
    kill_turns(base, call, lambda spot, places: apply(spot, places, CHANGES, "kill"))


HALF_WAY = "renameat2:signal=KILL:when=3"
COMMITTED = "unlinkat:signal=KILL:when=1"


@needs_strace
@pytest.mark.parametrize(
    ("at", "call"),
    [
        (HALF_WAY, "openat"),
        (HALF_WAY, "renameat2"),
        (HALF_WAY, "unlinkat"),
        (COMMITTED, "unlinkat"),
        (COMMITTED, "fsync"),
    ],
)
def test_a_recovery_can_be_killed_anywhere_as_well(base, call, at):
    kill_turns(base, call, recover, at=(at,))


# Faults that in-process roll-back can live with even when they stay: it needs no new bytes on disk.
FAULTS = [
    ("write", "ENOSPC", "+"),
    ("write", "EDQUOT", ""),
    ("write", "EIO", "+"),
    ("fsync", "EIO", ""),
    ("fsync", "ENOSPC", "+"),
    ("renameat2", "EROFS", ""),
    ("renameat2", "EACCES", "+"),
    ("?rename,?renameat", "ENOSPC", ""),
    ("openat", "EMFILE", ""),
    ("openat", "ENOMEM", "+"),
    ("unlinkat", "EIO", ""),
    ("unlinkat", "EROFS", "+"),
    ("?unlink", "EIO", ""),
    ("fchmod", "EPERM", ""),
    ("?mkdir,mkdirat", "ENOSPC", "+"),
]
AT_ONCE = {"write", "fsync", "fchmod", "?mkdir,mkdirat"}


@needs_strace
@pytest.mark.parametrize(("call", "error", "sticky"), FAULTS)
def test_a_failing_call_anywhere_leaves_all_old_or_all_new(base, call, error, sticky):
    for turn in range(1, 80):
        spot, places = new_spot(base / str(turn))
        old = three(spot)
        status, happened = inject(
            lambda spot=spot, places=places: apply(spot, places, CHANGES, "fault"),
            f"{call}:error={error}:when={turn}{sticky}",
        )
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 1), f"{call} {error} {turn}"
        if code == 1 and (call in AT_ONCE or not sticky):
            assert picture(spot.root) == old, f"{call} {error} {turn}: not taken back at once"
        recover(spot, places)
        assert check(spot, places, old, after=f"{call} {error} {turn}") == (code == 0)
        if not happened:
            break
    assert code == 0
    assert turn > 1


@needs_strace
@pytest.mark.parametrize("call", ["?rename,?renameat", "linkat", "unlinkat", "fsync"])
def test_a_file_system_that_cannot_exchange_names_is_as_safe(base, call):
    cannot = "renameat2:error=EINVAL"
    kill_turns(base, call, lambda spot, places: apply(spot, places, CHANGES, "plain"), also=(cannot,))


@needs_strace
@pytest.mark.parametrize("call", ["?rename,?renameat", "write", "unlinkat"])
def test_a_recovery_that_has_to_write_can_be_killed_as_well(base, call):
    cannot = "renameat2:error=EINVAL"
    half_way = (cannot, "linkat:signal=KILL:when=2")  # the old file was replaced, and is only in the record
    kill_turns(base, call, recover, at=half_way, also=(cannot,))


@needs_strace
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_an_editor_that_writes_in_the_last_instant_is_never_overwritten(base, turn):
    """The moment between the last look at a file and the rename is stretched, and an editor saves in it."""
    spot, places = new_spot(base)
    old = three(spot)
    path = ("mod.py", "sub/deep/c.py", "gone/b.py")[turn - 1]

    def edit() -> None:
        waiting = 2 if turn == 1 else 1  # the record, and the new files beside
        while len(list(spot.root.rglob(".coder-*"))) < waiting:
            time.sleep(0.001)
        time.sleep(0.15)
        write(base / "saved", b"the user's")
        (spot.root / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(base / "saved", spot.root / path)

    work = lambda: apply(spot, places, CHANGES, "race")  # noqa: E731
    status, _ = inject(work, f"renameat2:delay_enter=400000:when={turn}", meanwhile=edit)
    assert os.waitstatus_to_exitcode(status) == 1
    now = picture(spot.root)
    assert now.pop(path) == ("-", 0o644, b"the user's")
    assert {name: seen for name, seen in now.items() if name in old} == {n: s for n, s in old.items() if n != path}
    assert not [name for name in now if ".coder-" in name]


@needs_strace
@pytest.mark.parametrize("path", ["mod.py", "sub/deep/c.py", "gone/b.py"])
def test_an_edit_after_a_kill_is_kept_and_so_is_what_it_hides(base, path):
    spot, places = new_spot(base)
    old = three(spot)
    inject(lambda: apply(spot, places, CHANGES, "killed"), "?rename,?renameat:signal=KILL:when=2")
    write(spot.root / path, b"the user's")
    (message, *kept) = recover(spot, places)
    assert "interrupted" in message
    now = picture(spot.root)
    assert now[path][2] == b"the user's"
    for other in old.keys() - {path, "sub", "sub/deep"}:
        assert now[other] == old[other]
    if path in old:
        place = kept[0].rpartition(" kept at ")[2]
        assert Path(place).read_bytes() == old[path][2]
    assert recover(spot, places) == ()


def test_two_at_once_never_tear_the_tree(base):
    """Two processes want different things of the same files: one gets its way, the other is told."""
    for turn in range(50):
        spot, places = new_spot(base / str(turn))
        for name in "ab":
            write(spot.root / name, b"old")
        wishes = (b"one", b"two")

        def work(wish: bytes, spot: Spot = spot, places: Places = places) -> None:
            apply(spot, places, [modify("a", b"old", wish), modify("b", b"old", wish)], "two")

        children = [fork(lambda wish=wish, work=work: work(wish)) for wish in wishes]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert sorted(codes) == [0, 1]
        winner = wishes[codes.index(0)]
        assert {name: seen[2] for name, seen in picture(spot.root).items()} == {".git": b"", "a": winner, "b": winner}


def test_a_busy_repository_is_said_to_be_busy(base):
    spot, places = new_spot(base)
    vault = Vault(places, spot.root)
    with vault.lock(), pytest.raises(Failed, match="another coder"), vault.lock(wait_s=0.1):
        pass


@needs_root
def test_a_nearly_full_disk_is_refused_before_the_first_write(base):
    spot, places = new_spot(base)
    mounted = subprocess.run(("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", spot.root), capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount here")
    try:
        write(spot.root / "a", b"1")
        (spot.root / "ballast").write_bytes(b"x" * 1_500_000)
        before = picture(spot.root)
        with pytest.raises(Failed, match=r"needs 1,00\d kB, has \d+ kB"):
            apply(spot, places, [modify("a", b"1", b"2" * 1_000_000)], "")
        assert picture(spot.root) == before
        apply(spot, places, [modify("a", b"1", b"2" * 100_000)], "")
    finally:
        subprocess.run(("umount", spot.root), check=True)


@needs_root
def test_a_read_only_file_system_is_named_and_leaves_nothing_to_recover(base):
    spot, places = new_spot(base)
    write(spot.root / "a", b"1")
    mounted = subprocess.run(("mount", "--bind", spot.root, spot.root), capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount here")
    subprocess.run(("mount", "-o", "remount,ro,bind", spot.root), check=True)
    try:
        with pytest.raises(Failed, match=r"cannot write a: read-only file system; nothing was changed"):
            apply(spot, places, [modify("a", b"1", b"2"), create("new/b", b"3")], "")
        assert recover(spot, places) == ()
    finally:
        subprocess.run(("umount", spot.root), check=True)


@needs_root
def test_what_another_user_may_not_write_stays_as_it_is(base):
    spot, places = new_spot(base)
    write(spot.root / "a", b"1")
    write(spot.root / "locked/b", b"1", 0o444)
    for path in (base, *base.rglob("*")):
        os.chown(path, 65534, 65534)
    (spot.root / "locked").chmod(0o555)
    before = picture(spot.root)

    def work() -> None:
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(Failed, match="locked/b: permission denied"):
            apply(spot, places, [modify("a", b"1", b"2"), modify("locked/b", b"1", b"2")], "")
        apply(spot, places, [modify("a", b"1", b"2")], "")

    assert os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1]) == 0
    assert picture(spot.root) == before | {"a": ("-", 0o644, b"2")}


def test_signals_at_any_moment_leave_all_old_or_all_new(base):
    """A handler that raises, as coder's does, twice in a row; nothing is recovered afterwards."""
    chance = random.Random(1)

    def stop(number: int, frame: object) -> None:
        raise Interrupted(number)

    def work(spot: Spot, places: Places) -> None:
        signal.signal(signal.SIGTERM, stop)
        try:
            apply(spot, places, CHANGES, "signal")
        except Interrupted:
            return

    for turn in range(60):
        spot, places = new_spot(base / str(turn))
        old = three(spot)
        child = fork(lambda spot=spot, places=places: work(spot, places))
        for _ in range(2):
            time.sleep(chance.random() * 0.004)
            os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        check(spot, places, old, after=f"signal {turn}")


def test_few_open_files_are_enough(base):
    spot, places = new_spot(base)
    changes = [create(f"d{n}/f", b"") for n in range(40)]

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        apply(spot, places, changes, "many")

    assert os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1]) == 0
