"""Time, memory, processes, output and disk are bounded, and nothing survives: not a daemon, not coder's own death."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coder.config import SandboxSettings
from tests import sandbox_kit as kit

ANY = (*kit.CONFINED, "none")
DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)", sys.argv[1]])
"""
# Doubles eleven times and stops: far beyond every limit, and yet no end of the machine if a limit should fail.
BOMB = "import os, time\nfor _ in range(11):\n    try: os.fork()\n    except OSError: pass\ntime.sleep(20)"
HOG = "blocks = []\nwhile True: blocks.append(bytearray(b'x' * (8 << 20)))"
HOGS = (
    "import subprocess, sys\nfor _ in range(4): subprocess.Popen([sys.executable, '-c', sys.argv[1]])\nwhile True: pass"
)


def alive(mark: str) -> list[str]:
    """Processes of the machine whose command line holds `mark`."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found += [name] if mark.encode() in words else []
    return found


def wait_for(condition: Callable[[], object], within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def gone(mark: str) -> bool:
    wait_for(lambda: not alive(mark), 5.0)
    return True


@pytest.mark.parametrize("tier", ANY)
def test_a_daemon_does_not_outlive_the_command(tier: str, tmp_path: Path) -> None:
    ran = kit.python(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), DAEMON, str(tmp_path))
    assert ran.result.exit_code == 0, ran.text
    assert gone(str(tmp_path))


@pytest.mark.parametrize("tier", ANY)
def test_a_command_that_hangs_is_stopped_with_its_children(tier: str, tmp_path: Path) -> None:
    script = f'trap "" TERM INT HUP; setsid sh -c "sleep 301; :" {tmp_path} & setsid sh -c "sleep 300; :" {tmp_path}'
    ran = kit.run(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), "sh", "-c", script, timeout=1.0)
    assert (ran.result.exit_code, ran.result.timed_out, ran.result.stopped) == (None, True, "time")
    assert ran.result.duration_s < 5
    assert gone(str(tmp_path))


@pytest.mark.parametrize("tier", ANY)
def test_cancelling_stops_everything_inside(tier: str, tmp_path: Path) -> None:
    sandbox, root = kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r")

    async def cancelled() -> None:
        task = asyncio.create_task(kit.run_in(sandbox, root, ["sh", "-c", "sleep 300; :", str(tmp_path)]))
        await asyncio.to_thread(wait_for, lambda: alive(str(tmp_path)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert gone(str(tmp_path))
    assert list((tmp_path / "cache" / "sandbox").iterdir()) == []


CODER = """
import os, sys
from pathlib import Path
from tests import sandbox_kit as kit
tier, base, script = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
sandbox = kit.Sandbox(tier, kit.SandboxSettings(), kit.places(base), os.environ)
kit.run(sandbox, base / "r", "sh", "-c", script, str(base / "mark"))
"""


@pytest.mark.parametrize("tier", ANY)
def test_killing_coder_leaves_no_process_and_no_mount(tier: str, tmp_path: Path) -> None:
    kit.open_tier(tier, tmp_path)
    kit.repository(tmp_path / "r")
    mark = str(tmp_path / "mark")
    argv = [sys.executable, "-c", CODER, tier, str(tmp_path), 'setsid sh -c "sleep 300; :" $0 & sleep 300; :']
    coder = subprocess.Popen(argv, cwd=Path(__file__).parent.parent)
    wait_for(lambda: len(alive(mark)) >= 2)
    coder.send_signal(signal.SIGKILL)
    coder.wait()
    assert gone(mark)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_fork_bomb_is_bounded(tier: str, tmp_path: Path) -> None:
    ran = kit.python(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), BOMB, timeout=2.0)
    assert ran.result.exit_code is None and ran.result.stopped in ("time", "processes", "memory")
    assert ran.result.duration_s < 10


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_memory_is_bounded_for_one_process_and_for_all_together(tier: str, tmp_path: Path) -> None:
    sandbox = kit.open_tier(tier, tmp_path, SandboxSettings(memory_mb=200))
    root = kit.repository(tmp_path / "r")
    assert kit.python(sandbox, root, HOG).result.stopped == "memory"
    shares = HOG.replace("while True", "for _ in range(12)") + "\nimport time; time.sleep(60)"
    together = kit.python(sandbox, root, HOGS, shares)
    assert (together.result.exit_code, together.result.stopped) == (None, "memory")


SHARED = """
import mmap, os, time
block = mmap.mmap(-1, 200 << 20)
for at in range(0, len(block), 4096): block[at] = 1
file = os.memfd_create("x")
for _ in range(400): os.write(file, b"x" * (1 << 20))
time.sleep(20)
"""


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_memory_that_no_process_seems_to_have_counts_too(tier: str, tmp_path: Path) -> None:
    sandbox = kit.open_tier(tier, tmp_path, SandboxSettings(memory_mb=400))
    assert kit.python(sandbox, kit.repository(tmp_path / "r"), SHARED).result.stopped == "memory"


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_flood_of_output_keeps_its_start_and_its_end(tier: str, tmp_path: Path) -> None:
    flood = "import sys\nprint('first')\nfor _ in range(60): sys.stdout.write('x' * (1 << 20))\nprint('\\nlast')"
    ran = kit.python(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), flood)
    assert ran.result.truncated and ran.text.startswith("first") and ran.text.endswith("last\n")
    assert "bytes of output left out here" in ran.text and len(ran.text) < 17 * (1 << 20)


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_file_cannot_grow_without_bound(tier: str, tmp_path: Path) -> None:
    source = "f = open('big', 'wb'); f.truncate(1 << 40)"
    ran = kit.python(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), source)
    assert ran.result.exit_code != 0


@pytest.mark.parametrize("tier", ANY)
def test_a_command_that_does_not_exist_is_a_result(tier: str, tmp_path: Path) -> None:
    ran = kit.run(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), "no-such-program", "x")
    assert (ran.result.exit_code, ran.text) == (127, "coder: command not found: no-such-program\n")


@pytest.mark.parametrize("tier", ANY)
def test_a_signal_counts_as_in_a_shell(tier: str, tmp_path: Path) -> None:
    ran = kit.run(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), "sh", "-c", "kill -SEGV $$")
    assert ran.result.exit_code == 139
