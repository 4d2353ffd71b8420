"""Where a command has no network of its own, a broker gives it streams on loopback, and nothing but those it opened."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sandbox_kit as kit

PACKAGE = Path(__file__).parent.parent
CLIENTS = """
import fcntl, multiprocessing, os, socket, struct, tempfile
from multiprocessing.connection import Client, Listener
def put(shared): shared["from"] = "a process"
if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        process = multiprocessing.Process(target=put, args=(shared,)); process.start(); process.join()
        print(shared["from"])
    both = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, both.getsockname()[1]), source_address=("", 0)).close()
    unnamed = socket.socket(); unnamed.listen()
    client = socket.socket(); client.setblocking(False)
    print(client.connect_ex(("127.0.0.1", unnamed.getsockname()[1])) in (0, 115))
    interfaces = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(struct.unpack_from("=h", fcntl.ioctl(interfaces, 0x8913, struct.pack("16s24x", b"lo")), 16)[0] & 1)
    unnamed.accept()[0].close(); client.setblocking(True); print(client.recv(1))
"""
NODE = """
const http = require("http"), net = require("net"), os = require("os");
const server = http.createServer((request, reply) => reply.end("served")).listen(0, async () => {
  console.log(await (await fetch(`http://localhost:${server.address().port}/`)).text());
  process.chdir(os.tmpdir());
  net.createServer((client) => client.end("by path")).listen("own", () =>
    net.connect("own").on("data", (data) => { console.log(String(data)); process.exit(0); }));
});
"""
FULL = """
import concurrent.futures, socket
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(0)
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    clients = [pool.submit(socket.create_connection, server.getsockname()) for _ in range(2)]
    concurrent.futures.wait(clients, return_when=concurrent.futures.FIRST_COMPLETED)
    other = socket.create_server(("127.0.0.1", 0)); socket.create_connection(other.getsockname()); print("others go on")
    for _ in range(2): server.accept()
print([client.result().fileno() > 0 for client in clients])
"""
FLOOD = """
import os, signal, socket, threading
server = socket.create_server(("127.0.0.1", 0))
def connect():
    while True: socket.socket().connect_ex(("127.0.0.1", 9))
for _ in range(30):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        for _ in range(8): threading.Thread(target=connect).start()
        os.write(writer, b"x"); signal.pause()
    os.read(reader, 1); os.kill(child, signal.SIGKILL); os.waitpid(child, 0); os.close(reader); os.close(writer)
held = []
try:
    for _ in range(20_000): held.append(socket.socket())
except OSError as error: print(error.errno)
held.clear()
socket.create_connection(server.getsockname()); print("served")
"""
ALREADY = """
import asyncio, os, struct, sys
from pathlib import Path
from coder.config import SandboxSettings
from coder.sandbox import choose
from coder.sandbox.inside import kernel, seccomp
from tests.sandbox_kit import places
kernel.forbid_new_privileges()
kept = seccomp.install_brokered(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))  # allows all; a second one is refused
chosen = asyncio.run(choose("auto", SandboxSettings(), places(Path(sys.argv[1])), tiers=("landlock",)))
print(chosen, chosen.loopback, chosen.limits)
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="c", dir="/tmp") as place:
        yield Path(place)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (CLIENTS, "a process\nTrue\n1\nb''\n"),
        (FULL, "others go on\n[True, True]\n"),
        (FLOOD, "24\nserved\n"),
    ],
    ids=["clients", "full", "flood"],
)
def test_streams_on_loopback_behave_as_on_a_machine_of_its_own(program: str, expected: str, short_path: Path) -> None:
    ran = kit.python(kit.with_loopback("landlock", short_path), kit.repository(short_path / "r"), program)
    assert (ran.result.exit_code, ran.text) == (0, expected)


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_a_server_of_node_is_reached_inside(tmp_path: Path) -> None:
    sandbox = kit.with_loopback("landlock", tmp_path)
    ran = kit.run(sandbox, kit.repository(tmp_path / "r"), "node", "-e", NODE)
    assert (ran.result.exit_code, ran.text) == (0, "served\nby path\n")


def test_where_calls_cannot_be_asked_for_there_are_no_sockets_and_it_says_so(tmp_path: Path) -> None:
    kit.with_loopback("landlock", tmp_path)
    argv = [sys.executable, "-c", ALREADY, str(tmp_path)]
    ran = subprocess.run(argv, cwd=PACKAGE, capture_output=True, text=True, timeout=60)
    assert ran.stdout.startswith("landlock 9/9 False") and "no sockets, so no loopback" in ran.stdout, ran
