"""Proves a sandbox by trying to get out of it: plants canaries outside, runs `inside.probe` within, looks again."""

import contextlib
import dataclasses
import marshal
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coder.sandbox.inside import probe
from coder.sandbox.run import Sandbox
from coder.sandbox.values import SandboxError, View
from coder.store import private_dir

_TIMEOUT_S = 20.0


async def check(sandbox: Sandbox) -> tuple[int, int, str]:
    """(checks that held, checks made, what went wrong or "")."""
    total = len(probe.CHECKS)
    base = private_dir(sandbox.places.cache / "sandbox")
    directory = Path(tempfile.mkdtemp(prefix="test-", dir=base))
    try:
        with _planted(directory, sandbox) as planted:
            outcomes = await _probe(sandbox, directory, planted)
            outcomes |= _changed(planted)
    except SandboxError as error:
        return 0, total, str(error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    names = [check.__name__ for check in probe.CHECKS]
    broken = [f"{name}: {outcomes.get(name, 'no answer')}" for name in names if outcomes.get(name) != "held"]
    return total - len(broken), total, "; ".join(broken)


async def _probe(sandbox: Sandbox, directory: Path, planted: dict[str, Any]) -> dict[str, str]:
    tried = dataclasses.replace(sandbox, environ={**sandbox.environ, "CODER_SANDBOX_CHILD": planted["token"]})
    log = directory / "log"
    argv = [sys.executable, "-I", "-S", "-c", _source(), marshal.dumps(planted).hex()]
    await tried.run(argv, View(directory / "repository"), timeout=_TIMEOUT_S, on_output=lambda _: None, log=log)
    lines = log.read_text(errors="replace").splitlines()
    return {name: outcome for name, _, outcome in (line.partition(" ") for line in lines)}


def _source() -> str:
    """The probe as text: its file may be hidden inside."""
    return Path(probe.__file__).read_text(encoding="utf-8") + "main()"


@contextlib.contextmanager
def _planted(directory: Path, sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    token = secrets.token_hex(16)
    git = directory / "repository" / ".git"
    for name in ("objects", "refs"):
        (git / name).mkdir(parents=True)
    for path, text in ((git / "HEAD", "ref: refs/heads/main\n"), (git / "config", "[core]\n\tbare = false\n")):
        path.write_text(text)
    (directory / "repository" / "file").write_text("unchanged")
    (directory / "secret").write_text(token)
    (directory / "outside").write_text("unchanged")
    with (
        tempfile.TemporaryDirectory(prefix="coder-", dir="/tmp") as short,  # a socket's path has 107 bytes at most
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as by_name,
        socket.socket() as port,
    ):
        by_path.bind(f"{short}/path")
        by_name.bind(f"\0{token}" if sys.platform == "linux" else f"{short}/name")
        port.bind(("127.0.0.1", 0))
        for listener in (by_path, by_name, port):
            listener.listen(1)
        yield {
            "token": token,
            "secret": str(directory / "secret"),
            "outside": [str(directory / "outside"), f"/etc/.coder-{token}", f"/var/.coder-{token}"],
            "socket": f"{short}/path",
            "abstract": token,
            "port": 0 if sys.platform == "darwin" else port.getsockname()[1],  # there loopback cannot be split
            "repository": [str(git / "config"), str(git / "HEAD"), str(directory / "repository" / "file")],
            "network": sandbox.settings.network and sandbox.tier != "landlock",  # the user lets it in
            "loopback": sandbox.loopback,
            "brokered": sandbox.tier == "landlock" and sandbox.loopback,
        }


def _changed(planted: dict[str, Any]) -> dict[str, str]:
    """What the probe did to the outside, whatever it says itself."""
    outcomes = {}
    held = {"config": "[core]\n\tbare = false\n", "HEAD": "ref: refs/heads/main\n", "file": "unchanged"}
    for path in map(Path, planted["repository"]):
        if path.read_text() != held[path.name]:
            outcomes["repository"] = f"{path.name} was changed"
    outside, *created = map(Path, planted["outside"])
    if outside.read_text() != "unchanged":
        outcomes["files"] = "a file was changed"
    for path in created:
        if path.exists():
            outcomes["files"] = f"{path} was created"
            path.unlink()
    return outcomes
