"""For the sandbox's tests: a repository with canaries around it, and one command run in one tier."""

import asyncio
import dataclasses
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from coder.config import SandboxSettings
from coder.errors import Refused
from coder.sandbox import CommandResult, Sandbox, View, choose
from coder.store import Places

CANARY = "canary-4711-do-not-leak"
CONFINED = ("bubblewrap", "namespaces", "landlock")
MOUNTING = ("bubblewrap", "namespaces")


@dataclasses.dataclass(frozen=True)
class Ran:
    result: CommandResult
    text: str


def places(base: Path) -> Places:
    return Places(base / "config", base / "state", base / "cache")


@functools.cache
def _chosen(tier: str) -> Sandbox | str:
    """The tier as it can be had on this machine, or why it cannot."""
    with tempfile.TemporaryDirectory() as base:
        try:
            return asyncio.run(choose("auto", SandboxSettings(), places(Path(base)), tiers=(tier,)))
        except Refused as refusal:
            return refusal.message


def trouble(tier: str) -> str:
    """Why `tier` cannot be had on this machine, or ""."""
    return why if isinstance(why := _chosen(tier), str) else ""


def open_tier(tier: str, base: Path, settings: SandboxSettings | None = None, **environ: str) -> Sandbox:
    """The tier without another self-test; skips the test where it does not hold on this machine."""
    chosen = "" if tier == "none" else _chosen(tier)
    if isinstance(chosen, str) and chosen:
        pytest.skip(chosen)
    loopback = chosen.loopback if isinstance(chosen, Sandbox) else True
    given = {**os.environ, **environ}
    return Sandbox(tier, settings or SandboxSettings(), places(base), given, loopback=loopback)


def with_loopback(tier: str, base: Path) -> Sandbox:
    """As `open_tier`; skips the test also where the kernel grants the tier no sockets."""
    sandbox = open_tier(tier, base)
    if not sandbox.loopback:
        pytest.skip(f"{tier} has no sockets here")
    return sandbox


async def run_in(
    sandbox: Sandbox,
    root: Path,
    argv: Sequence[str],
    *,
    timeout: float = 20.0,  # noqa: ASYNC109
    view: View | None = None,
    want: Sequence[str] = (),
    env: Mapping[str, str] = {},
) -> Ran:
    log = sandbox.places.state / "log"
    log.parent.mkdir(parents=True, exist_ok=True)
    result = await sandbox.run(
        argv, view or View(root), timeout=timeout, on_output=lambda _: None, log=log, want=want, env=env
    )
    return Ran(result, log.read_text(errors="replace"))


def run(sandbox: Sandbox, root: Path, *argv: str, **options: object) -> Ran:
    return asyncio.run(run_in(sandbox, root, argv, **options))  # type: ignore[arg-type]


def python(sandbox: Sandbox, root: Path, source: str, *arguments: str, **options: object) -> Ran:
    return run(sandbox, root, sys.executable, "-c", source, *arguments, **options)


def repository(root: Path) -> Path:
    """A git repository with one tracked file and a token in its configuration, as CI leaves it there."""
    root.mkdir(parents=True)
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t"]
    (root / "tracked").write_text("unchanged\n")
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-q", "-m", "first"],
        ["config", "http.https://example.org/.extraheader", f"AUTHORIZATION: basic {CANARY}"],
        ["remote", "add", "origin", f"https://x:{CANARY}@example.org/r.git"],
    ):
        subprocess.run([*git, *words], check=True)
    return root


@contextmanager
def planted(base: Path, root: Path) -> Iterator[dict[str, object]]:
    """Everything a hostile command could reach for, outside of its sandbox."""
    home = base / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text(CANARY)
    (base / "state").mkdir(exist_ok=True)
    (base / "state" / "key").write_text(CANARY)
    (base / "outside").write_text("unchanged")
    os.mkfifo(base / "fifo")
    reader = os.open(base / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    short = tempfile.mkdtemp(prefix="s", dir="/tmp")
    shm = Path("/dev/shm", os.path.basename(short)) if os.access("/dev/shm", os.W_OK) else None
    if shm:
        shm.write_text(CANARY)
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as own,
    ):
        bind_in(root, own, "service.sock")
        for bound, address in (
            (tcp, ("127.0.0.1", 0)), (udp, ("127.0.0.1", 0)), (unix, f"{short}/u"), (datagram, f"{short}/d"),
            (abstract, f"\0{os.path.basename(short)}"),
        ):  # fmt: skip
            bound.bind(address)
        for listener in (tcp, unix, abstract):
            listener.listen()
        for receiver in (udp, datagram):
            receiver.setblocking(False)
        yield {
            "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "unix": f"{short}/u", "pid": os.getpid(),
            "unix_datagram": f"{short}/d", "abstract": os.path.basename(short), "canary": CANARY, "root": str(root),
            "fifo": str(base / "fifo"), "shm": str(shm or ""), "outside": [str(base / "outside")],
            "secrets": [str(home / ".ssh" / "id"), str(base / "state" / "key")],
        }  # fmt: skip
        for receiver in (udp, datagram):
            with pytest.raises(BlockingIOError):
                receiver.recv(100)
        assert os.read(reader, 100) == b""
        os.close(reader)
    for name in ("u", "d"):
        os.unlink(f"{short}/{name}")
    os.rmdir(short)
    (root / "service.sock").unlink()
    if shm:
        shm.unlink()


def bind_in(directory: Path, server: socket.socket, name: str) -> None:
    """Listen at a path that may be too long for an address."""
    descriptor = os.open(directory, os.O_RDONLY)
    server.bind(f"/proc/self/fd/{descriptor}/{name}")
    server.listen()
    os.close(descriptor)


HOSTILE = (Path(__file__).parent / "hostile.py").read_text()


def attack(sandbox: Sandbox, base: Path, root: Path) -> dict[str, str]:
    """What the hostile command achieved: attempt -> words, without those that were held off."""
    with planted(base, root) as plan:
        ran = python(sandbox, root, HOSTILE, json.dumps(plan))
    assert ran.result.exit_code == 0, ran.text
    return {name: outcome for name, outcome in json.loads(ran.text).items() if outcome != "held"}
