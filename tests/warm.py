"""The program without its start: a process that has imported everything forks itself for each run.

What a test sees is the same: a process of its own with its own streams, directory and environment, ended by `main`. A
second of imports is saved each time. Where the start itself is tested, or what the system shows of a process, use
`tests.work`. As a program: `warm.py serve SOCKET` is that process, `warm.py SOCKET ARGUMENTS` one run of coder there.
"""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.work import Ended

TIMEOUT_S = 180


def coder(root: Path, *args: str, env: Mapping[str, str] | None = None, stdin: str = "") -> "Ended":
    """As `tests.work.coder`."""
    from tests.work import Ended

    reader, writer = os.pipe()
    threading.Thread(target=feed, args=(writer, stdin.encode()), daemon=True).start()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = (reader, out.fileno(), err.fileno())
        code = run(server(), args, root, {**os.environ, **(env or {})}, streams)
        os.close(reader)
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read().decode(), err.read().decode())


def feed(writer: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as pipe:
        pipe.write(data)


@cache
def server() -> str:
    """The socket of the one warm process, which ends with this one."""
    place = tempfile.mkdtemp(prefix="warm-")
    path = f"{place}/socket"
    command = [sys.executable, "-P", __file__, "serve", path]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "HOME": place}, cwd="/"
    )
    assert process.stdin is not None and process.stdout is not None
    atexit.register(process.stdin.close)
    assert process.stdout.readline() == b"ready\n"
    return path


def run(path: str, args: Sequence[str], root: Path, env: Mapping[str, str], streams: Sequence[int]) -> int:
    """One run there; its exit code, as `subprocess` gives it."""
    order = json.dumps({"args": [*args], "root": str(root), "env": {**env}}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        socket.send_fds(connection, [struct.pack("i", len(order))], streams)
        connection.sendall(order)
        (pid,) = struct.unpack("i", connection.recv(4))
        try:
            (status,) = struct.unpack("i", connection.recv(4))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
    return os.waitstatus_to_exitcode(status)


# ── the warm process ─────────────────────────────────────────────────────────────────────────────


def serve(path: str) -> None:
    """Until standard input ends, which is when whoever started this is gone."""
    import_everything()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the attendants
        while 0 not in select.select([0, listener], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                attend(connection)
                os._exit(0)
            connection.close()


def import_everything() -> None:
    import importlib

    from coder.cli.commands import COMMANDS
    from coder.context.tokens import count_tokens
    from coder.model.client import warm

    for name in (*(f"coder.cli.{module}" for module, _ in COMMANDS.values()), "coder.cli.open", "coder.headless.run"):
        importlib.import_module(name)
    warm()
    count_tokens("warm")


def attend(connection: socket.socket) -> None:
    """Read one order, fork the program, tell its number and then its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    order = bytearray()
    while len(order) < struct.unpack("i", size)[0]:
        order += connection.recv(1 << 16)
    pid = os.fork()
    if pid == 0:
        connection.close()
        become(streams, **json.loads(order))
    for stream in streams:
        os.close(stream)
    connection.sendall(struct.pack("i", pid))
    connection.sendall(struct.pack("i", os.waitpid(pid, 0)[1]))


def become(streams: Sequence[int], args: list[str], root: str, env: dict[str, str]) -> None:
    """The program, as if just started with these."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(root)
    sys.argv = ["coder", *args]
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    from coder.cli import main

    main(args)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
        shutil.rmtree(Path(sys.argv[2]).parent, ignore_errors=True)
        os._exit(0)
    else:
        sys.exit(run(sys.argv[1], sys.argv[2:], Path.cwd(), os.environ, (0, 1, 2)))
