"""A hostile test command, in every tier this machine has: it must get nowhere, and honest work must still work."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import sandbox_kit as kit

DRIVER = Path(__file__).parent / "sandbox_driver.py"
WORKS = """
import multiprocessing, os, pathlib, sqlite3, subprocess, sys, tempfile, threading
def double(n): return 2 * n
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        pathlib.Path(place, "a").write_text("x"); os.symlink("a", place + "/b"); os.rename(place + "/a", place + "/c")
        sqlite3.connect(place + "/db").execute("create table t (a)")
    pathlib.Path.home().joinpath("note").write_text("x")
    pathlib.Path("tracked").write_text("changed"); pathlib.Path("new").mkdir(); os.unlink("tracked")
    thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
    assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
    assert subprocess.run(["git", "log", "--format=%s"], capture_output=True).stdout == b"first\\n"
    print("fine")
"""
MEETS = """
import asyncio, http.server, multiprocessing, os, socket, tempfile, threading, urllib.request
server = http.server.HTTPServer(("localhost", 0), http.server.BaseHTTPRequestHandler)
threading.Thread(target=server.handle_request).start()
try: urllib.request.urlopen(f"http://localhost:{server.server_port}/", timeout=5)
except urllib.error.HTTPError as error: print(error.code)
os.chdir(tempfile.mkdtemp())  # so that its path is short enough for an address
listener = socket.socket(socket.AF_UNIX); listener.bind("own"); listener.listen()
socket.socket(socket.AF_UNIX).connect("own")
port = socket.socket(); port.bind(("", 0)); free = port.getsockname()[1]; port.close()
async def talk():
    async def answer(reader, writer): writer.write(await reader.readline()); writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", free)
    reader, writer = await asyncio.open_connection("127.0.0.1", free)
    writer.write(b"heard\\n"); print((await reader.read()).decode()); server.close()
asyncio.run(talk())
try: socket.create_connection(("127.0.0.1", free))
except ConnectionRefusedError: print("closed")
"""
OWN_DEVICES = """
import multiprocessing, os
os.openpty()
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
"""


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_hostile_command_gets_nowhere(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "repository")
    sandbox = kit.open_tier(tier, tmp_path, HOME=str(tmp_path / "home"), OPENAI_API_KEY=kit.CANARY, MY_VALUE=kit.CANARY)
    before = _state(root)
    assert kit.attack(sandbox, tmp_path, root) == {}
    assert _state(root) == before
    assert (tmp_path / "outside").read_text() == "unchanged"


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_honest_work_still_works(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "repository")
    before = _state(root)
    ran = kit.python(kit.open_tier(tier, tmp_path), root, WORKS)
    assert (ran.result.exit_code, ran.text.split()) == (0, ["thread", "fine"]), ran.text
    assert _state(root) == before


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_server_and_its_client_meet_inside(tier: str, tmp_path: Path) -> None:
    ran = kit.python(kit.with_loopback(tier, tmp_path), kit.repository(tmp_path / "r"), MEETS)
    assert ran.result.exit_code == 0, ran.text
    assert ran.text.split()[-3:] == ["501", "heard", "closed"]


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_where_devices_are_its_own_it_has_terminals_and_semaphores(tier: str, tmp_path: Path) -> None:
    ran = kit.python(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), OWN_DEVICES)
    assert (ran.result.exit_code, ran.text) == (0, "[1, 2]\n")


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_the_same_holds_for_a_user_without_privileges(tier: str, tmp_path: Path) -> None:
    python = _python_for_everyone()
    if os.geteuid() != 0:
        pytest.skip("this run has no privileges anyway")
    base = Path("/tmp") / f"coder-{tmp_path.name}-{os.getpid()}"
    shutil.copytree(DRIVER.parent.parent / "coder", base / "package" / "coder", ignore=_ONLY_CODE)
    kit.repository(base / "work" / "repository")
    subprocess.run(["chown", "-R", "65534:65534", str(base)], check=True)
    try:
        outcome = subprocess.run(
            [python, str(DRIVER), tier, str(base / "work"), str(base / "package")],
            env={"PATH": "/usr/bin:/bin", "HOME": str(base / "work" / "home"), "OPENAI_API_KEY": kit.CANARY},
            user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        shutil.rmtree(base)
    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    if report["refused"]:
        pytest.skip(report["refused"])
    assert report["achieved"] == {}


_ONLY_CODE = shutil.ignore_patterns("__pycache__", "*.xz", "tui", "_prompts")


def _python_for_everyone() -> str:
    """A Python new enough that another user may execute, which one in root's home is not."""
    for name in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.path.exists(name) and not os.path.realpath(name).startswith("/root/"):
            version = subprocess.run(
                [name, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True
            )
            if version.stdout.strip() == b"True":
                return name
    pytest.skip("no Python 3.11 that another user could execute")


def _state(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
